"""Run the trained networks over all images.

python jobs/predict.py configs/PROJECT.yaml
"""

from wslabel.cli import job
from wslabel.pipeline import predict

if __name__ == "__main__":
    job(predict)
