"""What values share of an image: the one measure by which shapes are the same, for controls and judges alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from lsml.values import Box, Ellipse, KeyPoint, Mask, Polygon, Shape, Track

if TYPE_CHECKING:
    from lsml.geometry import Array

_ROWS: Final = 256  # of the grid on which outlines and masks are compared
# How far apart two points may be and still be one, as a share of the size of their object: COCO's constants for joints go
# from 0.05 to 0.21, twice their sigmas. https://cocodataset.org/#keypoints-eval
_SPREAD: Final = 0.14
_OBJECT: Final = 0.1  # the size of an object that a lone point stands for, as a share of the image
_MOMENTS: Final = 50  # at which two tracks are compared


def overlaps(ours: Sequence[Any], theirs: Sequence[Any]) -> Array:
    """How much every shape shares with every other of its type, in [0, 1]: (n, m).

    Boxes, outlines and masks: intersection over union. Points: COCO's similarity, of the size of a part of the image.
    Tracks: the mean over time of their boxes' intersection over union.
    """
    import numpy as np

    from lsml.geometry import box_overlaps, pixel_overlaps

    if not ours or not theirs:
        return np.zeros((len(ours), len(theirs)))
    kind, aspect = type(ours[0]), ours[0].aspect
    if kind is Box:
        return box_overlaps(box_rows(ours), box_rows(theirs), aspect)
    if kind is KeyPoint:
        return point_similarity(ours, theirs, aspect)
    if kind is Track:
        return np.array([[_track_overlap(one, other) for other in theirs] for one in ours])
    size = (max(1, round(_ROWS * aspect)), _ROWS)
    return pixel_overlaps([_drawn(one, *size) for one in ours], [_drawn(one, *size) for one in theirs])


def box_rows(boxes: Sequence[Box]) -> list[tuple[float, float, float, float, float]]:
    """Boxes as `lsml.geometry` takes them."""
    return [(box.x, box.y, box.width, box.height, box.rotation) for box in boxes]


def point_similarity(
    ours: Sequence[KeyPoint], theirs: Sequence[KeyPoint], aspect: float, size: float = _OBJECT
) -> Array:
    """COCO's similarity of points, (n, m): 1 in one place, and less the farther they are apart for an object of `size`."""
    import numpy as np

    one = np.array([(point.x * aspect, point.y) for point in ours])
    other = np.array([(point.x * aspect, point.y) for point in theirs])
    squared = ((one[:, None] - other[None]) ** 2).sum(axis=2)
    return np.asarray(np.exp(-squared / (2 * (size * _SPREAD) ** 2)))


def _drawn(value: Shape, width: int, height: int) -> Array:
    """The pixels of an outline or a mask on a grid."""
    from lsml.geometry import ellipse_outline, fill_outline, resized_pixels

    if isinstance(value, Mask):
        return resized_pixels(value.pixels(), width, height)
    if isinstance(value, Ellipse):
        corners = ellipse_outline(value.x, value.y, value.radius_x, value.radius_y, value.rotation, value.aspect)
        return fill_outline(corners, width, height)
    assert isinstance(value, Polygon)
    return fill_outline(value.points, width, height)  # type: ignore[arg-type]


def _track_overlap(one: Track, other: Track) -> float:
    """The mean overlap at moments from the first keyframe of either to the last."""
    import numpy as np

    from lsml.geometry import box_overlaps

    start = min(one.keyframes[0].time_s, other.keyframes[0].time_s)
    end = max(one.keyframes[-1].time_s, other.keyframes[-1].time_s)
    shared = []
    for moment in np.linspace(start, end, _MOMENTS):
        boxes = [box_at(track, float(moment)) for track in (one, other)]
        if any(box is not None for box in boxes):
            both = boxes[0] is not None and boxes[1] is not None
            shared.append(float(box_overlaps([boxes[0]], [boxes[1]], one.aspect)[0, 0]) if both else 0.0)  # type: ignore[list-item]
    return sum(shared) / len(shared) if shared else 0.0


def box_at(track: Track, time_s: float) -> tuple[float, float, float, float, float] | None:
    """Where a track's object is at a time, between its keyframes on the straight line; None where it is not seen."""
    before = None
    for keyframe in track.keyframes:
        place = (keyframe.x, keyframe.y, keyframe.width, keyframe.height, keyframe.rotation)
        if keyframe.time_s == time_s:
            return place
        if keyframe.time_s > time_s:
            if before is None or not before.enabled:
                return None
            share = (time_s - before.time_s) / (keyframe.time_s - before.time_s)
            then = (before.x, before.y, before.width, before.height, before.rotation)
            x, y, width, height, rotation = (a + share * (b - a) for a, b in zip(then, place, strict=True))
            return x, y, width, height, rotation
        before = keyframe
    return None
