"""Lines of text in an image's pixels: their places, their reading order, and regions cut out upright."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from lsml.values import Box, Ellipse, Mask, Polygon

Area = Box | Polygon | Ellipse | Mask
Pixels = Any  # an array (rows, columns, 3) of an image, in the order BGR
Corners = Any  # an array (4, 2) of pixels: top left, top right, bottom right, bottom left, in reading direction

_UPRIGHT: Final = 0.1  # the share of a line's height by which its corners may be off if it is upright
_THINNEST: Final = 8  # the longer side through the shorter one, above which an image is framed
_FRAMED: Final = 4  # the same of a framed image; rapidocr frames so the wide ones that it can shrink
_MARGIN: Final = 0.25  # of a region's shorter side, as the detector misses letters at the very edge


class Line(NamedTuple):
    """A line of text. `score` is in [0, 1]."""

    text: str
    score: float
    corners: Corners


def box_of(line: Line, label: str, width: int, height: int) -> Box | None:
    """Return a line as a box on an image of that size, upright where it nearly is; None where it has no area."""
    import numpy as np

    from lsml.values.geometry import box_of_corners

    corners = np.asarray(line.corners, float)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    off = np.abs(corners - [[left, top], [right, top], [right, bottom], [left, bottom]]).max()
    if off <= max(2.0, _UPRIGHT * (bottom - top)):
        x, y, wide, high, rotation = left / width, top / height, (right - left) / width, (bottom - top) / height, 0.0
    else:
        x, y, wide, high, rotation = box_of_corners(corners / [width, height], width / height)
    if wide <= 0 or high <= 0:
        return None
    return Box(
        label=label, score=line.score, aspect=width / height, text=line.text,
        x=float(x), y=float(y), width=float(wide), height=float(high), rotation=float(rotation),
    )  # fmt: skip


def polygon_of(line: Line, label: str, width: int, height: int) -> Polygon:
    """Return a line as the outline of its four corners, as fractions of an image of that size."""
    points = tuple((float(x) / width, float(y) / height) for x, y in line.corners)
    return Polygon(label=label, score=line.score, aspect=width / height, text=line.text, points=points)


def as_box(region: Area) -> Box:
    """Return a region as a box; for other shapes their bounding box."""
    from lsml.values.coverage import bounds

    if isinstance(region, Box):
        return region
    left, top, right, bottom = bounds(region)
    return Box(
        label=region.label, item=region.item, aspect=region.aspect, x=left, y=top, width=right - left, height=bottom - top
    )  # fmt: skip


def as_polygon(region: Area) -> Polygon:
    """Return a region as a polygon; for a box its corners, else those of the bounding box."""
    from lsml.values.geometry import box_corners

    if isinstance(region, Polygon):
        return region
    box = as_box(region)
    corners = box_corners([(box.x, box.y, box.width, box.height, box.rotation)], box.aspect)[0].tolist()
    points = tuple((x, y) for x, y in corners)
    return Polygon(label=box.label, item=box.item, aspect=box.aspect, points=points)


def joined(lines: Sequence[Line]) -> tuple[str, float] | None:
    """Return (text, least score) of several lines: one row is joined by spaces, rows by line breaks; None without lines."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: _middle(line)[1]):
        # A line belongs to the row if its middle is within the height of the line before it.
        if rows and abs(_middle(line)[1] - _middle(rows[-1][-1])[1]) < _height(rows[-1][-1]) / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    texts = [" ".join(line.text for line in sorted(row, key=lambda line: _middle(line)[0])) for row in rows]
    return ("\n".join(texts), min(line.score for line in lines)) if lines else None


def _middle(line: Line) -> tuple[float, float]:
    return float(line.corners[:, 0].mean()), float(line.corners[:, 1].mean())


def _height(line: Line) -> float:
    import numpy as np

    return float(np.linalg.norm(line.corners[3] - line.corners[0]))


def cut_out(image: Pixels, region: Area) -> Pixels | None:
    """Return the content of a region, upright, as an image of its own; None where it has less than a pixel."""
    import cv2
    import numpy as np

    from lsml.values.coverage import bounds
    from lsml.values.geometry import box_corners

    rows, columns = image.shape[:2]
    if isinstance(region, Box) and region.rotation % 360.0:
        place = (region.x, region.y, region.width, region.height, region.rotation)
        corners = (box_corners([place], columns / rows)[0] * [columns, rows]).astype(np.float32)
        wide = round(float(np.linalg.norm(corners[1] - corners[0])))
        high = round(float(np.linalg.norm(corners[3] - corners[0])))
        if wide < 1 or high < 1:
            return None
        flat = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
        turn = cv2.getPerspectiveTransform(corners, flat)
        return cv2.warpPerspective(image, turn, (wide, high), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    left, top, right, bottom = bounds(region)
    x0, x1 = sorted(min(columns, max(0, round(x * columns))) for x in (left, right))
    y0, y1 = sorted(min(rows, max(0, round(y * rows))) for y in (top, bottom))
    return image[y0:y1, x0:x1].copy() if x1 > x0 and y1 > y0 else None


def with_margin(image: Pixels, least: int = 0) -> Pixels:
    """Return an image with its edge repeated around it.

    With `least`, it is put into the middle of a plain image in the colour of that edge, which is at least as high as it
    is wide, and neither less than `least`.
    """
    import cv2

    margin = max(8, round(_MARGIN * min(image.shape[:2])))
    framed = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    return _in_frame(framed, max(least, framed.shape[1]), least)[0] if least else framed


def not_thin(image: Pixels, size: int) -> tuple[Pixels, Corners]:
    """Return an image that is not too thin for a detector, and what undoes it: (3, 2), by which corners (x, y, 1) in it become
    pixels of the given image.

    The detector enlarges an image until its shorter side has 736 pixels. A thin one is shrunk to `size` pixels before the
    frame, which would take much memory, too.
    """
    import numpy as np

    high, wide = image.shape[:2]
    if max(high, wide) <= _THINNEST * min(high, wide):
        return image, np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    small = shrunk(image, size)
    least = max(1, max(small.shape[:2]) // _FRAMED)
    framed, left, top = _in_frame(small, least, least)
    down, across = high / small.shape[0], wide / small.shape[1]
    return framed, np.array([[across, 0.0], [0.0, down], [-left * across, -top * down]])


def shrunk(image: Pixels, size: int) -> Pixels:
    """Return an image whose longer side has at most `size` pixels."""
    import cv2

    high, wide = image.shape[:2]
    factor = size / max(high, wide)
    if factor >= 1:
        return image
    return cv2.resize(image, (max(1, round(wide * factor)), max(1, round(high * factor))), interpolation=cv2.INTER_AREA)


def _in_frame(image: Pixels, least_high: int, least_wide: int) -> tuple[Pixels, int, int]:
    """Return (framed, left, top): an image in the middle of a plain one of at least that size, in the colour of its edge."""
    import cv2
    import numpy as np

    high, wide = image.shape[:2]
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    colour = np.median(edge, axis=0).tolist()
    down, across = max(0, least_high - high), max(0, least_wide - wide)
    top, left = down // 2, across // 2
    framed = cv2.copyMakeBorder(image, top, down - top, left, across - left, cv2.BORDER_CONSTANT, value=colour)
    return framed, left, top
