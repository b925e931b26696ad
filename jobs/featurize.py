"""Run the networks and the color and thumbnail extractors over all images.

python jobs/featurize.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("run", "--only", "featurize")
