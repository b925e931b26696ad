"""Train the body that `pretraining` describes on images alone.

python jobs/pretrain.py configs/PROJECT.yaml
"""

from wslabel.cli import job
from wslabel.pipeline import pretrain

if __name__ == "__main__":
    job(pretrain)
