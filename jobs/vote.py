"""Let every labeling function vote on every image.

python jobs/vote.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("run", "--only", "vote")
