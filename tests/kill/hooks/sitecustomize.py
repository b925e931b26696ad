"""Stop a process at a chosen place so that a test can kill it there, or let an image kill it.

Python imports this by its name where PYTHONPATH has its folder: in the driver and in Ray's workers.
WSLABEL_STOP_AT is "MOMENT WHERE NTH": the NTH time (over all processes) that the MOMENT comes for
a path containing WHERE, the process leaves a mark in the folder WSLABEL_STOP_MARKS and stands
still. With WSLABEL_POISON set, decoding bytes that hold POISON kills the process, and decoding
those that hold ENDLESS does not end. Places are those of wslabel/failpoints.py.
"""

import ctypes
import importlib.abc
import importlib.util
import os
import sys
import time
from pathlib import Path


def stop(moment, where):
    if "WSLABEL_STOP_AT" not in os.environ:
        return
    wanted = os.environ["WSLABEL_STOP_AT"].split()
    marks = Path(os.environ["WSLABEL_STOP_MARKS"])
    if moment != wanted[0] or wanted[1] not in where:
        return
    # Creating a numbered file exclusively counts over all processes.
    for number in range(1, 10000):
        try:
            (marks / str(number)).open("x").close()
        except FileExistsError:
            continue
        if number == int(wanted[2]):
            draft = marks / "draft"
            draft.write_text(str(os.getpid()))
            draft.rename(marks / "stopped")
            time.sleep(3600)
        return


def at(place, what):
    moment, _, _ = place.partition(" ")
    if place.endswith(" create"):
        stop(moment, what)
    elif place == "fit":
        stop("during", "fit")
    elif place == "step" and what == 1:  # in the middle of an epoch
        stop("during", "training")
    elif place == "decode" and b"POISON" in what:
        ctypes.string_at(0)  # sending itself a signal it may not
    elif place == "decode" and b"ENDLESS" in what:
        ctypes.PyDLL(None).sleep(3600)  # in C, and nobody else gets the interpreter


class Finder(importlib.abc.MetaPathFinder):
    """Has `at` called as soon as the failpoints are imported; until then nothing of ours is."""

    def find_spec(self, name, path, target=None):
        if name != "wslabel.failpoints":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            module.install(at)

        spec.loader.exec_module = exec_module
        return spec


if os.environ.get("WSLABEL_STOP_AT") or os.environ.get("WSLABEL_POISON"):
    sys.meta_path.insert(0, Finder())
