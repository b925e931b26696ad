"""`python -m wslabel` is the command `wslabel`."""

from wslabel.cli import main

if __name__ == "__main__":
    main()
