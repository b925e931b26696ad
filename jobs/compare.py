"""Train every network over seeds and folds, and compare them on the same images.

python jobs/compare.py configs/PROJECT.yaml
"""

from wslabel.cli import loop

if __name__ == "__main__":
    loop("compare")
