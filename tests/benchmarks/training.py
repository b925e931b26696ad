"""What the benchmarks of training share: thumbnails of photos, truth, and a project over them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from PIL import Image

from tests.benchmarks.data import NUM_DIFFERENT, photo
from wslabel import pipeline, schema
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.storage.table import in_pieces, shard_name
from wslabel.workspace.workspace import Workspace

FINE = {"resize": 256, "crop": 224}


def thumbnails(count: int) -> list[bytes]:
    """Make JPEGs of a thumbnail's size and detail; few differ."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(min(count, NUM_DIFFERENT)):
        image = Image.open(io.BytesIO(photo(rng, (512, 384)))).resize((341, 256))
        sink = io.BytesIO()
        image.save(sink, "JPEG", quality=90)
        made.append(sink.getvalue())
    return [made[i % len(made)] for i in range(count)]


def project(folder: Path, count: int, training: dict[str, Any], **sections: Any) -> Project:
    """Fill a workspace with thumbnails as featurizing would, and load a project over it."""
    config = {
        "workspace": str(folder / "ws"),
        "classes": ["a", "b"],
        "images": {"source": "table", "path": "images.csv", "truth": "truth"}
        | {"classes": {"a": "a", "b": "b"}, "split": {"train": 0.9, "val": 0.1, "test": 0.0}},
        "features": {"thumbnail": {"size": 256}},
        "training": {"feature": "thumbnail", "labels": "original"} | training,
    } | sections
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{i:06d}.jpg,{'ab'[i % 2]}" for i in range(count)]
    (folder / "images.csv").write_text("uri,truth\n" + "\n".join(lines) + "\n")
    (folder / "p.yaml").write_text(yaml.safe_dump(config))
    made = load(folder / "p.yaml")
    pipeline.run_stage(made, "ingest")
    _fill(Workspace(made), thumbnails(count))
    return made


def _fill(workspace: Workspace, jpegs: list[bytes]) -> None:
    extractor = workspace.extractors["thumbnail"]
    table, fields = extractor.table(workspace.location), schema.feature_table(extractor.columns)
    for shard in workspace.shards:
        ids = workspace.images.read(shard_name(shard), ["image_id"]).column(0)
        own = [jpegs[int(name.partition(".")[0])] for name in ids.to_pylist()]
        columns = [ids.combine_chunks(), pa.array(own, pa.binary())]
        columns.append(pa.nulls(len(own), pa.string()))
        table.commit(shard_name(shard), in_pieces(pa.Table.from_arrays(columns, schema=fields)))
