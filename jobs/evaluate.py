"""Compare votes, labels and predictions with truth.

python jobs/evaluate.py configs/PROJECT.yaml
"""

from wslabel.cli import job
from wslabel.pipeline import evaluate

if __name__ == "__main__":
    job(evaluate)
