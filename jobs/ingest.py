"""List the images of a source into the manifest.

python jobs/ingest.py configs/PROJECT.yaml
"""

from wslabel.cli import job
from wslabel.pipeline import ingest

if __name__ == "__main__":
    job(ingest)
