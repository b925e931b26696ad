"""The CSV files of Open Images, one after the other with a line of their own between them."""

import random
from collections.abc import Iterator

from tests.fuzz.refusals import listed, scratch
from tests.hostile.damage import damaged
from wslabel.sources.openimages import OpenImagesConfig

READS = ("wslabel",)
WORDS = (b"LabelName", b"DisplayName", b"ImageID", b"Confidence", b"Title", b"/m/06npx", b"Sea",
         b"Jungle", b"0.5", b"nan", b'"', b"\r\n", b"\xef\xbb\xbf", b"\n--8<--\n")  # fmt: skip

FOLDER = scratch()
NAMES = ("classes.csv", "trainable.txt", "labels.csv", "titles.csv")
BETWEEN = b"\n--8<--\n"
GOOD = (
    b"LabelName,DisplayName\n/m/06npx,Sea\n/m/0cqhc,Jungle\n/m/01bqk0,Bicycle\n",
    b"/m/06npx\n/m/0cqhc\n",
    b"ImageID,Source,LabelName,Confidence\na,v,/m/06npx,1\nb,v,/m/0cqhc,1\nb,v,/m/06npx,0\n"
    b"c,v,/m/06npx,1\nc,v,/m/0cqhc,1\n",
    b'ImageID,Title,Author\na,"Waves, high",x\nb,,y\n',
)


def one_input(data: bytes) -> None:
    parts = [*data.split(BETWEEN), *[b""] * len(NAMES)]
    for name, part in zip(NAMES, parts, strict=False):
        (FOLDER / name).write_bytes(part)
    classes, trainable, labels, titles = (str(FOLDER / name) for name in NAMES)
    values: dict[str, object] = {
        "source": "openimages",
        "classes": {"sea": "Sea", "jungle": ["jungle"]},
        "class_descriptions": classes,
        "trainable_classes": trainable,
        "labels": {"train": labels},
    }
    if parts[3]:
        values |= {"image_metadata": {"train": titles}, "metadata": ["Title"]}
    listed(OpenImagesConfig.model_validate(values), FOLDER)


def seeds() -> Iterator[bytes]:
    yield BETWEEN.join(GOOD)
    yield BETWEEN.join(GOOD[:3])
    yield BETWEEN.join(part.replace(b"\n", b"\r\n") for part in GOOD)


def mutated(data: bytes, rng: random.Random) -> bytes:
    parts = data.split(BETWEEN)
    choice = rng.randrange(len(parts))
    parts[choice] = damaged(parts[choice], rng)
    return BETWEEN.join(parts)
