"""Train the body that `pretraining` describes on images alone.

python jobs/pretrain.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("run", "--only", "pretrain")
