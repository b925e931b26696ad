"""Images/s that one worker fetches ahead of a decoder that does nothing, from disk and the web.

The server is a process of its own on this machine. CPU seconds of this process say what fetching
takes away from decoding; they hang less on what else the machine does.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks.data import jpegs
from tests.conftest import tiny_config, write_config
from wslabel.project.loading import load
from wslabel.sources.allowed import Allowed
from wslabel.stages.featurize.featurize import featurize_step
from wslabel.stages.featurize.prepare import ImagePreparer, PreparedImage
from wslabel.workspace.workspace import Workspace

COUNT, ROUNDS = 512, 5
SERVER = """
import functools, http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
handler = functools.partial(Handler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder = jpegs(root / "photos", COUNT)
        files = sorted(folder.rglob("*.jpg"))
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        web = f"http://127.0.0.1:{int(server.stdout.readline())}"
        try:
            uris = {
                "disk": [str(file) for file in files],
                "web": [f"{web}/{file.relative_to(folder)}" for file in files],
            }
            return {kind: _rates(root, web, of) for kind, of in uris.items()} | {
                "cores": os.cpu_count()
            }
        finally:
            server.kill()
            server.wait()


class Nothing(ImagePreparer):
    """Does nothing with what was fetched."""

    def all(self, fetched: Iterable[bytes | str]) -> Iterator[PreparedImage]:
        for what in fetched:
            assert isinstance(what, bytes)
            yield PreparedImage()


def _rates(root: Path, web: str, uris: list[str]) -> dict[str, float]:
    """Fetch all images some times over; give the best round, which was disturbed least."""
    project = load(write_config(root / "p.yaml", tiny_config(root / "photos")))
    step = replace(featurize_step(Workspace(project)), allowed=Allowed((web, str(root))))
    preparer = Nothing((), (), step.decoder)
    rates, costs = [], []
    for _ in range(ROUNDS):
        cpu, start = _cpu_s(), time.monotonic()
        assert len(step.prepare_all(preparer, uris, isolated=False)) == len(uris)
        rates.append(len(uris) / (time.monotonic() - start))
        costs.append(1000 * (_cpu_s() - cpu) / len(uris))
    return {"images_per_s": max(rates), "cpu_ms_per_image": min(costs)}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
