"""ultralytics' Results as values: pixels become fractions of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lsml.adapters.parts.found_objects import boxes_of
from lsml.values import Box, Choice, KeyPoint, Mask, Polygon, Value

if TYPE_CHECKING:
    from ultralytics.engine.results import Results

    from lsml.arrays import Array


Name = Callable[[int], str | None]  # a class's number -> its label; None for an unwanted class


def values_of(
    result: Results, kinds: frozenset[str], name: Name, point_name: Callable[[int, int], str | None]
) -> list[Value]:
    """Return every value of the wanted kinds. `point_name`: (class, number of the point) -> label."""
    if result.probs is not None:
        probabilities = result.probs.data.float().cpu().numpy()
        # Rounding may give slightly more than 1.
        return [
            Choice(label, min(1.0, max(0.0, float(p))))
            for index, p in enumerate(probabilities)
            if (label := name(index))
        ]
    if result.obb is not None:
        return list(_rotated(result, name))
    if result.boxes is None or not len(result.boxes):
        return []
    rows = result.boxes.data.float().cpu().numpy()  # (objects, 6): x1, y1, x2, y2, score, class
    values: list[Value] = []
    for index, row in enumerate(rows):
        number, score = int(row[5]), min(1.0, max(0.0, float(row[4])))
        label = name(number)
        if label is None and result.keypoints is None:
            continue
        if "box" in kinds and label is not None:
            group = str(index) if result.keypoints is not None else None
            values += boxes_of(row, result.orig_shape, label, score, group)
        if result.masks is not None and label is not None and kinds & {"polygon", "mask"}:
            values += _masks(result, index, kinds, label, score)
        if result.keypoints is not None and "keypoint" in kinds:
            values += _points(result, index, number, score, point_name)
    return values


def _rotated(result: Results, name: Name) -> Iterator[Value]:
    """Yield rotated boxes: centre, size and angle are converted to the corner about which Label Studio rotates."""
    from lsml.values.geometry import wrap

    height, width = result.orig_shape[:2]
    for x, y, w, h, angle, score, number in result.obb.data.float().cpu().numpy().tolist():
        label = name(int(number))
        if label is None or not (w > 0 and h > 0):
            continue
        cos, sin = math.cos(angle), math.sin(angle)
        corner = x - w / 2 * cos + h / 2 * sin, y - w / 2 * sin - h / 2 * cos
        yield Box(
            label, min(1.0, max(0.0, score)), 0, None, width / height,
            x=corner[0] / width, y=corner[1] / height, width=w / width, height=h / height,
            rotation=wrap(math.degrees(angle)),
        )  # fmt: skip


def _masks(result: Results, index: int, kinds: frozenset[str], label: str, score: float) -> Iterator[Value]:
    import cv2
    import numpy as np

    from lsml.values.geometry import outlines_of_pixels

    height, width = result.orig_shape[:2]
    inner = _without_padding(result.masks.data[index].cpu().numpy().astype(np.uint8), height, width)
    if not inner.any():
        return
    aspect = width / height
    if "mask" in kinds:
        # Interpolated, else the edge would have the model's coarse pixels.
        pixels = cv2.resize(inner * 255, (width, height), interpolation=cv2.INTER_LINEAR) > 127
        if pixels.any():
            yield Mask.from_pixels(pixels, label, score=score, aspect=aspect)
    if "polygon" in kinds:
        for outline in outlines_of_pixels(inner):
            yield Polygon(label, score, aspect=aspect, points=outline)


def _without_padding(mask: Array, height: int, width: int) -> Array:
    """Return the part of a mask (rows, columns of the model's input) without the padding of LetterBox."""
    rows, columns = mask.shape
    gain = min(rows / height, columns / width)
    inner_width, inner_height = round(width * gain), round(height * gain)
    left, top = round((columns - inner_width) / 2 - 0.1), round((rows - inner_height) / 2 - 0.1)
    return mask[top : top + inner_height, left : left + inner_width]


def _points(
    result: Results, index: int, number: int, score: float, point_name: Callable[[int, int], str | None]
) -> Iterator[Value]:
    """Yield the visible points of a pose. A point's score is the lower one of its object's and its own."""
    height, width = result.orig_shape[:2]
    for at, point in enumerate(result.keypoints.data[index].float().cpu().numpy().tolist()):  # (points, 2 or 3)
        label = point_name(number, at)
        x, y = point[0] / width, point[1] / height
        seen = point[2] if len(point) > 2 else 1.0
        # A point that is not visible: ultralytics puts it into the corner.
        if label is None or (x == 0 and y == 0) or not (0 <= x <= 1 and 0 <= y <= 1):
            continue
        yield KeyPoint(label, min(score, max(0.0, seen)), 0, str(index), width / height, x=x, y=y)
