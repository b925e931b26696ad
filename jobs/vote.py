"""Let every labeling function vote on every image.

python jobs/vote.py configs/PROJECT.yaml
"""

from wslabel.cli import job
from wslabel.pipeline import vote

if __name__ == "__main__":
    job(vote)
