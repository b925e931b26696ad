"""Train every network over seeds and folds, and compare them on the same images.

python jobs/compare.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("compare")
