"""Fit the label model and label all images.

python jobs/label.py configs/PROJECT.yaml
"""

from wslabel.cli import job
from wslabel.pipeline import label

if __name__ == "__main__":
    job(label)
