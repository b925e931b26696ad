"""Compare votes, labels and predictions with truth.

python jobs/evaluate.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("run", "--only", "evaluate")
