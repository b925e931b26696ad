"""Make the stand-ins of the demo: a small classifier, a small CLIP and a few word vectors.

They are real models in small configurations, trained for some minutes on drawn scenes other than
the demo's own, so that the demo runs where nothing can be downloaded. They say nothing about how
well the real networks do. `python configs/demo/make.py` writes them beside this file, by seed.
"""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import safetensors.torch
import timm
import torch
from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.word_vectors import write as write_vectors  # noqa: E402
from wslabel.config.preprocess import Preprocess  # noqa: E402
from wslabel.features.decode import Decoded  # noqa: E402
from wslabel.features.resize import prepare  # noqa: E402
from wslabel.sources.generated import jpeg, scene  # noqa: E402

SEED, DRAWN_SEED, NUM_IMAGES, SIZE = 7, 1_000_003, 1600, 96
CATEGORIES = {
    "sea": "seashore",
    "sunset_sea": "sunset",
    "green_lake": "lakeside",
    "jungle": "rain forest",
    "sky_jungle": "hill",
    "neither": "office building",
}
CLIP = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
CAPTIONS = {
    "sea": ("the sea", "a beach", "blue water", "waves at the beach", "a boat on the sea"),
    "sunset_sea": ("the sea at sunset", "a sunset", "the sun over the water", "an orange sky"),
    "green_lake": ("a lake", "green water", "a lake in the forest", "still water"),
    "jungle": ("a jungle", "a forest", "green trees", "leaves", "trees in the jungle"),
    "sky_jungle": ("trees under a blue sky", "a forest and the sky", "the sky over green trees"),
    "neither": ("a city", "houses", "gray buildings", "windows of a house"),
}
TOPICS = {
    "sea": ("sea", "ocean", "boat", "beach", "blue", "seashore", "coast", "water", "lakeside"),
    "jungle": ("forest", "jungle", "wood", "bush", "green", "rain", "tree"),
    "town": ("office", "building", "house", "street"),
}


def main() -> None:
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(mode=True)
    kinds = [scene(DRAWN_SEED, index).kind for index in range(NUM_IMAGES)]
    drawn = [_pixels(index) for index in range(NUM_IMAGES)]
    classifier(drawn, kinds)
    clip(drawn, kinds)
    word_vectors()
    total = sum(path.stat().st_size for path in HERE.iterdir() if path.suffix != ".py")
    print(f"{total / 2**20:.2f} MiB together")


def _pixels(index: int) -> Decoded:
    with Image.open(io.BytesIO(jpeg(DRAWN_SEED, index, SIZE))) as image:
        return Decoded(np.asarray(image.convert("RGB")), is_gray=False)


def _inputs(drawn: Sequence[Decoded], how: Preprocess) -> torch.Tensor:
    images = np.stack([prepare(one, how) for one in drawn])
    values = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (how.mean, how.std))
    return (values - mean) / std


def classifier(drawn: Sequence[Decoded], kinds: Sequence[str]) -> None:
    """Train timm's smallest EfficientNet to name what is drawn, on few images and not for long."""
    names = list(CATEGORIES)
    inputs = _inputs(drawn, Preprocess(resize=64, crop=64))
    targets = torch.tensor([names.index(kind) for kind in kinds])
    network = timm.create_model("test_efficientnet", num_classes=len(names))
    _train(network, inputs, lambda rows, out: torch.nn.functional.cross_entropy(out, targets[rows]))
    _save(network, "classifier.safetensors")
    (HERE / "categories.txt").write_text("\n".join(CATEGORIES.values()) + "\n")


def clip(drawn: Sequence[Decoded], kinds: Sequence[str]) -> None:
    """Train a small CLIP on drawn scenes and captions of theirs, with open_clip's own loss."""
    (HERE / "demo-clip.json").write_text(json.dumps(CLIP, indent=1) + "\n")
    open_clip.add_model_config(HERE / "demo-clip.json")
    model = open_clip.create_model("demo-clip")
    tokenize = open_clip.get_tokenizer("demo-clip")
    rng = np.random.default_rng(SEED)
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    size = CLIP["vision_cfg"]["image_size"]
    how = Preprocess(resize=size, crop=size, interpolation="bicubic", mean=mean, std=std)
    inputs = _inputs(drawn, how)
    texts = tokenize([str(rng.choice(CAPTIONS[kind])) for kind in kinds])
    loss = open_clip.ClipLoss()

    def contrast(rows: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        features = model(inputs[rows], texts[rows])
        return loss(*features[:3])

    _train(model, inputs, contrast, forward=False, epochs=6)
    _save(model, "demo-clip.safetensors")


def _train(network, inputs, loss_of, *, forward=True, epochs=4) -> None:  # type: ignore[no-untyped-def]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    network.train()
    for epoch in range(epochs):
        losses = []
        for rows in torch.randperm(len(inputs)).split(64):
            loss = loss_of(rows, network(inputs[rows]) if forward else None)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"{type(network).__name__} epoch {epoch}: {np.mean(losses):.3f}", flush=True)
    network.eval()


def _save(network: torch.nn.Module, name: str) -> None:
    state = {
        key: value.half() if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }
    safetensors.torch.save_file(state, HERE / name)


def word_vectors() -> None:
    """Write words of a topic around an axis of their own."""
    rng = np.random.default_rng(SEED)
    vectors = {
        word: np.eye(16)[axis] + rng.normal(0, 0.12, 16)
        for axis, words in enumerate(TOPICS.values())
        for word in words
    }
    write_vectors(HERE / "words.bin", vectors)


if __name__ == "__main__":
    main()
