"""Objects that a model found on images: their boxes as values, how right their scores are, and the average precision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lsml.adapters.parts.calibration import PlattScaling
from lsml.values import Box, Mask, Polygon, Shape
from lsml.values.matching import average_precision, matched

if TYPE_CHECKING:
    from lsml.arrays import Array

LEAST_SCORE: Final = 0.05  # the score from which objects of held-out images count for the calibration

Pairs = Sequence[tuple[Sequence[Shape], Sequence[Shape]]]  # (annotated, predicted) of each image


def corners(row: Sequence[float] | Array, shape: Sequence[int]) -> tuple[float, float, float, float] | None:
    """Return (left, top, right, bottom) in pixels as fractions of an image (rows, columns), clipped; None without an area."""
    height, width = shape[:2]
    left, right = (min(max(float(row[i]) / width, 0.0), 1.0) for i in (0, 2))
    top, bottom = (min(max(float(row[i]) / height, 0.0), 1.0) for i in (1, 3))
    return (left, top, right, bottom) if right > left and bottom > top else None


def boxes_of(
    row: Sequence[float] | Array, shape: Sequence[int], label: str, score: float, group: str | None = None
) -> Iterator[Box]:
    """Yield the box of corners in pixels of an image (rows, columns), clipped; nothing where it has no area."""
    cut = corners(row, shape)
    if cut is not None:
        left, top, right, bottom = cut
        yield Box(label, score, 0, group, shape[1] / shape[0], x=left, y=top, width=right - left, height=bottom - top)


def shapes_of(pixels: Array, kinds: frozenset[str], label: str, score: float) -> Iterator[Mask | Polygon]:
    """Yield the mask of pixels (rows, columns) of an image and the outlines of its parts, as far as their kinds are wanted."""
    from lsml.values.geometry import outlines_of_pixels

    if not pixels.any():
        return
    aspect = pixels.shape[1] / pixels.shape[0]
    if "mask" in kinds:
        yield Mask.from_pixels(pixels, label, score=score, aspect=aspect)
    if "polygon" in kinds:
        for outline in outlines_of_pixels(pixels):
            yield Polygon(label, score, aspect=aspect, points=outline)


def calibration_of(pairs: Pairs) -> PlattScaling:
    """Return the calibration of scores by held-out images: the share that is right at an overlap of 0.5, by score."""
    scores: list[float] = []
    right: list[bool] = []
    for said, hits, _ in _by_label(pairs).values():
        scores += said
        right += hits
    return PlattScaling.fit(scores, right)


def mean_average_precision(pairs: Pairs) -> float:
    """Return the mean average precision at an overlap of 0.5 over the annotated labels; 0 where nothing was annotated."""
    import numpy as np

    found = [
        average_precision(np.array(said), np.array(hits, dtype=bool), annotated)
        for said, hits, annotated in _by_label(pairs).values()
        if annotated
    ]
    return sum(found) / len(found) if found else 0.0


def _by_label(pairs: Pairs) -> dict[str, tuple[list[float], list[bool], int]]:
    """Return for each label (scores, which of them are right, number of annotated shapes) over all images."""
    found: dict[str, tuple[list[float], list[bool], int]] = defaultdict(lambda: ([], [], 0))
    for true, said in pairs:
        for label in sorted({one.label for some in (true, said) for one in some}):
            own = [one for one in true if one.label == label]
            scores, hits = matched(own, [one for one in said if one.label == label])
            before = found[label]
            found[label] = ([*before[0], *scores.tolist()], [*before[1], *hits.tolist()], before[2] + len(own))
    return found
