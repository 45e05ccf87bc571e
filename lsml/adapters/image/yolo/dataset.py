"""Examples as a folder that ultralytics trains on: images, and beside each a text file of numbers."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lsml.adapters.base import Example
from lsml.adapters.parts.pictures import read_image
from lsml.errors import NotEnoughData
from lsml.values import Box, Choice, KeyPoint, Mask, Polygon, Value, label_of

_TENTH: Final = 10
_LEAST_TO_JUDGE: Final = 40  # examples; with fewer, a tenth is too small for a validation set
_LEAST: Final = 2  # examples with at least one object
_MARGIN: Final = 0.1  # around the points of a pose that has no box, as a share of its size
_FORMATS: Final = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tiff"}

Line = tuple[float, ...]  # a class's number, then fractions of the image


@dataclass(frozen=True)
class TrainingGoal:
    """The goal of training: the task, the labels in the order of their numbers, and those of a pose's points."""

    task: str
    labels: tuple[str, ...]
    points: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk, as ultralytics' trainers read it (`data`); `held_out`: the indices of the examples by which epochs
    are judged.
    """

    data: dict[str, object]
    images: int
    held_out: tuple[int, ...]

    @property
    def judged(self) -> bool:
        """True if some examples are kept to judge epochs by."""
        return bool(self.held_out)


def write_dataset(examples: Sequence[Example], goal: TrainingGoal, directory: Path, *, judge: bool) -> Dataset:
    """Write examples into a folder. `judge`: keep a tenth of them for judging, where there are enough.

    An example without values is a negative example, which is learnt, too. Raises NotEnoughData.
    """
    lines = [_lines(example.values, goal) for example in examples]
    kept = [index for index, found in enumerate(lines) if found is not None]
    _check(goal, [lines[index] or [] for index in kept])
    judged = judge and len(kept) >= _LEAST_TO_JUDGE
    held_out = tuple(kept[_TENTH - 1 :: _TENTH]) if judged else ()
    for at, index in enumerate(kept):
        part = "val" if index in held_out else "train"
        found = lines[index] or []
        if goal.task == "classify":
            folder = directory / part / _folder(int(found[0][0]))
            _add_image(examples[index].data, folder / f"{at:06d}")
        else:
            _add_image(examples[index].data, directory / "images" / part / f"{at:06d}")
            text = "".join(" ".join(f"{number:.6g}" for number in line) + "\n" for line in found)
            target = directory / "labels" / part / f"{at:06d}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    parts = {"train": "train", "val": "val" if judged else "train"}
    if goal.task == "classify":
        for part in set(parts.values()):
            for number in range(len(goal.labels)):  # a folder for each, so that their numbers do not change
                (directory / part / _folder(number)).mkdir(parents=True, exist_ok=True)
    root = directory if goal.task == "classify" else directory / "images"
    data: dict[str, object] = {name: str(root / part) for name, part in parts.items()}
    data |= {
        "path": str(directory),
        "nc": len(goal.labels),
        "names": {number: label or "object" for number, label in enumerate(goal.labels)},
        "channels": 3,
    }
    if goal.task == "pose":
        data |= {"kpt_shape": [len(goal.points), 3], "flip_idx": _mirrored(goal.points)}
    return Dataset(data, len(kept), held_out)


def _folder(number: int) -> str:
    return f"class-{number:06d}"


def _check(goal: TrainingGoal, lines: Sequence[Sequence[Line]]) -> None:
    what = {"detect": "a box", "obb": "a box", "segment": "an outline", "pose": "a pose", "classify": "a label"}[
        goal.task
    ]
    annotated = [found for found in lines if found]
    if len(annotated) < _LEAST:
        raise NotEnoughData(
            f"{len(annotated)} of {len(lines)} examples have {what}; annotate at least {_LEAST} with some"
        )
    if goal.task == "classify" and len({found[0][0] for found in annotated}) < 2:
        label = goal.labels[int(annotated[0][0][0])]
        raise NotEnoughData(
            f"all {len(annotated)} examples have the label {label!r}; annotate at least two images with different labels"
        )


def _lines(values: Sequence[Value], goal: TrainingGoal) -> list[Line] | None:
    """Return the lines of one image; empty for a negative example; None where it is no example."""
    numbers = {label: number for number, label in enumerate(goal.labels)}
    if goal.task == "classify":
        labels = {value.label for value in values if isinstance(value, Choice) and value.label in numbers}
        return [(float(numbers[labels.pop()]),)] if len(labels) == 1 else None
    if goal.task == "pose":
        return list(_poses(values, goal, numbers))
    writers = {"detect": _box_line, "obb": _corner_line, "segment": _outline_line}
    lines = (
        (float(numbers[label]), *found)
        for value in values
        if (label := label_of(value)) in numbers and label is not None
        if (found := writers[goal.task](value))
    )
    return list(dict.fromkeys(lines))


def _corners(box: Box) -> list[tuple[float, float]]:
    from lsml.values.geometry import box_corners

    row = (box.x, box.y, box.width, box.height, box.rotation)
    return [(x, y) for x, y in box_corners([row], box.aspect)[0].tolist()]


def _hull(points: Iterable[tuple[float, float]], margin: float = 0.0) -> Line:
    """Return (centre x, centre y, width, height) of the bounding box of all points, within the image; empty where it is
    empty.
    """
    xs, ys = zip(*points, strict=True)
    wide, high = (max(xs) - min(xs)) * margin, (max(ys) - min(ys)) * margin
    left, right = max(0.0, min(xs) - wide), min(1.0, max(xs) + wide)
    top, bottom = max(0.0, min(ys) - high), min(1.0, max(ys) + high)
    if right <= left or bottom <= top:
        return ()
    return ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _box_line(value: Value) -> Line:
    return _hull(_corners(value)) if isinstance(value, Box) else ()


def _corner_line(value: Value) -> Line:
    if not isinstance(value, Box):
        return ()
    corners = _corners(value)
    if not any(0 <= x <= 1 and 0 <= y <= 1 for x, y in corners):
        return ()
    # ultralytics accepts no place outside of the image.
    return tuple(min(1.0, max(0.0, number)) for corner in corners for number in corner)


def _outline_line(value: Value) -> Line:
    if isinstance(value, Polygon):
        points: Sequence[tuple[float, float]] = value.points
    elif isinstance(value, Mask):
        from lsml.values.geometry import outlines_of_pixels

        points = _joined(outlines_of_pixels(value.pixels()))
    else:
        return ()
    cut = [(min(1.0, max(0.0, x)), min(1.0, max(0.0, y))) for x, y in points]
    return tuple(number for point in cut for number in point) if cut and _hull(cut) else ()


def _joined(parts: Sequence[tuple[tuple[float, float], ...]]) -> list[tuple[float, float]]:
    """Return one outline through all parts: to each part from the nearest joined point, around the part, and back."""
    if not parts:
        return []
    joined = list(parts[0])
    for part in parts[1:]:
        at, start = min(
            ((i, j) for i in range(len(joined)) for j in range(len(part))),
            key=lambda pair: math.dist(joined[pair[0]], part[pair[1]]),
        )
        around = [*part[start:], *part[: start + 1]]
        joined[at : at + 1] = [joined[at], *around, joined[at]]
    return joined


def _poses(values: Sequence[Value], goal: TrainingGoal, numbers: dict[str, int]) -> Iterator[Line]:
    """Yield a line for each object: its class, its box, and x, y, visible (2) or not (0) of every point."""
    indices = {label: index for index, label in enumerate(goal.points)}
    boxes = [value for value in values if isinstance(value, Box) and value.label in numbers]
    points = [value for value in values if isinstance(value, KeyPoint) and value.label in indices]
    objects: dict[object, tuple[Box | None, list[KeyPoint]]] = {index: (box, []) for index, box in enumerate(boxes)}
    for point in points:
        owner = _owner(point, boxes)
        # Points outside of all boxes make one object for each group, or one for all ungrouped points.
        objects.setdefault(("group", point.group) if owner is None else owner, (None, []))[1].append(point)
    for box, own in objects.values():
        around = _box_line(box) if box is not None else _hull([(p.x, p.y) for p in own], _MARGIN)
        if not around:
            continue
        seen: list[float] = [0.0] * (3 * len(goal.points))
        for point in own:
            if 0 <= point.x <= 1 and 0 <= point.y <= 1:
                at = 3 * indices[point.label]
                seen[at : at + 3] = [point.x, point.y, 2.0]
        yield (float(numbers[box.label] if box is not None else 0), *around, *seen)


def _owner(point: KeyPoint, boxes: Sequence[Box]) -> int | None:
    """Return the box of the point's group, else the smallest one around it."""
    if point.group is not None:
        for index, box in enumerate(boxes):
            if box.group == point.group:
                return index
    holding = []
    for index, box in enumerate(boxes):
        around = _box_line(box)
        if around and abs(point.x - around[0]) <= around[2] / 2 and abs(point.y - around[1]) <= around[3] / 2:
            holding.append((around[2] * around[3], index))
    return min(holding)[1] if holding else None


def _mirrored(points: Sequence[str]) -> list[int]:
    """Return for each point the number of its mirror image: labels with left and right swapped."""
    indices = {label.casefold(): index for index, label in enumerate(points)}
    mirrored = []
    for index, label in enumerate(points):
        name = label.casefold()
        other = name.replace("left", "\0").replace("right", "left").replace("\0", "right")
        mirrored.append(indices.get(other, index))
    return mirrored


def _add_image(source: Path, target: Path) -> None:
    """Copy an image file to a name whose suffix fits its content; it is linked where that is safe."""
    target.parent.mkdir(parents=True, exist_ok=True)
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(source) as image:
            suffix = _FORMATS.get(image.format or "")
            plain = suffix is not None and image.mode in ("RGB", "L")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        plain = False
    if not plain:
        import cv2

        cv2.imencode(".png", read_image(source))[1].tofile(target.with_suffix(".png"))
        return
    final = target.with_suffix(suffix or "")
    try:
        # ultralytics repairs truncated JPEG files in place, so it gets a copy of them.
        if suffix == ".jpg" and not _is_complete(source):
            raise OSError
        os.link(source.resolve(), final)
    except OSError:
        shutil.copyfile(source, final)


def _is_complete(jpeg: Path) -> bool:
    with jpeg.open("rb") as file:
        file.seek(-2, os.SEEK_END)
        return file.read() == b"\xff\xd9"
