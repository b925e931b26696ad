"""A commented project file for a folder of images, as a place to start from."""

from collections import Counter
from pathlib import PurePosixPath

from wslabel.config.base import S3
from wslabel.config.yaml_file import quoted
from wslabel.errors import SourceError
from wslabel.sources.listing import left_out
from wslabel.sources.source import EXTENSIONS
from wslabel.storage.location import Location

TEMPLATE = """\
# A wslabel project over {where}: {count:,} images.
# Change what you like and run it again: wslabel run {file}
workspace: {workspace}        # all tables live here; s3://bucket/prefix works too

# Order gives the class ids. {classes_note}
classes: [{classes}]

images:
  source: folder
  path: {path}
{truth}  split: {{train: 0.7, val: 0.1, test: 0.2}}

# What is computed of every image, once. These two need no network. Real ones are fetched by name:
#   efficientnet: {{kind: classifier, model: torchvision/efficientnet_b0, weights: DEFAULT}}
#   clip: {{kind: clip, model: ViT-B-32, weights: laion2b_s34b_b79k}}
features:
  color: {{}}
  thumbnail: {{size: 256}}

# Labeling functions vote for a class or abstain. With the networks above, others become possible:
#   - {{name: clip_scene, kind: similarity, feature: clip, margin: 0.02,
#      prompts: {{{first}: {first_photo}, {second}: {second_photo}}}}}
#   - {{name: like_this, kind: similarity, feature: clip, image: example.jpg, class: {first},
#      present_above: {{quantile: 0.9}}}}
#   - {{name: listed, kind: category, feature: efficientnet, categories: {{{first}: [seashore]}}}}
labeling_functions:
  - {{name: mean_color, kind: color, statistic: mean, votes: {{blue: {first}, green: {second}}}}}
  - {{name: pixel_color, kind: color, statistic: pixel, votes: {{blue: {first}, green: {second}}}}}

# Snorkel's label model takes over at three labeling functions: {{kind: snorkel}}
label_model: {{kind: majority}}

# A network trained on the weak labels, once there is something worth learning:
# training: {{network: torchvision/mobilenet_v3_small, feature: thumbnail, labels: [soft, hard]}}
"""


LONGEST_KEY = 1000
"""Letters of a key that YAML takes without a question mark."""


def _truth(name: str) -> str:
    word = quoted(name)
    entry = f"{word}: {word}" if len(word) < LONGEST_KEY else f"? {word}\n    : {word}"
    return f"\n    {entry}"


def project_for(folder: str, file: str, s3: S3) -> str:
    """Write a project over a folder; its largest subfolders become the classes.

    Args:
        folder: absolute path or S3 prefix of the images.
        file: name of the project file to be.
        s3: how to reach S3.

    Raises:
        SourceError: the folder holds no image.
    """
    skipped: Counter[str] = Counter()
    entries = Location(folder, s3).files("", recursive=True, left_out=skipped)
    paths = [PurePosixPath(entry.path) for entry in entries]
    images = [path for path in paths if path.suffix.lower() in EXTENSIONS]
    if not images:
        choice = ", ".join(EXTENSIONS)
        raise SourceError(f"{folder}: no image found; expected {choice}{left_out(skipped)}")
    counts = Counter(str(path.parent) for path in images if str(path.parent) != ".")
    names = sorted(name for name, _ in counts.most_common(10))
    has_truth = len(names) > 1
    classes = names if has_truth else ["this", "that"]
    own = "".join(map(_truth, names))
    note = "Found as folders." if has_truth else "Name what you are looking for."
    return TEMPLATE.format(
        where=quoted(folder),
        count=len(images),
        file=quoted(file),
        workspace=quoted(f"workspaces/{PurePosixPath(file).stem}"),
        classes=", ".join(map(quoted, classes)),
        classes_note=note,
        path=quoted(folder),
        truth=f"  classes:      # truth, to measure by{own}\n" if has_truth else "",
        first=quoted(classes[0]),
        second=quoted(classes[1]),
        first_photo=quoted(f"a photo of {classes[0]}"),
        second_photo=quoted(f"a photo of {classes[1]}"),
    )
