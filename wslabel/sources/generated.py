"""Generated source: drawn scenes as JPEG files, for demos and tests where no photo may be fetched.

Easy and hard cases: of the seas some lie in a red sunset and some are green lakes, of the jungles
some stand under a wide blue sky, and some scenes are neither. Titles help now and then, and mislead
now and then.
"""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw
from pydantic import Field

from wslabel.config.paths import AnyPath
from wslabel.sources.listing import LISTING, check
from wslabel.sources.source import SourceConfig, SourceContext
from wslabel.storage.location import Location

SHARES = {
    "sea": 0.28,
    "sunset_sea": 0.12,
    "green_lake": 0.08,
    "jungle": 0.26,
    "sky_jungle": 0.14,
    "neither": 0.12,
}
"""Share of the images that each kind of scene gets."""

SHOWS = {
    "sea": "sea",
    "sunset_sea": "sea",
    "green_lake": "sea",
    "jungle": "jungle",
    "sky_jungle": "jungle",
    "neither": None,
}
"""What each kind of scene shows; None where it is neither sea nor jungle."""

TITLES = {
    "sea": ("Waves at the beach", "By the sea", "Sailing boat", "A day at the coast", "High tide"),
    "jungle": ("In the forest", "Rain forest walk", "Old trees", "Jungle path", "Under the leaves"),
    None: ("Holidays", "IMG_{number}", "With friends", "Morning light", "{number}"),
}
TELLING, MISLEADING, UNTITLED = 0.5, 0.07, 0.1
"""Shares of the titles that help and that mislead, and of the images that have none."""

THREADS = 8
"""Images drawn at a time."""

Pixels = np.ndarray


@dataclass(frozen=True)
class Scene:
    """What one image shows, and what it is called.

    Attributes:
        kind: Key of `SHARES`.
        title: Words that help or mislead; None where the image is untitled.
    """

    kind: str
    title: str | None


class GeneratedConfig(SourceConfig):
    """Drawn scenes as JPEG files: sea, jungle, and hard cases between them.

    Scenes of no class have no truth. A column `title` travels along.

    Attributes:
        source: Name of this kind of source.
        path: Folder or S3 prefix into which the images are drawn.
        count: Number of images.
        size: Height of an image in pixels; its width is four thirds of that.
        classes: What is drawn of each class: `sea` or `jungle`.
    """

    source: Literal["generated"]
    path: AnyPath
    count: int = Field(600, ge=1, le=10_000_000)
    size: int = Field(96, ge=16, le=4096)
    classes: dict[str, Literal["sea", "jungle"]] = {"sea": "sea", "jungle": "jungle"}

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {"path", "count"}

    @property
    def known_elsewhere(self) -> Literal["same"]:
        """Say that an id stands for the same image wherever it lies."""
        return "same"

    @property
    def own_places(self) -> tuple[str, ...]:
        """Name the folder of the images."""
        return (self.path,)

    @property
    def metadata_columns(self) -> tuple[str, ...]:
        """The titles."""
        return ("title",)

    def list_images(self, context: SourceContext) -> pa.Table:
        """Draw the images that are not there yet, and list all."""
        folder = Location(self.path, context.s3)
        names = [f"{index:06d}.jpg" for index in range(self.count)]
        _draw_missing(folder, names, self.seed, self.size)
        scenes = [scene(self.seed, index) for index in range(self.count)]
        classes: dict[str | None, str] = {shown: name for name, shown in self.classes.items()}
        columns = {
            "image_id": names,
            "uri": [folder.uri(name) for name in names],
            "split": [None] * len(names),
            "truth": [classes.get(SHOWS[s.kind]) for s in scenes],
            "title": [s.title for s in scenes],
        }
        schema = LISTING.append(pa.field("title", pa.string()))
        return check(pa.table(columns, schema=schema), "drawn")


def _draw_missing(folder: Location, names: list[str], seed: int, size: int) -> None:
    there = {entry.path for entry in folder.files("")}
    missing = [index for index, name in enumerate(names) if name not in there]

    def draw(index: int) -> None:
        folder.create(names[index], jpeg(seed, index, size))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(draw, missing))


def scene(seed: int, index: int) -> Scene:
    """Choose what an image shows, by seed."""
    rng = np.random.default_rng([seed, index, 0])
    kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    shown, luck = SHOWS[kind], rng.random()
    if luck < UNTITLED:
        return Scene(kind, None)
    topic = None
    if luck < UNTITLED + TELLING:
        topic = shown
    elif luck < UNTITLED + TELLING + MISLEADING:
        topic = str(rng.choice([name for name in TITLES if name not in (shown, None)]))
    title = str(rng.choice(TITLES[topic])).format(number=1000 + index)
    return Scene(kind, title)


def jpeg(seed: int, index: int, size: int) -> bytes:
    """Draw an image of `size` x 4/3 `size` pixels, by seed."""
    rng = np.random.default_rng([seed, index, 1])
    pixels = DRAW[scene(seed, index).kind](rng, size, size * 4 // 3)
    pixels = pixels + rng.normal(0, 6, pixels.shape) + rng.normal(0, 8, 3)
    sink = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(sink, "JPEG", quality=88)
    return sink.getvalue()


def _smooth(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """Give noise around zero with so many bumps down and across."""
    low = rng.normal(0, 1, (max(2, cells[0]), max(2, cells[1]))).astype(np.float32)
    image = Image.fromarray(low).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(image, float)


def _gradient(height: int, width: int, top: Pixels, bottom: Pixels) -> Pixels:
    down = np.linspace(0, 1, height)[:, None, None]
    return np.broadcast_to(top * (1 - down) + bottom * down, (height, width, 3)).copy()


def _sky(rng: np.random.Generator, height: int, width: int) -> Pixels:
    blue = np.array([rng.uniform(90, 170), rng.uniform(150, 200), rng.uniform(205, 250)])
    sky = _gradient(height, width, blue, np.array([205, 222, 240.0]))
    clouds = _smooth(rng, (height, width), (4, 6)).clip(0, None)[..., None]
    return np.asarray(sky + (255 - sky) * (clouds * rng.uniform(0, 0.6)).clip(0, 1))


def _water(rng: np.random.Generator, height: int, width: int, color: Pixels) -> Pixels:
    water = _gradient(height, width, color * 1.15, color * 0.75)
    waves = _smooth(rng, (height, width), (height // 3, 5)) + _smooth(rng, (height, width), (9, 3))
    return np.asarray(water + waves[..., None] * rng.uniform(8, 18))


def _leaves(rng: np.random.Generator, height: int, width: int) -> Pixels:
    green = np.array([rng.uniform(25, 80), rng.uniform(85, 140), rng.uniform(25, 60)])
    coarse, fine = (
        _smooth(rng, (height, width), (height // cell, width // cell))[..., None]
        for cell in (16, 4)
    )
    return green * (1 + 0.25 * coarse + 0.3 * fine)


def _sea(rng: np.random.Generator, height: int, width: int) -> Pixels:
    horizon = int(height * rng.uniform(0.25, 0.55))
    color = np.array([rng.uniform(10, 60), rng.uniform(80, 130), rng.uniform(130, 200)])
    image = np.concatenate([_sky(rng, horizon, width), _water(rng, height - horizon, width, color)])
    if rng.random() < 0.45:
        edge = height * rng.uniform(0.7, 0.9) + 6 * _smooth(rng, (1, width), (2, 4))[0]
        sand = np.arange(height)[:, None] > edge[None]
        image[sand] = np.array([222, 200, 155]) + rng.normal(0, 8, (int(sand.sum()), 1))
    if rng.random() < 0.35:
        image = _boat(rng, image, horizon)
    return image


def _boat(rng: np.random.Generator, image: Pixels, horizon: int) -> Pixels:
    canvas = Image.fromarray(image.clip(0, 255).astype(np.uint8))
    draw, width = ImageDraw.Draw(canvas), image.shape[1]
    x, size = rng.uniform(0.15, 0.75) * width, width * rng.uniform(0.06, 0.14)
    y = horizon + size * 0.5
    draw.polygon([(x, y), (x, y - 1.6 * size), (x + size, y)], fill=(245, 245, 240))
    draw.rectangle([x - size * 0.6, y, x + size * 1.1, y + size * 0.3], fill=(110, 60, 40))
    return np.asarray(canvas, float)


def _sunset_sea(rng: np.random.Generator, height: int, width: int) -> Pixels:
    horizon = int(height * rng.uniform(0.35, 0.6))
    high = np.array([rng.uniform(90, 200), rng.uniform(50, 90), rng.uniform(60, 120)])
    sky = _gradient(horizon, width, high, np.array([250, rng.uniform(130, 180), 70.0]))
    color = np.array([rng.uniform(110, 170), rng.uniform(60, 90), rng.uniform(50, 80)])
    image = np.concatenate([sky, _water(rng, height - horizon, width, color)])
    y, x = np.ogrid[:height, :width]
    radius = ((y - horizon * 0.8) ** 2 + (x - width * rng.uniform(0.2, 0.8)) ** 2) ** 0.5
    return np.asarray(image + (255 - image) * np.exp(-((radius / (width * 0.06)) ** 2))[..., None])


def _green_lake(rng: np.random.Generator, height: int, width: int) -> Pixels:
    horizon = int(height * rng.uniform(0.2, 0.4))
    color = np.array([rng.uniform(30, 60), rng.uniform(110, 150), rng.uniform(70, 105)])
    shore = _leaves(rng, horizon, width)
    return np.concatenate([shore, _water(rng, height - horizon, width, color)])


def _jungle(rng: np.random.Generator, height: int, width: int) -> Pixels:
    image = _leaves(rng, height, width)
    for _ in range(rng.integers(2, 7)):
        left, thick = rng.uniform(0, width), rng.uniform(0.015, 0.05) * width
        lean = rng.uniform(-0.15, 0.15)
        y, x = np.mgrid[:height, :width]
        trunk = np.abs(x - left - lean * y) < thick
        trunk &= y > height * rng.uniform(0, 0.4)
        image[trunk] = np.array([70, 52, 38]) * rng.uniform(0.6, 1.3)
    return image


def _sky_jungle(rng: np.random.Generator, height: int, width: int) -> Pixels:
    image = _sky(rng, height, width)
    edge = height * rng.uniform(0.55, 0.75) + 9 * _smooth(rng, (1, width), (2, 12))[0]
    trees = np.arange(height)[:, None] > edge[None]
    image[trees] = _jungle(rng, height, width)[trees]
    return image


def _neither(rng: np.random.Generator, height: int, width: int) -> Pixels:
    tint = rng.uniform(0.85, 1.15, 3)
    image = _gradient(height, width, np.array([190, 195, 205.0]), np.array([150, 150, 150.0]))
    canvas = Image.fromarray((image * tint).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    left = 0.0
    while left < width:
        wide, top = width * rng.uniform(0.1, 0.25), height * rng.uniform(0.15, 0.6)
        shade = tuple(
            int(c) for c in np.clip(rng.uniform(70, 170) * tint * [1, 0.97, 0.93], 0, 255)
        )
        draw.rectangle([left, top, left + wide, height], fill=shade)
        for y in np.arange(top + 4, height - 4, 9):
            for x in np.arange(left + 3, left + wide - 4, 8):
                lit = (240, 220, 150) if rng.random() < 0.3 else (50, 55, 65)
                draw.rectangle([x, y, x + 3, y + 4], fill=lit)
        left += wide
    return np.asarray(canvas, float)


DRAW = {
    "sea": _sea,
    "sunset_sea": _sunset_sea,
    "green_lake": _green_lake,
    "jungle": _jungle,
    "sky_jungle": _sky_jungle,
    "neither": _neither,
}
