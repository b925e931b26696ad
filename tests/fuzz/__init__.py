"""Hostile bytes for everything that reads strangers' files, guided by what code they reach.

`python -m tests.fuzz decode --minutes 10`; a target is one file under `targets/`. What was found
lies in `corpus/`, and an ordinary test replays it.
"""
