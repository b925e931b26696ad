"""Search keys of a project for the network that validation likes best.

python jobs/sweep.py configs/SWEEP.yaml
"""

import sys

from wslabel.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "sweep")
    main()
