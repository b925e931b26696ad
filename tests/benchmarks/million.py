"""A workspace with the features of a million images, as a run stores them.

A 512-dimensional CLIP embedding, the top five categories, colors; ten labeling functions: two by
color, one by category, seven by similarity. The vectors of prompts and words are made when they
are first asked for.
"""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pyarrow as pa
import torch
import yaml
from PIL import Image

from tests.benchmarks.data import efficientnet
from tests.word_vectors import FOREST, SEA, two_topics
from wslabel import schema
from wslabel.columns import to_column
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.storage.table import shard_name
from wslabel.workspace.workspace import Workspace

NUM_IMAGES, SHARD = 1_000_000, 512
CLIP = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 1},
}


def project(root: Path, **features: Any) -> Project:
    torch.manual_seed(0)
    (root / "c512.json").write_text(json.dumps(CLIP))
    open_clip.add_model_config(root / "c512.json")
    torch.save(open_clip.create_model("c512").state_dict(), root / "c512.pt")
    two_topics(root / "words.bin")
    categories = [*SEA, *FOREST]
    config = {
        "workspace": "ws",
        "classes": ["jungle", "sea"],
        "images": {"source": "folder", "path": str(root), "shard_size": SHARD},
        "features": {
            "color": None,
            "net": {
                "kind": "classifier",
                "weights": str(efficientnet(root / "b0.pth")),
                "categories": [categories[i % len(categories)] for i in range(1000)],
                "preprocess": {},
                "precision": "float32",
            },
            "clip": {
                "kind": "clip",
                "model": str(root / "c512.json"),
                "weights": str(root / "c512.pt"),
                "precision": "float32",
            },
            **features,
        },
        "labeling_functions": _functions(),
    }
    (root / "p.yaml").write_text(yaml.safe_dump(config))
    return load(root / "p.yaml")


def _functions() -> list[dict[str, Any]]:
    colors = {"blue": "sea", "green": "jungle"}
    words = {"sea": ["sea", "boat"], "jungle": ["forest", "jungle"]}
    functions: list[dict[str, Any]] = [
        {"name": "mean", "kind": "color", "statistic": "mean", "votes": colors},
        {"name": "pixel", "kind": "color", "statistic": "pixel", "votes": colors},
        {
            "name": "words",
            "kind": "category",
            "feature": "net",
            "word_vectors": "words.bin",
            "words": words,
        },
    ]
    prompts = [
        ("the sea", "a forest"),
        ("a beach", "a jungle"),
        ("blue water", "green trees"),
        ("a boat", "a path"),
    ]
    for number, (sea, jungle) in enumerate(prompts):
        pair = {"sea": f"a photo of {sea}", "jungle": f"a photo of {jungle}"}
        functions.append(
            {
                "name": f"pair{number}",
                "kind": "similarity",
                "feature": "clip",
                "prompts": pair,
                "margin": 0.01,
            }
        )
    for number, text in enumerate(("waves", "leaves", "sand")):
        functions.append(
            {
                "name": f"one{number}",
                "kind": "similarity",
                "feature": "clip",
                "text": text,
                "class": "sea",
                "present_above": 0.05,
            }
        )
    return functions


def fill(made: Project) -> None:
    """Write the tables of a million images; all shards are alike, which voting does not notice."""
    rng = np.random.default_rng(0)
    workspace = Workspace(made)
    ids = pa.array([f"train/{i:016x}.jpg" for i in rng.integers(0, 2**62, SHARD)])
    columns: dict[str, np.ndarray] = {
        f"mean_{c}": rng.uniform(0, 255, SHARD) for c in ("red", "green", "blue")
    }
    columns |= {f"pixels_{c}": rng.integers(0, 10**6, SHARD) for c in ("red", "green", "blue")}
    columns["category_ids"] = rng.integers(0, 1000, (SHARD, 5)).astype(np.int16)
    columns["category_probabilities"] = rng.uniform(0, 1, (SHARD, 5)).astype(np.float32)
    vectors = rng.normal(0, 1, (SHARD, 512))
    columns["embedding"] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(
        np.float16
    )
    sink = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)).save(sink, "JPEG")
    columns["jpeg"] = np.array([sink.getvalue()] * SHARD, object)
    rows = np.arange(SHARD)
    text = pa.array(["x"] * SHARD)
    splits = pa.array(rng.choice(schema.SPLITS, SHARD, p=[0.7, 0.1, 0.2]))
    truth = pa.array(rng.choice(made.classes, SHARD))
    images = pa.Table.from_arrays([ids, text, splits, truth], schema=schema.IMAGES)
    tables = {workspace.images: images}
    for extractor in workspace.extractors.values():
        arrays = [to_column(columns[f.name], rows, SHARD, f) for f in extractor.columns]
        fields = schema.feature_table(extractor.columns)
        own = pa.Table.from_arrays([ids, *arrays, pa.nulls(SHARD, pa.string())], schema=fields)
        tables[extractor.table(workspace.location)] = own
    for table, shard_rows in tables.items():
        table.commit(shard_name(0), [shard_rows])
        place = Path(made.workspace, table.folder)
        data = (place / shard_name(0)).read_bytes()
        for shard in range(1, -(-NUM_IMAGES // SHARD)):
            with open(place / shard_name(shard), "wb", buffering=0) as stream:
                stream.write(data)
    os.sync()
