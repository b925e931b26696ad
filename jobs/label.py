"""Fit the label model and label all images.

python jobs/label.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("run", "--only", "label")
