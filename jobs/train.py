"""Train a network per kind of label.

python jobs/train.py configs/PROJECT.yaml
"""

from wslabel.cli import job
from wslabel.pipeline import train

if __name__ == "__main__":
    job(train)
