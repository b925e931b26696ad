"""Run the trained networks over all images.

python jobs/predict.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("run", "--only", "predict")
