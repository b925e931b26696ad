"""Stop a process at a chosen place so that a test can kill it there, or let an image kill it.

Python imports this by its name where PYTHONPATH has its folder: in the driver and in Ray's workers.
WSLABEL_STOP_AT is "MOMENT WHERE NTH": the NTH time (over all processes) that the MOMENT comes for
a path containing WHERE, the process leaves a mark in the folder WSLABEL_STOP_MARKS and stands
still. With WSLABEL_POISON set, decoding bytes that hold POISON kills the process, and decoding
those that hold ENDLESS does not end.
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


def patch_location(module):
    link, create_s3, create = module._link, module.Location._create_s3, module.Location.create

    def stopping_link(draft, final):
        stop("before", str(final))
        return link(draft, final)

    def stopping_create_s3(self, path, data):
        stop("before", path)
        return create_s3(self, path, data)

    def stopping_create(self, path, data):
        made = create(self, path, data)
        stop("after", path)
        return made

    module._link = stopping_link
    module.Location._create_s3 = stopping_create_s3
    module.Location.create = stopping_create


def patch_fit(module):
    fit = module.fit

    def stopping_fit(*args, **kwargs):
        stop("during", "fit")
        return fit(*args, **kwargs)

    module.fit = stopping_fit


def patch_learning(module):
    timed = module._timed

    def stopping_timed(batches):
        # In the middle of an epoch: its first batch has been learned from.
        for number, found in enumerate(timed(batches)):
            if number == 1:
                stop("during", "training")
            yield found

    module._timed = stopping_timed


def patch_decode(module):
    decode = module.decode

    def deadly_decode(data, max_pixels):
        if b"POISON" in data:
            os.kill(os.getpid(), 9)
        if b"ENDLESS" in data:
            ctypes.PyDLL(None).sleep(3600)  # in C, and nobody else gets the interpreter
        return decode(data, max_pixels)

    module.decode = deadly_decode


PATCHES = {
    "wslabel.features.decode": patch_decode,
    "wslabel.storage.location": patch_location,
    "wslabel.label_model.snorkel_fit": patch_fit,
    "wslabel.training.learning": patch_learning,
}


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in PATCHES:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            PATCHES[name](module)

        spec.loader.exec_module = exec_module
        return spec


if os.environ.get("WSLABEL_STOP_AT") or os.environ.get("WSLABEL_POISON"):
    sys.meta_path.insert(0, Finder())
