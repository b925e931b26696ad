"""Memory of worker processes: kept for the next tensor instead of given back after each.

By default glibc maps each large tensor anew and returns it when it is freed, and the kernel clears
its pages every time: a third of the time of EfficientNet-B0 on a CPU. One arena, because only the
main one grows without bounds; Ray Data calls us in a thread of its own, which would get another.
"""

ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_TOP_PAD_": str(2**26),
}
"""What glibc reads when a process starts, see mallopt(3); other C libraries ignore it."""
