"""The overlap of values on an image: one measure of when shapes are the same, for controls and judges alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from lsml.values import Box, Ellipse, KeyPoint, Mask, Polygon, Track

if TYPE_CHECKING:
    from lsml.arrays import Array
    from lsml.values.geometry import Patch

_ROWS: Final = 512  # of the grid on which outlines are compared
# How far apart two points may be and still count as one, as a share of the size of their object: COCO's constants for joints go
# from 0.05 to 0.21, twice their sigmas. https://cocodataset.org/#keypoints-eval
_SPREAD: Final = 0.14
_OBJECT: Final = 0.1  # the size of an object that a lone point stands for, as a share of the image
_MOMENTS: Final = 50  # at which two tracks are compared

ImageShape = Box | Polygon | Ellipse | Mask | KeyPoint  # the marked pixels of one image


def overlaps(ours: Sequence[Any], theirs: Sequence[Any]) -> Array:
    """Return the overlap of every shape with every other of its type: (n, m), in [0, 1].

    Boxes, outlines and masks: intersection over union. Points: COCO's similarity, for an object of a fixed share of the
    image. Tracks: the mean over time of their boxes' intersection over union.
    """
    import numpy as np

    from lsml.values.geometry import box_overlaps, patch_overlaps

    if not ours or not theirs:
        return np.zeros((len(ours), len(theirs)))
    kind, aspect = type(ours[0]), ours[0].aspect
    if kind is Box:
        return box_overlaps(box_rows(ours), box_rows(theirs), aspect)
    if kind is KeyPoint:
        squared = ((_points(ours)[:, None] - _points(theirs)[None]) ** 2).sum(axis=2)
        return similarity(squared, _OBJECT)
    if kind is Track:
        return np.array([[_track_overlap(one, other) for other in theirs] for one in ours])
    size = (max(1, round(_ROWS * aspect)), _ROWS)
    if kind is Mask:  # on the grid of the largest mask, so exact where all have one size
        size = max(((mask.width, mask.height) for some in (ours, theirs) for mask in some), key=lambda size: size[1])
    return patch_overlaps(_patches(ours, size), _patches(theirs, size))


def bounds(shape: ImageShape) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a shape, as fractions of the image; all 0 for an empty mask."""
    import numpy as np

    from lsml.values.geometry import box_corners, ellipse_outline, patch_of_pixels

    if isinstance(shape, Mask):
        top, left, pixels = patch_of_pixels(shape.pixels())
        rows, columns = pixels.shape
        if not rows:
            return 0.0, 0.0, 0.0, 0.0
        return left / shape.width, top / shape.height, (left + columns) / shape.width, (top + rows) / shape.height
    if isinstance(shape, Box):
        corners = box_corners(box_rows([shape]), shape.aspect)[0]
    elif isinstance(shape, Polygon):
        corners = np.array(shape.points)
    elif isinstance(shape, Ellipse):
        corners = ellipse_outline(shape.x, shape.y, shape.radius_x, shape.radius_y, shape.rotation, shape.aspect)
    else:
        corners = np.array([(shape.x, shape.y)])
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return left, top, right, bottom


def box_rows(boxes: Sequence[Box]) -> list[tuple[float, float, float, float, float]]:
    """Return boxes as rows for `lsml.values.geometry`."""
    return [(box.x, box.y, box.width, box.height, box.rotation) for box in boxes]


def similarity(squared: Array, size: float | Array) -> Array:
    """Return COCO's similarity of points from their squared distances: 1 in one place, lower the farther apart they are."""
    import numpy as np

    return np.asarray(np.exp(-squared / (2 * (size * _SPREAD) ** 2)))


def _points(values: Sequence[KeyPoint]) -> Array:
    """Return the places of points, in heights of the image: (n, 2)."""
    import numpy as np

    return np.array([(point.x * point.aspect, point.y) for point in values])


def _patches(values: Sequence[object], size: tuple[int, int]) -> list[Patch]:
    """Return the part of a grid of `size` (columns, rows) that each outline or mask covers."""
    from lsml.values.geometry import ellipse_outline, patch_of_outline, patch_of_pixels, resized_pixels

    patches = []
    for value in values:
        if isinstance(value, Mask):
            patches.append(patch_of_pixels(resized_pixels(value.pixels(), *size)))
        elif isinstance(value, Ellipse):
            corners = ellipse_outline(value.x, value.y, value.radius_x, value.radius_y, value.rotation, value.aspect)
            patches.append(patch_of_outline(corners, *size))
        else:
            assert isinstance(value, Polygon)
            patches.append(patch_of_outline(value.points, *size))
    return patches


def _track_overlap(one: Track, other: Track) -> float:
    """Return the mean overlap at moments from the first keyframe of either track to the last.

    A moment at which only one of them is visible counts 0.
    """
    import numpy as np

    from lsml.values.geometry import paired_overlaps

    start = min(one.keyframes[0].time_s, other.keyframes[0].time_s)
    end = max(one.keyframes[-1].time_s, other.keyframes[-1].time_s)
    moments = np.linspace(start, end, _MOMENTS)
    ours, theirs = boxes_at(one, moments), boxes_at(other, moments)
    seen, both = ~np.isnan(ours[:, 0]) | ~np.isnan(theirs[:, 0]), ~np.isnan(ours[:, 0]) & ~np.isnan(theirs[:, 0])
    if not both.any():
        return 0.0
    return float(paired_overlaps(ours[both], theirs[both], one.aspect).sum() / seen.sum())


def boxes_at(track: Track, times_s: Array) -> Array:
    """Return a track's boxes at some times, (n, 5), interpolated linearly between keyframes; NaN where it is not visible.

    After a last keyframe that is enabled it stays in place.
    """
    import numpy as np

    frames = [(k.time_s, k.x, k.y, k.width, k.height, k.rotation) for k in track.keyframes]
    known = np.array(frames)
    before = np.searchsorted(known[:, 0], times_s, side="right") - 1
    enabled = np.array([keyframe.enabled for keyframe in track.keyframes])
    seen = (before >= 0) & (enabled[before] | (known[before, 0] == times_s))
    boxes = np.stack([np.interp(times_s, known[:, 0], known[:, column]) for column in range(1, 6)], axis=1)
    return np.asarray(np.where(seen[:, None], boxes, np.nan))
