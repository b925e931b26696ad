"""The filter says of every call of the system what it should, on every machine that it knows.

What it does to a process is seen in `test_decoder.py`, on the machine that the tests run on.
"""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wslabel.features.lockdown import (
    ALLOW,
    CALLS,
    IF_ANY_BIT,
    IF_EQUAL,
    KILL,
    LOAD,
    MACHINES,
    MEMORY_CALLS,
    REFUSE,
    RETURN,
    filter_program,
    lock_down,
)

READ, WRITE, EXECUTE = 1, 2, 4


def verdict(machine: str, mark: int, number: int, third: int = 0) -> int:
    """Run the filter as the kernel does: no step backwards, numbers of 32 bits."""
    program = filter_program(machine)
    call = struct.pack("<IIQ6Q", number, mark, 0, 0, 0, third, 0, 0, 0)
    place = held = 0
    while True:
        code, if_so, if_not, value = struct.unpack_from("<HBBI", program, 8 * place)
        place += 1
        if code == LOAD:
            (held,) = struct.unpack_from("<I", call, value)
        elif code == IF_EQUAL:
            place += if_so if held == value else if_not
        elif code == IF_ANY_BIT:
            place += if_so if held & value else if_not
        else:
            assert code == RETURN
            return int(value)


@pytest.mark.parametrize("machine", MACHINES)
@given(number=st.one_of(st.integers(0, 500), st.integers(0, 2**32 - 1)))
@example(number=0x4000_0000)  # x86-64's other numbering
@example(number=2**32 - 1)
def test_only_calls_that_are_named_are_allowed(machine: str, number: int) -> None:
    column = list(MACHINES).index(machine)
    named = {numbers[column] for numbers in (CALLS | MEMORY_CALLS).values()}
    expected = ALLOW if number in named else REFUSE
    assert verdict(machine, MACHINES[machine], number) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_all_that_are_named_are_allowed(machine: str) -> None:
    for numbers in CALLS.values():
        number = numbers[list(MACHINES).index(machine)]
        assert verdict(machine, MACHINES[machine], number, third=EXECUTE) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("call", MEMORY_CALLS)
def test_memory_is_never_executable(machine: str, call: str) -> None:
    number = MEMORY_CALLS[call][list(MACHINES).index(machine)]
    for third in range(16):
        expected = REFUSE if third & EXECUTE else ALLOW
        assert verdict(machine, MACHINES[machine], number, third) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_in_the_way_of_another_machine_end_the_process(machine: str) -> None:
    for mark in (0x4000_0003, 0x4000_0028, *MACHINES.values()):  # 32 bits of both
        expected = ALLOW if mark == MACHINES[machine] else KILL
        assert verdict(machine, mark, CALLS["read"][list(MACHINES).index(machine)]) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_no_call_has_two_names(machine: str) -> None:
    column = list(MACHINES).index(machine)
    numbers = [both[column] for both in (CALLS | MEMORY_CALLS).values()]
    assert len(set(numbers)) == len(numbers)


def test_elsewhere_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert lock_down(0) == "darwin has no seccomp"
