"""Train the body that `pretraining` describes on images alone.

python jobs/pretrain.py configs/PROJECT.yaml
"""

from wslabel.cli import job
from wslabel.errors import ConfigError
from wslabel.pipeline import Outcome, pretrain
from wslabel.settings import Project


def stage(project: Project) -> Outcome:
    """Pretrain, where the project says how."""
    if project.pretraining is None:
        raise ConfigError("pretraining: is missing; configs/demo-pretraining.yaml has one")
    return pretrain(project)


if __name__ == "__main__":
    job(stage)
