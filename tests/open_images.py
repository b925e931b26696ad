"""Write Open Images' own CSV files in their real formats, in small."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

SEA, OCEAN, JUNGLE, FOREST, CAT = "/m/06npx", "/m/05kq4", "/m/01y3fy", "/m/02zr8", "/m/01yrx"
NAMES = {SEA: "Sea", OCEAN: "Ocean", JUNGLE: "Jungle", FOREST: "Forest", CAT: "Cat"}
HEADER = "ImageID,Source,LabelName,Confidence"


@dataclass
class Release:
    """One release of the data set in a folder; `labels` are (image, label id, confidence)."""

    folder: Path
    labels: dict[str, list[tuple[str, str, int]]] = field(default_factory=dict)
    has_header: bool = True
    not_trainable: tuple[str, ...] = ()

    def write(self) -> dict[str, object]:
        """Write the files and give the settings that name them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        head = ["LabelName,DisplayName"] if self.has_header else []
        rows = [
            f'{label},"{name}"' if "," in name else f"{label},{name}"
            for label, name in NAMES.items()
        ]
        descriptions = self._file("oidv7-class-descriptions.csv", [*head, *rows])
        trainable = [label for label in NAMES if label not in self.not_trainable]
        files = {}
        for split, labels in self.labels.items():
            short = "val" if split == "validation" else split
            lines = [f"{image},verification,{label},{sure}" for image, label, sure in labels]
            name = f"oidv7-{short}-annotations-human-imagelabels.csv"
            files[split] = self._file(name, [HEADER, *lines])
        return {
            "source": "openimages",
            "class_descriptions": descriptions,
            "trainable_classes": self._file("oidv7-classes-trainable.txt", trainable),
            "labels": files,
        }

    def _file(self, name: str, lines: Iterable[str]) -> str:
        (self.folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(self.folder / name)


def image_metadata(path: Path, titles: dict[str, str]) -> str:
    """Write the data set's image metadata; titles may have commas and quotes."""
    lines = ["ImageID,Subset,OriginalURL,License,Author,Title,Rotation"]
    for image, title in titles.items():
        quoted = '"' + title.replace('"', '""') + '"'
        lines.append(f"{image},train,https://x/{image},https://cc/by,An Author,{quoted},0.0")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)
