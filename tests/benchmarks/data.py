"""Real-sized data for benchmarks, made from a seed."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
import yaml
from PIL import Image

from wslabel.project.loading import load
from wslabel.project.project import Project

NUM_DIFFERENT = 48


def jpegs(folder: Path, count: int, size: tuple[int, int] = (1024, 768)) -> Path:
    """Fill a folder with JPEGs of a photo's size and detail; few differ, the others are links."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    originals = []
    for index in range(min(count, NUM_DIFFERENT)):
        path = folder / f"{index:06d}.jpg"
        path.write_bytes(photo(rng, size))
        originals.append(path)
    for index in range(len(originals), count):
        os.link(originals[index % len(originals)], folder / f"{index:06d}.jpg")
    return folder


def photo(rng: np.random.Generator, size: tuple[int, int]) -> bytes:
    """Draw smooth structures of several scales with some noise: about 200 kB as a photo has."""
    total = np.zeros((size[1], size[0], 3))
    for cells, weight in ((4, 90), (16, 50), (64, 30)):
        low = rng.normal(0, 1, (cells * 3 // 4, cells, 3))
        planes = [Image.fromarray(low[:, :, c].astype(np.float32)) for c in range(3)]
        total += weight * np.stack(
            [np.asarray(p.resize(size, Image.Resampling.BICUBIC)) for p in planes], 2
        )
    pixels = (128 + total + rng.normal(0, 5, total.shape)).clip(0, 255).astype(np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "JPEG", quality=88)
    return sink.getvalue()


def efficientnet(path: Path) -> Path:
    """Save an EfficientNet-B0 with seeded random weights: as fast as the pretrained one.

    A batch in training mode settles its normalization, so that activations have natural sizes and
    precisions can be compared.
    """
    torch.manual_seed(0)
    network = torchvision.models.efficientnet_b0()
    with torch.no_grad():
        for _ in range(2):
            network.train()(torch.randn(16, 3, 96, 96))
        network.classifier[1].weight.normal_(0, 0.2)
    torch.save(network.state_dict(), path)
    return path


def project(folder: Path, images: Path, weights: Path, **sections: Any) -> Project:
    """Write and load a project with EfficientNet-B0, color and thumbnail."""
    config = {
        "workspace": str(folder / "ws"),
        "classes": ["a", "b"],
        "images": {"source": "folder", "path": str(images), "shard_size": 250},
        "features": {
            "color": None,
            "thumbnail": None,
            "efficientnet": {
                "kind": "classifier",
                "model": "torchvision/efficientnet_b0",
                "weights": str(weights),
                "categories": [str(i) for i in range(1000)],
                "preprocess": {"resize": 256, "crop": 224, "interpolation": "bicubic"},
            },
        },
    } | sections
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(config))
    return load(path)
