"""grabcut: segments the object that a person pointed at, by OpenCV's GrabCut. No weights, no training.

C. Rother, V. Kolmogorov, A. Blake: "GrabCut": Interactive Foreground Extraction using Iterated Graph Cuts, 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS
from lsml.adapters.parts.cut_out import Cut, CutOut, CutOutOptions, Pixels
from lsml.adapters.parts.drawn import Area, Drawn
from lsml.adapters.parts.pictures import read_image
from lsml.values import KeyPoint
from lsml.values.coverage import bounds

_DOT: Final = 0.012  # radius of the disc that a point marks as certain, as a share of the longer side
_REACH: Final = (
    0.25  # radius in which the object is searched around points without a box, as a share of the longer side
)
_LEAST: Final = 4  # the least pixels of a side of a box for GrabCut


class GrabCutOptions(CutOutOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `grabcut`."""

    iterations: Annotated[
        int, Meta(ge=1, le=20, description="The number of refinements of the mask; more is slower.", extra=PREDICTIONS)
    ] = 5
    size: Annotated[
        int,
        Meta(
            ge=64,
            le=4096,
            description="The longer side, in pixels, to which a larger image is scaled; smaller is faster and coarser.",
            extra=PREDICTIONS,
        ),
    ] = 640


class GrabCut(CutOut[GrabCutOptions]):
    """The mask, outline, ellipse or box of an object, from boxes or from positive and negative points."""

    name: ClassVar[str] = "grabcut"
    licence: ClassVar[str | None] = "Apache-2.0 (OpenCV)"
    title: ClassVar[str] = "segments an object that a person marks with a box or points; no weights, no training"
    requires: ClassVar[tuple[str, ...]] = ("cv2", "PIL")
    extra: ClassVar[str | None] = "images"
    Options: ClassVar[type[msgspec.Struct]] = GrabCutOptions

    def cut(self, path: Path, objects: Sequence[Drawn]) -> list[Cut | None]:
        """Return the pixels of each object in an image; None where there is nothing. Raises AdapterError."""
        image = read_image(path)
        rows, columns = image.shape[:2]
        small = _resized(image, min(1.0, self.options.size / max(rows, columns)))
        cuts = [_cut(small, one.around, one.points, self.options.iterations) for one in objects]
        return [None if cut is None else Cut(_restored(cut, rows, columns)) for cut in cuts]


def _resized(image: Pixels, scale: float) -> Pixels:
    import cv2

    if scale == 1.0:
        return image
    rows, columns = image.shape[:2]
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _restored(cut: Pixels, rows: int, columns: int) -> Pixels:
    """Return a cut in the size of the image, with a smooth edge."""
    import cv2

    if cut.shape == (rows, columns):
        return cut
    return cv2.resize(cut.astype("float32"), (columns, rows), interpolation=cv2.INTER_LINEAR) >= 0.5


def _cut(image: Pixels, around: Area | None, points: Sequence[KeyPoint], iterations: int) -> Pixels | None:
    """Return the pixels of an object, (rows, columns) of booleans; None where none are left."""
    import cv2
    import numpy as np

    rows, columns = image.shape[:2]
    dot = max(1, round(_DOT * max(rows, columns)))
    marks = np.full((rows, columns), cv2.GC_BGD, dtype=np.uint8)
    places = [(min(columns - 1, int(p.x * columns)), min(rows - 1, int(p.y * rows)), p.positive) for p in points]
    if around is not None:
        left, top, right, bottom = bounds(around)
        x0, x1 = sorted((max(0, round(left * columns)), min(columns, round(right * columns))))
        y0, y1 = sorted((max(0, round(top * rows)), min(rows, round(bottom * rows))))
        if x1 - x0 < 1 or y1 - y0 < 1:
            return None
        marks[y0:y1, x0:x1] = cv2.GC_PR_FGD
        if x1 - x0 < _LEAST or y1 - y0 < _LEAST:
            return marks == cv2.GC_PR_FGD
    else:
        reach = round(_REACH * max(rows, columns))
        for x, y, positive in places:
            if positive:
                cv2.circle(marks, (x, y), reach, int(cv2.GC_PR_BGD), -1)
        _spread(image, marks, [(x, y) for x, y, positive in places if positive])
    for x, y, positive in places:
        cv2.circle(marks, (x, y), dot, int(cv2.GC_FGD if positive else cv2.GC_BGD), -1)
    if not np.isin(marks, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        # The box is the whole image, so its rim counts as background, which GrabCut needs.
        marks[[0, -1], :] = cv2.GC_BGD
        marks[:, [0, -1]] = cv2.GC_BGD
    before = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))
    try:
        _refine(image, marks, iterations)
    except cv2.error:  # too few pixels or colours to separate two sides
        return before
    cut = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if not cut.any():
        # There is only one colour, so the drawn region itself is the best result.
        return before
    return _one_piece(cut, [(x, y) for x, y, positive in places if positive])


def _refine(image: Pixels, marks: Pixels, iterations: int) -> None:
    """Move the marks of an image to the edges of the object, until they stay: on a plain page each refinement takes long.

    Raises cv2.error where there are too few pixels or colours to separate two sides.
    """
    import cv2
    import numpy as np

    cv2.setRNGSeed(1)  # this thread's seed, so that the same prompt gives the same mask
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    mode = cv2.GC_INIT_WITH_MASK
    for _ in range(iterations):
        before = marks.copy()
        cv2.grabCut(image, marks, None, background, foreground, 1, mode)
        if (marks == before).all():
            return
        mode = cv2.GC_EVAL


def _spread(image: Pixels, marks: Pixels, seeds: Sequence[tuple[int, int]]) -> None:
    """Mark pixels that look like those at `seeds` and are connected to them as probable foreground."""
    import cv2
    import numpy as np

    rows, columns = image.shape[:2]
    smooth = cv2.bilateralFilter(image, 7, 40, 7)
    for seed in seeds:
        flooded = np.zeros((rows + 2, columns + 2), dtype=np.uint8)
        flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
        cv2.floodFill(smooth.copy(), flooded, seed, 0, (28, 28, 28), (28, 28, 28), flags)
        marks[(flooded[1:-1, 1:-1] == 1) & (marks == cv2.GC_PR_BGD)] = cv2.GC_PR_FGD


def _one_piece(cut: Pixels, seeds: Sequence[tuple[int, int]]) -> Pixels:
    """Return the parts that hold a seed, else the largest one; without holes."""
    import cv2
    import numpy as np

    count, parts, stats, _ = cv2.connectedComponentsWithStats(cut.astype(np.uint8), connectivity=8)
    kept = {int(parts[y, x]) for x, y in seeds} - {0}
    if not kept:
        kept = {1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))} if count > 1 else set()
    chosen = np.isin(parts, list(kept)).astype(np.uint8)
    outlines, _ = cv2.findContours(chosen, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(chosen, outlines, -1, 1, cv2.FILLED)
    return chosen.astype(bool)
