"""Annotated objects of images, as the numbers that a model of objects is trained on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from lsml.adapters.base import Example, Target
from lsml.errors import NotEnoughData
from lsml.values import Box, Choice, KeyPoint, Mask, Polygon, Shape, Value, label_of

_TENTH: Final = 10
_LEAST_TO_JUDGE: Final = 40  # examples; with fewer, a tenth is too small for a validation set
_LEAST: Final = 2  # examples with at least one object
_MARGIN: Final = 0.1  # around the points of a pose that has no box, as a share of its size

Line = tuple[float, ...]  # a class's number, then fractions of the image


@dataclass(frozen=True)
class TrainingGoal:
    """The goal of training: the task, the labels in the order of their numbers, and those of a pose's points."""

    task: str
    labels: tuple[str, ...]
    points: tuple[str, ...] = ()


def goal_of(task: str, target: Target, examples: Sequence[Example]) -> TrainingGoal:
    """Return the task, and the labels in the order of the labeling config, or those of the examples if it has none.

    Raises NotEnoughData if poses are to be learnt and no example has a point.
    """
    kinds = target.kinds
    values = [value for example in examples for value in example.values]
    points = kinds.get("keypoint", ()) if task == "pose" else ()
    if task == "pose":
        # Without boxes, all poses have one class.
        labels = kinds.get("box", ()) or ("object",)
        points = points or _seen(values, (KeyPoint,))
        if not points:
            raise NotEnoughData(f"none of {len(examples)} examples has a point; annotate at least 2 that do")
        return TrainingGoal(task, labels, points)
    own = {"segment": ("polygon", "mask"), "classify": ("choice",)}.get(task, ("box", "track"))
    types = {"segment": (Polygon, Mask), "classify": (Choice,)}.get(task, (Box,))
    labels = tuple(dict.fromkeys(label for kind in own for label in kinds.get(kind, ()))) or target.labels
    return TrainingGoal(task, labels or _seen(values, types) or ("",))


def held_out_of(usable: Sequence[int], *, judge: bool, videos: Sequence[int] | None = None) -> tuple[int, ...]:
    """Return the indices of the examples that judge epochs: a tenth of the usable ones, where there are enough; else none.

    `videos`: the video of each example, where they are frames; then those of every tenth video.
    """
    if not judge or len(usable) < _LEAST_TO_JUDGE:
        return ()
    if videos is None:
        return tuple(usable[_TENTH - 1 :: _TENTH])
    chosen = set(list(dict.fromkeys(videos[index] for index in usable))[_TENTH - 1 :: _TENTH])
    return tuple(index for index in usable if videos[index] in chosen)


def check_objects(goal: TrainingGoal, lines: Sequence[Sequence[Line]]) -> None:
    """Raise NotEnoughData where the lines of images are too few, or all alike, to learn the goal."""
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


def regions_with_several_labels(values: Sequence[Value]) -> int:
    """Return the number of regions with several labels: values of one place that differ in their label alone."""
    shapes = [value for value in values if isinstance(value, Shape)]
    places = Counter(msgspec.structs.replace(value, label="", score=None) for value in shapes)
    return sum(count > 1 for count in places.values())


def lines_of(values: Sequence[Value], goal: TrainingGoal) -> list[Line] | None:
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


def hull_of(numbers: Sequence[float]) -> Line:
    """Return (centre x, centre y, width, height) of the box around an outline x, y, x, y, ... of a line."""
    return _hull(zip(numbers[::2], numbers[1::2], strict=True))


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


def boxes_of_poses(values: Sequence[Value], goal: TrainingGoal) -> list[Box]:
    """Return the box of each object that one image's values are for a model of poses."""
    lines = _poses(values, goal, {label: number for number, label in enumerate(goal.labels)})
    aspect = next((value.aspect for value in values if isinstance(value, Box | KeyPoint)), 1.0)
    return [
        Box(goal.labels[int(number)], aspect=aspect, x=x - wide / 2, y=y - high / 2, width=wide, height=high)
        for number, x, y, wide, high, *_ in lines
    ]


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


def _seen(values: Sequence[Value], types: tuple[type, ...]) -> tuple[str, ...]:
    return tuple(sorted({label_of(value) or "" for value in values if isinstance(value, types)}))
