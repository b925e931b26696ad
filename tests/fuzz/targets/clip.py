"""A model config of open_clip beside good weights: what the network takes, or a refusal."""

import json
import random
from collections.abc import Iterator

import open_clip
import torch

from tests.conftest import CLIP_CONFIG
from tests.fuzz import trees
from tests.fuzz.refusals import scratch, see_that_it_is_clear
from wslabel.errors import WslabelError
from wslabel.features import clip_model

READS = ("wslabel", "open_clip")
WORDS = (b"embed_dim", b"vision_cfg", b"text_cfg", b"image_size", b"layers", b"width", b"NaN")

FOLDER = scratch()
CONFIG, WEIGHTS = FOLDER / "tiny.json", FOLDER / "tiny.pt"
CONFIG.write_text(json.dumps(CLIP_CONFIG))
open_clip.add_model_config(CONFIG)
torch.manual_seed(0)
torch.save(open_clip.create_model("tiny").state_dict(), WEIGHTS)


def one_input(data: bytes) -> None:
    CONFIG.write_bytes(data)
    try:
        info = clip_model.describe(str(CONFIG), WEIGHTS)
    except WslabelError as error:
        see_that_it_is_clear(error)
        return
    assert info.embedding_dim


def seeds() -> Iterator[bytes]:
    yield json.dumps(CLIP_CONFIG).encode()
    yield json.dumps(CLIP_CONFIG | {"preprocess_cfg": {"mean": [0.5, 0.5, 0.5]}}).encode()


def mutated(data: bytes, rng: random.Random) -> bytes:
    return json.dumps(trees.damaged(json.loads(data), rng)).encode()
