"""Shapes on an image as arrays: boxes, outlines and pixels, the area they cover, and their overlap.

Places are fractions of the upright image, as in `lsml.values`; `aspect` is its width over its height. Rotations are
degrees, clockwise as seen. Arrays of boxes have rows (x, y, width, height, rotation): the top-left corner before the
box was rotated about it, as Label Studio keeps a rectangle.

Import it inside methods: it imports numpy, and `lsml validate` starts without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from lsml.arrays import Array


BoxRow = tuple[float, float, float, float, float]
Boxes: TypeAlias = "Array | Sequence[BoxRow]"
Outline: TypeAlias = "Array | Sequence[tuple[float, float]]"  # (n, 2)

# ------------------------------------------------------------------------------------------------ boxes


def box_corners(boxes: Boxes, aspect: float | Array = 1.0) -> Array:
    """Return the corners (n, 4, 2) of boxes (n, 5): top left, top right, bottom right, bottom left before they were rotated."""
    boxes = np.asarray(boxes, float).reshape(-1, 5)
    x, y, width, height, rotation = boxes.T
    turn = np.radians(rotation)
    cos, sin = np.cos(turn), np.sin(turn)
    # Along the top edge and down the left edge. Lengths only compare in pixels, where an image is `aspect` wide.
    right = np.stack([width * cos, width * aspect * sin], axis=1)
    down = np.stack([-height / aspect * sin, height * cos], axis=1)
    corner = np.stack([x, y], axis=1)
    return np.stack([corner, corner + right, corner + right + down, corner + down], axis=1)


def box_of_corners(corners: Array, aspect: float = 1.0) -> BoxRow:
    """Return the box with these corners (4, 2), in the order of `box_corners`; its rotation is in [0, 360)."""
    (x, y), along, _, down = np.asarray(corners, float).tolist()
    right_x, right_y = (along[0] - x) * aspect, along[1] - y
    down_x, down_y = (down[0] - x) * aspect, down[1] - y
    rotation = wrap(math.degrees(math.atan2(right_y, right_x)))
    return x, y, math.hypot(right_x, right_y) / aspect, math.hypot(down_x, down_y), rotation


def forward_box(box: BoxRow, aspect: float = 1.0) -> BoxRow:
    """Return a box with positive sides. A negative width or height is a drag to the left or upwards."""
    x, y, width, height, rotation = box
    if width < 0 or height < 0:
        turn = math.radians(rotation)
        cos, sin = math.cos(turn), math.sin(turn)
        along, down = min(width, 0.0), min(height, 0.0)
        x += along * cos - down / aspect * sin
        y += along * aspect * sin + down * cos
    return x, y, abs(width), abs(height), rotation


def wrap(rotation: float) -> float:
    """Return the same rotation in [0, 360)."""
    wrapped = rotation % 360.0
    return 0.0 if wrapped == 360.0 else wrapped  # -1e-20 % 360 is 360


def fit_box(box: BoxRow, aspect: float = 1.0) -> BoxRow | None:
    """Return a box as Label Studio can keep it: its corner in the image, no wider or higher than the image.

    An upright box is clipped. A rotated box is described from one of its corners that is in the image; where none is,
    it shrinks to its part in the image. None where nothing of it is in the image.
    """
    x, y, width, height, rotation = box
    rotation = wrap(rotation)
    if rotation == 0.0:
        left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + width, 1.0), min(y + height, 1.0)
        # A side that need not be cut keeps its exact value.
        width = width if left == x and right == x + width else right - left
        height = height if top == y and bottom == y + height else bottom - top
        return (left, top, width, height, 0.0) if width > 0 and height > 0 else None
    if width <= 0 or height <= 0:
        return None
    if _keepable((x, y, width, height, rotation)):
        return x, y, width, height, rotation
    whole = (x, y, width, height, rotation)
    seen = clip_outline(box_corners([whole], aspect)[0])
    if len(seen) < 3:
        return None
    part = _around(seen, rotation, aspect)
    for told in (*_turned(whole, aspect), *_turned(part, aspect)):
        if _keepable(told):
            return told
    x, y, width, height, rotation = part
    return min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0), min(width, 1.0), min(height, 1.0), rotation


def _keepable(box: BoxRow) -> bool:
    x, y, width, height, _ = box
    return 0.0 <= x <= 1.0 and 0.0 <= y <= 1.0 and width <= 1.0 and height <= 1.0


def _turned(box: BoxRow, aspect: float) -> list[BoxRow]:
    """Return the same box described from each of its corners."""
    corners = box_corners([box], aspect)[0]
    return [box_of_corners(np.roll(corners, -turn, axis=0), aspect) for turn in range(4)]


def _around(points: Array, rotation: float, aspect: float) -> BoxRow:
    """Return the smallest box with this rotation around points."""
    turn = math.radians(rotation)
    cos, sin = math.cos(turn), math.sin(turn)
    in_pixels = points * [aspect, 1.0]
    along, down = in_pixels @ [cos, sin], in_pixels @ [-sin, cos]
    left, top = along.min(), down.min()
    x, y = left * cos - top * sin, left * sin + top * cos
    return float(x / aspect), float(y), float(np.ptp(along) / aspect), float(np.ptp(down)), rotation


def box_overlaps(ours: Boxes, theirs: Boxes, aspect: float = 1.0) -> Array:
    """Return intersection over union of every box (n, 5) with every other (m, 5): (n, m)."""
    ours, theirs = np.asarray(ours, float).reshape(-1, 5), np.asarray(theirs, float).reshape(-1, 5)
    if not ours[:, 4].any() and not theirs[:, 4].any():
        return _upright_overlaps(ours, theirs)
    scale = np.array([aspect, 1.0])
    return _rotated_overlaps(box_corners(ours, aspect) * scale, box_corners(theirs, aspect) * scale)


def paired_overlaps(ours: Array, theirs: Array, aspect: float = 1.0) -> Array:
    """Return intersection over union of every box (n, 5) with its partner (n, 5): (n,)."""
    if not ours[:, 4].any() and not theirs[:, 4].any():
        sides = np.minimum(ours[:, :2] + ours[:, 2:4], theirs[:, :2] + theirs[:, 2:4])
        shared = np.clip(sides - np.maximum(ours[:, :2], theirs[:, :2]), 0.0, None).prod(axis=1)
        return np.asarray(shared / (ours[:, 2:4].prod(axis=1) + theirs[:, 2:4].prod(axis=1) - shared))
    scale = np.array([aspect, 1.0])
    return _paired_overlaps(box_corners(ours, aspect) * scale, box_corners(theirs, aspect) * scale)


def _upright_overlaps(ours: Array, theirs: Array) -> Array:
    shared = _bounds_shared(
        np.concatenate([ours[:, :2], ours[:, :2] + ours[:, 2:4]], axis=1),
        np.concatenate([theirs[:, :2], theirs[:, :2] + theirs[:, 2:4]], axis=1),
    )
    return _over_union(shared, ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3])


def _bounds_shared(ours: Array, theirs: Array) -> Array:
    """Return the area that every rectangle (left, top, right, bottom) shares with every other: (n, m)."""
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    sides = np.clip(high - low, 0.0, None)
    return np.asarray(sides[..., 0] * sides[..., 1])


def _over_union(shared: Array, ours: Array, theirs: Array) -> Array:
    union = ours[:, None] + theirs[None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def _rotated_overlaps(ours: Array, theirs: Array) -> Array:
    """Return intersection over union of corners (n, 4, 2) and (m, 4, 2): (n, m). x and y have the same unit."""
    overlaps = np.zeros((len(ours), len(theirs)))
    bounds = [np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1) for corners in (ours, theirs)]
    rows, columns = np.nonzero(_bounds_shared(*bounds))
    if rows.size:
        overlaps[rows, columns] = _paired_overlaps(ours[rows], theirs[columns])
    return overlaps


def _paired_overlaps(ours: Array, theirs: Array) -> Array:
    """Return intersection over union of corners (n, 4, 2) with their partners: (n,)."""
    shared = _quadrangles_shared(ours, theirs)
    union = _areas(ours) + _areas(theirs) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def _quadrangles_shared(ours: Array, theirs: Array) -> Array:
    """Return the area of the intersection of each convex quadrangle (n, 4, 2) with its partner: (n,).

    The intersection is convex. Its corners are the corners of each that lie inside the other, and the crossings of
    their edges.
    """
    crossings, crossed = _crossings(ours, theirs)
    points = np.concatenate([ours, theirs, crossings], axis=1)
    valid = np.concatenate([_inside(ours, theirs), _inside(theirs, ours), crossed], axis=1)
    count = valid.sum(axis=1)
    middle = np.where(valid[..., None], points, 0.0).sum(axis=1) / np.maximum(count, 1)[:, None]
    points = np.where(valid[..., None], points - middle[:, None], 0.0)
    angles = np.where(valid, np.arctan2(points[..., 1], points[..., 0]), np.inf)
    order = np.argsort(angles, axis=1)
    points = np.take_along_axis(points, order[..., None], axis=1)
    # Points that are no corners move onto the first corner, where they add no area.
    last = np.arange(points.shape[1])[None, :] >= count[:, None]
    points = np.where(last[..., None], points[:, :1], points)
    return np.asarray(np.where(count > 2, _areas(points), 0.0))


def _cross(one: Array, other: Array) -> Array:
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])


def _inside(points: Array, outlines: Array) -> Array:
    """Return True for each of the points (n, k, 2) in its convex outline (n, 4, 2): (n, k). Corners go clockwise as seen."""
    edges = np.roll(outlines, -1, axis=1) - outlines
    beside = _cross(edges[:, None], points[:, :, None] - outlines[:, None])
    size = np.abs(edges).max(axis=(1, 2))[:, None, None]
    return np.asarray((beside >= -1e-12 * size * size).all(axis=2))


def _crossings(ours: Array, theirs: Array) -> tuple[Array, Array]:
    """Return the points where edges of one (n, 4, 2) and the other cross, (n, 16, 2), and True where they do, (n, 16)."""
    edges, others = np.roll(ours, -1, axis=1) - ours, np.roll(theirs, -1, axis=1) - theirs
    between = theirs[:, None] - ours[:, :, None]
    slope = _cross(edges[:, :, None], others[:, None])
    parallel = slope == 0
    slope = np.where(parallel, 1.0, slope)
    along = _cross(between, others[:, None]) / slope
    across = _cross(between, edges[:, :, None]) / slope
    meets = ~parallel & (along >= 0) & (along <= 1) & (across >= 0) & (across <= 1)
    points = ours[:, :, None] + along[..., None] * edges[:, :, None]
    return points.reshape(len(ours), 16, 2), meets.reshape(len(ours), 16)


# ------------------------------------------------------------------------------------------------ outlines


def area(points: Outline) -> float:
    """Return the area of an outline (n, 2); 0 for fewer than three corners."""
    return float(_areas(np.asarray(points, float)[None])[0]) if len(points) > 2 else 0.0


def _areas(outlines: Array) -> Array:
    x, y = outlines[..., 0], outlines[..., 1]
    return np.asarray(np.abs((x * np.roll(y, -1, axis=-1) - np.roll(x, -1, axis=-1) * y).sum(axis=-1)) / 2)


def clip_outline(points: Outline) -> Array:
    """Return the part of an outline (n, 2) that is in the image, as an outline; (0, 2) where nothing is."""
    points = np.asarray(points, float).reshape(-1, 2)
    if points.size and points.min() >= 0.0 and points.max() <= 1.0:
        return points
    # One side after another: points beyond it go, and where an edge crosses it there is a new corner.
    for axis, side, sign in ((0, 0.0, 1), (0, 1.0, -1), (1, 0.0, 1), (1, 1.0, -1)):
        within = (points[:, axis] - side) * sign >= 0
        if within.all():
            continue
        kept: list[Array] = []
        for index, point in enumerate(points):
            before = points[index - 1]
            if within[index] != within[index - 1]:
                share = (side - before[axis]) / (point[axis] - before[axis])
                corner = before + share * (point - before)
                corner[axis] = side
                kept.append(corner)
            if within[index]:
                kept.append(point)
        points = np.array(kept).reshape(-1, 2)
    return points


# ------------------------------------------------------------------------------------------------ pixels

_LEAST_PART = 0.02  # of the area of a mask's largest part; smaller parts are specks
_FINE = 640  # pixels; smaller masks are enlarged, so that an outline does not cut off their edge
_TOLERANCE = 1.0  # pixels of a mask between an outline and its simplification


def outlines_of_pixels(pixels: Array, share: float = 0.0) -> list[tuple[tuple[float, float], ...]]:
    """Return the outer outlines of a mask's parts, as fractions of it; the largest part first. Specks are left out.

    An outline may be off by a pixel, or by `share` of its length where that is more. Takes OpenCV.
    """
    import cv2

    rows, columns = pixels.shape
    scale = max(1, math.ceil(_FINE / max(rows, columns)))
    large = cv2.resize(np.asarray(pixels, np.uint8), (columns * scale, rows * scale), interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    sized = sorted(((cv2.contourArea(contour), contour) for contour in contours), key=lambda pair: -pair[0])
    found = []
    for part, contour in sized:
        length = cv2.arcLength(contour, closed=True)
        simple = cv2.approxPolyDP(contour, max(_TOLERANCE * scale, share * length), closed=True)[:, 0, :]
        if part >= _LEAST_PART * sized[0][0] and len(simple) >= 3:
            found.append(tuple(((x + 0.5) / (columns * scale), (y + 0.5) / (rows * scale)) for x, y in simple.tolist()))
    return found


def fill_outline(points: Outline, width: int, height: int) -> Array:
    """Return the pixels (rows, columns) whose centres are in an outline (n, 2), by the even-odd rule."""
    corners = np.asarray(points, float).reshape(-1, 2) * [width, height]
    (x0, y0), (x1, y1) = np.roll(corners, 1, axis=0).T, corners.T
    low, high = np.minimum(y0, y1), np.maximum(y0, y1)
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(int)
    counts = np.maximum(np.clip(np.ceil(high - 0.5), 0, height).astype(int) - first, 0)
    # For each row that an edge goes through, all pixels right of the edge flip between inside and outside.
    edges = np.repeat(np.arange(len(corners)), counts)
    rows = first[edges] + np.arange(len(edges)) - (np.cumsum(counts) - counts)[edges]
    crossings = x0[edges] + (rows + 0.5 - y0[edges]) * (x1 - x0)[edges] / (y1 - y0)[edges]
    indices = rows * (width + 1) + np.clip(np.ceil(crossings - 0.5), 0, width).astype(int)
    flips = np.bincount(indices, minlength=height * (width + 1)).reshape(height, width + 1)
    return np.asarray(np.bitwise_xor.accumulate(flips[:, :width].astype(np.uint8), axis=1) & 1 == 1)


def ellipse_outline(
    x: float, y: float, radius_x: float, radius_y: float, rotation: float, aspect: float, corners: int = 72
) -> Array:
    """Return an ellipse, rotated clockwise about its centre, as an outline (corners, 2)."""
    turn, around = math.radians(rotation), np.linspace(0, 2 * math.pi, corners, endpoint=False)
    along, down = radius_x * aspect * np.cos(around), radius_y * np.sin(around)
    across = along * math.cos(turn) - down * math.sin(turn)
    below = along * math.sin(turn) + down * math.cos(turn)
    return np.stack([x + across / aspect, y + below], axis=1)


def resized_pixels(pixels: Array, width: int, height: int) -> Array:
    """Return a mask in another size, by nearest neighbour."""
    rows, columns = pixels.shape
    if (columns, rows) == (width, height):
        return pixels
    down = ((np.arange(height) + 0.5) * rows / height).astype(int)
    across = ((np.arange(width) + 0.5) * columns / width).astype(int)
    return np.asarray(pixels[down[:, None], across[None, :]])


class Patch(NamedTuple):
    """The bounding rectangle of a mask's pixels that are on: its first row and column, and its pixels."""

    top: int
    left: int
    pixels: Array


def patch_of_pixels(pixels: Array) -> Patch:
    """Return the part of a mask (rows, columns) that holds its pixels that are on."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not rows.size:
        return Patch(0, 0, pixels[:0, :0])
    return Patch(int(rows[0]), int(columns[0]), pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def patch_of_outline(points: Outline, width: int, height: int) -> Patch:
    """Return the part of a mask of `width` x `height` pixels that an outline (n, 2) fills."""
    sizes = np.array([width, height])
    corners = np.asarray(points, float).reshape(-1, 2)
    low = np.clip(np.floor(corners.min(axis=0) * sizes), 0, sizes - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) * sizes), low + 1, sizes).astype(int)
    columns, rows = (high - low).tolist()
    return Patch(int(low[1]), int(low[0]), fill_outline((corners * sizes - low) / (high - low), columns, rows))


def patch_overlaps(ours: Sequence[Patch], theirs: Sequence[Patch]) -> Array:
    """Return intersection over union of every patch with every other, all of masks of one size: (n, m)."""
    shared = _bounds_shared(_patch_bounds(ours), _patch_bounds(theirs))
    for row, column in zip(*np.nonzero(shared), strict=True):
        shared[row, column] = _patch_shared(ours[row], theirs[column])
    sizes = [np.array([np.count_nonzero(patch.pixels) for patch in some], float) for some in (ours, theirs)]
    return _over_union(shared, *sizes)


def _patch_bounds(patches: Sequence[Patch]) -> Array:
    bounds = [(left, top, left + pixels.shape[1], top + pixels.shape[0]) for top, left, pixels in patches]
    return np.array(bounds, float).reshape(-1, 4)


def _patch_shared(one: Patch, other: Patch) -> int:
    top, left = max(one.top, other.top), max(one.left, other.left)
    bottom = min(patch.top + patch.pixels.shape[0] for patch in (one, other))
    right = min(patch.left + patch.pixels.shape[1] for patch in (one, other))
    parts = [
        patch.pixels[top - patch.top : bottom - patch.top, left - patch.left : right - patch.left]
        for patch in (one, other)
    ]
    return int(np.count_nonzero(parts[0] & parts[1]))
