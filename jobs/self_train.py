"""Correct labels by out-of-fold predictions, round by round, and train anew.

python jobs/self_train.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("self-train")
