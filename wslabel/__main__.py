"""`python -m wslabel` is the command `wslabel`, which imports nothing from the current folder."""

import os
import sys


def _run() -> None:
    # Python puts the folder in which it is called first: a traceback.py of a data set would be run.
    if not sys.flags.safe_path and sys.path[0] == os.getcwd():
        del sys.path[0]
    from wslabel.cli import main  # noqa: PLC0415 - only now the path is one to be trusted

    main()


if __name__ == "__main__":
    _run()
