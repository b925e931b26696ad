"""Write the page that shows a finished run.

python jobs/report.py configs/PROJECT.yaml
"""

from wslabel.cli import main

if __name__ == "__main__":
    main("run", "--only", "report")
