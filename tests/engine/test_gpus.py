"""Only who was given a GPU sees one."""

import json
import os
import subprocess
import sys

import pytest

from wslabel.engine.gpus import GIVEN, has_gpu, keep_to

HIDDEN = ("RAY_ADDRESS", "CUDA_VISIBLE_DEVICES", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", GIVEN)
NONE, FIRST = ["", False], ["0", True]


@pytest.mark.long
def test_workers_see_the_gpus_that_they_reserved_and_no_others() -> None:
    environment = {k: v for k, v in os.environ.items() if k not in HIDDEN}
    command = [sys.executable, "-m", "tests.engine.see_gpus"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "bare": "",
        "driver": [None, False],
        "once": NONE,
        "once_with_gpu": FIRST,
        "task": NONE,
        "actor": NONE,
        "actor_with_gpu": FIRST,
        "halves": [NONE, FIRST],
    }


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (GIVEN, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "1")  # put back afterwards, whatever a test does
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("_environment")
def test_what_others_let_a_process_see_is_not_what_it_was_given() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "0,1"
    assert not has_gpu()
    keep_to(["1"])
    assert has_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"  # which Ray has set, and more finely
    keep_to([])
    assert not has_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
