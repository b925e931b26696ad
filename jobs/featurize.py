"""Run the networks and the color and thumbnail extractors over all images.

python jobs/featurize.py configs/PROJECT.yaml
"""

from wslabel.cli import job
from wslabel.pipeline import featurize

if __name__ == "__main__":
    job(featurize)
