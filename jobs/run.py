"""Do what is not yet done of a project, in order: the whole story.

python jobs/run.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("run")
