"""Train a network per kind of label.

python jobs/train.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("run", "--only", "train")
