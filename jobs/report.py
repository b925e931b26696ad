"""Write the page that shows a finished run.

python jobs/report.py configs/PROJECT.yaml
"""

from wslabel.cli import job
from wslabel.pipeline import report

if __name__ == "__main__":
    job(report)
