"""Freed memory is kept, so that the kernel need not clear it again for the next tensor."""

import platform
import resource
import subprocess
import sys

import pytest

ROUNDS, PAGES = 10, 48 * 2**20 // resource.getpagesize()  # larger than what glibc ever keeps itself
CHILD = f"""
import resource, sys
from wslabel.engine.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
bytearray({PAGES} * resource.getpagesize())
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    block = bytearray({PAGES} * resource.getpagesize())
    block[:: resource.getpagesize()] = b"x" * {PAGES}
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", CHILD, how], capture_output=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_a_block_that_is_allocated_again_costs_no_page_faults() -> None:
    assert faults("as it is") > ROUNDS * PAGES / 2
    assert faults("kept") < 2 * PAGES
