"""Freed memory is kept, so that the kernel need not clear it again for the next tensor."""

import os
import platform
import resource
import subprocess
import sys

import pytest

from wslabel.engine.memory import ENVIRONMENT

ROUNDS, PAGES = 10, 48 * 2**20 // resource.getpagesize()
"""Blocks are larger than what glibc ever keeps by itself."""

CHILD = f"""
import resource, threading

def work():
    bytearray({PAGES} * resource.getpagesize())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({ROUNDS}):
        block = bytearray({PAGES} * resource.getpagesize())
        block[:: resource.getpagesize()] = b"x" * {PAGES}
        del block
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def faults(**environment: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        capture_output=True,
        check=True,
        env={k: v for k, v in os.environ.items() if k not in ENVIRONMENT} | environment,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc reads these variables")
def test_a_block_that_a_thread_allocates_again_costs_no_page_faults() -> None:
    assert faults() > ROUNDS * PAGES / 2
    assert faults(**ENVIRONMENT) < 2 * PAGES
