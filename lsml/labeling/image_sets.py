"""Sets of images whose objects others drew: COCO files and YOLO folders. In: a path; out: images, each with its objects."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from lsml.errors import RequestError

_IMAGES: Final = frozenset({".bmp", ".gif", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
_ROTATED = 9  # numbers in a line of a set of rotated boxes: a class, and four corners

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class DrawnObject:
    """An object of an image. `box`: x, y of the top left corner, width, height; `outlines`: the parts of its outline. All are
    fractions of the image.
    """

    name: str
    box: tuple[float, float, float, float]
    outlines: tuple[Outline, ...] = ()


@dataclass
class ImageSet:
    """The images of a set, each with its objects; None where nobody drew any. `left_out`: reasons, with counts."""

    kind: str
    images: dict[Path, list[DrawnObject] | None] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def read_image_set(path: Path) -> ImageSet | None:
    """Return the set of a COCO file, of a YOLO folder or of a folder of images; None where it is none of them.

    Raises RequestError where it is one, and cannot be read.
    """
    if not path.is_dir():
        content = _coco_content(path)
        return None if content is None else _coco(content, path)
    images = [
        file
        for file in sorted(path.rglob("*"))
        if file.suffix.lower() in _IMAGES and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    if not images:
        return None
    if (path / "labels").is_dir() or any(
        (path / name).exists() for name in ("data.yaml", "dataset.yaml", "classes.txt")
    ):
        return _yolo(path, images)
    return ImageSet("images", dict.fromkeys(images))


def _coco_content(path: Path) -> Mapping[str, object] | None:
    """Return the object of a COCO file; None where the file holds something else."""
    try:
        text = path.read_text(encoding="utf-8-sig") if path.suffix.lower() == ".json" else ""
        content = json.loads(text) if text.lstrip()[:1] == "{" else None
    except (OSError, ValueError, RecursionError):
        return None  # the next reader reports the error
    known = isinstance(content, dict) and all(isinstance(content.get(key), list) for key in ("images", "categories"))
    return content if known else None


def _coco(content: Mapping[str, object], path: Path) -> ImageSet:
    found = ImageSet("COCO")
    names = {one["id"]: str(one["name"]) for one in _rows(content, "categories", ("id", "name"), path)}
    sizes: dict[object, tuple[Path, float, float]] = {}
    for row in _rows(content, "images", ("id", "file_name", "width", "height"), path):
        width, height = _number(row["width"]), _number(row["height"])
        if not width or not height:
            raise RequestError(f"{path}: image {row['id']} has no size in pixels")
        image = _beside(path, str(row["file_name"]))
        sizes[row["id"]] = image, width, height
        found.images[image] = [] if "annotations" in content else None
    for row in _rows(content, "annotations", ("image_id", "category_id"), path):
        if row["image_id"] not in sizes or row["category_id"] not in names:
            found.left_out["refers to an image or a category that the file lacks"] += 1
        elif row.get("iscrowd"):
            found.left_out["stands for a crowd"] += 1
        else:
            image, width, height = sizes[row["image_id"]]
            drawn = _coco_object(row, names[row["category_id"]], width, height)
            if drawn is None:
                found.left_out["has no box"] += 1
            else:
                _objects(found, image).append(drawn)
    return found


def _rows(content: Mapping[str, object], key: str, wanted: Sequence[str], path: Path) -> Iterator[dict[str, object]]:
    rows = content.get(key, [])
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
        missing = [name for name in wanted if not isinstance(row, dict) or name not in row]
        if missing:
            raise RequestError(f"{path}: entry {number} of `{key}` has no `{missing[0]}`, which COCO requires")
        yield row


def _coco_object(row: Mapping[str, object], name: str, width: float, height: float) -> DrawnObject | None:
    """Return an object by its polygons and its box, or the box around its polygons; None where it has neither."""
    parts = row.get("segmentation")
    outlines = tuple(
        tuple((x / width, y / height) for x, y in zip(part[::2], part[1::2], strict=True))
        for part in ([_numbers(one) for one in parts] if isinstance(parts, list) else [])
        if len(part) >= 6 and len(part) % 2 == 0
    )
    box = _numbers(row.get("bbox"))
    if len(box) == 4 and box[2] > 0 and box[3] > 0:
        return DrawnObject(name, (box[0] / width, box[1] / height, box[2] / width, box[3] / height), outlines)
    return DrawnObject(name, _around(outlines), outlines) if outlines else None


def _beside(path: Path, name: str) -> Path:
    """Return an image of a COCO file: beside it, or where the usual layouts have it."""
    part = path.stem.rpartition("_")[2]  # instances_train2017.json
    above = path.parent.parent
    folders = [path.parent, path.parent / "images", above, above / "images", above / part, above / "images" / part]
    return next((folder / name for folder in folders if (folder / name).is_file()), path.parent / name)


def _yolo(path: Path, images: Sequence[Path]) -> ImageSet:
    names = _yolo_names(path)
    found = ImageSet("a YOLO folder", dict.fromkeys(images))
    lines: list[tuple[Path, int, list[float]]] = []
    for image in images:
        labels = _yolo_labels(image, path)
        if labels is None:
            continue
        found.images[image] = []
        for number, line in enumerate(labels.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if not line.strip():
                continue
            numbers = _numbers(line.split())
            if len(numbers) < 5 or len(numbers) % 2 == 0 or int(numbers[0]) not in names:
                raise RequestError(
                    f"{labels}:{number}: expected a class number below {len(names)}, and a box or an outline in "
                    "fractions"
                )
            lines.append((image, int(numbers[0]), numbers[1:]))
    if lines and all(len(numbers) == _ROTATED - 1 for *_, numbers in lines):
        raise RequestError(
            f"{path}: seems to hold rotated boxes, which are not supported; write them as JSON for Label Studio"
        )
    for image, number, (x, y, width, height, *more) in lines:
        if more:
            points = [x, y, width, height, *more]
            outline: Outline = tuple(zip(points[::2], points[1::2], strict=True))
            _objects(found, image).append(DrawnObject(names[number], _around([outline]), (outline,)))
        else:
            _objects(found, image).append(DrawnObject(names[number], (x - width / 2, y - height / 2, width, height)))
    return found


def _yolo_labels(image: Path, root: Path) -> Path | None:
    """Return the file of an image's objects; None where there is none."""
    parts = list(image.relative_to(root).with_suffix(".txt").parts)
    paths = [root.joinpath(*parts)]
    if "images" in parts:
        at = len(parts) - 1 - parts[::-1].index("images")
        paths.insert(0, root.joinpath(*parts[:at], "labels", *parts[at + 1 :]))
    return next((path for path in paths if path.is_file()), None)


def _yolo_names(path: Path) -> dict[int, str]:
    """Return the names of the classes by number. Raises RequestError."""
    file = next((path / name for name in ("data.yaml", "dataset.yaml", "classes.txt") if (path / name).is_file()), None)
    if file is None:
        raise RequestError(f"{path}: has no class names; expected a data.yaml with `names`, or a classes.txt")
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    if file.suffix == ".txt":
        return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RequestError(f"{file}: is not YAML: {' '.join(str(error).split())}") from None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(content, dict) and "kpt_shape" in content:
        raise RequestError(f"{file}: the set holds poses, which are not supported; write them as JSON for Label Studio")
    named = names.items() if isinstance(names, dict) else enumerate(names or ())
    if not names or not all(str(number).isdigit() for number, _ in named):
        raise RequestError(f"{file}: has no `names`, a list of classes or a map from their numbers")
    return {int(number): str(name) for number, name in (names.items() if isinstance(names, dict) else enumerate(names))}


def _objects(found: ImageSet, image: Path) -> list[DrawnObject]:
    objects = found.images[image]
    assert objects is not None
    return objects


def _around(outlines: Sequence[Outline]) -> tuple[float, float, float, float]:
    """Return the box around outlines."""
    xs, ys = zip(*(point for outline in outlines for point in outline), strict=True)
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _numbers(values: object) -> list[float]:
    """Return finite numbers; empty where there is anything else among them."""
    found = [_number(value) for value in values] if isinstance(values, list) else []
    return [number for number in found if number is not None] if None not in found else []


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
