"""Search keys of a project for the network that validation likes best.

python jobs/sweep.py configs/SWEEP.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("sweep")
