"""Make `workspace.tar.gz` anew: `python -m tests.old_workspace.make`.

Only for a version that must name tables anew, which is the rarest thing; it says so in the log.
"""

import shutil
import tarfile
import tempfile
from pathlib import Path

from wslabel import pipeline
from wslabel.engine.execute import disconnect
from wslabel.project.loading import load

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "configs" / "demo"


def lay_out(root: Path) -> Path:
    """Put the project where its paths are right, and give its folder."""
    folder = root / "tests" / "old"
    folder.mkdir(parents=True)
    shutil.copytree(DEMO, root / "configs" / "demo")
    for name in ("project.yaml", "lfs.py"):
        shutil.copy(HERE / name, folder)
    return folder


def extract(name: str, folder: Path) -> None:
    """Unpack one of the archives beside this file."""
    with tarfile.open(HERE / name) as tar:
        tar.extractall(folder, filter="data")


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = lay_out(Path(root))
        extract("workspace.tar.gz", folder)  # for example.jpg
        shutil.rmtree(folder / "workspace")
        list(pipeline.run(load(folder / "project.yaml")))
        disconnect()
        shutil.rmtree(folder / "workspace" / "logs")  # which tell of a machine
        with tarfile.open(HERE / "workspace.tar.gz", "w:gz") as tar:
            for name in ("workspace", "example.jpg"):
                tar.add(folder / name, name)


if __name__ == "__main__":
    main()
