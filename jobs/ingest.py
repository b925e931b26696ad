"""List the images of a source into the manifest.

python jobs/ingest.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("run", "--only", "ingest")
