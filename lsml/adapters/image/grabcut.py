"""grabcut: segments the object that a person pointed at, by OpenCV's GrabCut. No weights, no training.

C. Rother, V. Kolmogorov, A. Blake: "GrabCut": Interactive Foreground Extraction using Iterated Graph Cuts, 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, Data, InteractiveAdapter
from lsml.errors import AdapterError
from lsml.values import Box, Ellipse, KeyPoint, Mask, Polygon, Value, label_of
from lsml.values.coverage import bounds

Area = Box | Polygon | Ellipse | Mask
Pixels = Any  # an array (rows, columns) of booleans, or (rows, columns, 3) of an image

_DOT: Final = 0.012  # radius of the disc that a point marks as certain, as a share of the longer side
_REACH: Final = (
    0.25  # radius in which the object is searched around points without a box, as a share of the longer side
)
_LEAST: Final = 4  # the least pixels of a side of a box for GrabCut


class GrabCutOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `grabcut`."""

    iterations: Annotated[
        int, Meta(ge=1, le=20, description="How often the cut is refined; more is slower.", extra=PREDICTIONS)
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
    simplify: Annotated[
        float,
        Meta(
            ge=0,
            le=0.1,
            description="The largest error of a polygon, as a share of its outline's length (a pixel always).",
            extra=PREDICTIONS,
        ),
    ] = 0.004


class GrabCut(InteractiveAdapter[GrabCutOptions]):
    """The mask, outline or ellipse of an object, from boxes or from positive and negative points."""

    name: ClassVar[str] = "grabcut"
    title: ClassVar[str] = "segments objects that a person marks with a box or points; no weights, no training"
    consumes: ClassVar[frozenset[str]] = frozenset({"Image"})
    produces: ClassVar[frozenset[type]] = frozenset({Mask, Polygon, Ellipse})
    requires: ClassVar[tuple[str, ...]] = ("cv2",)
    extra: ClassVar[str | None] = "images"
    only_interactive: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = GrabCutOptions

    @property
    def own_names(self) -> bool:
        """False: its labels are those of the prompts."""
        return False

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return nothing: without a person's region there is no object to segment."""
        return [[] for _ in batch]

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return one object for each box; without boxes, one for each label of the points.

        Positive points refine the boxes that they are in, negative points (`positive=False`) refine all of them. Raises
        AdapterError where the image cannot be read.
        """
        image = _read(data)
        rows, columns = image.shape[:2]
        scale = min(1.0, self.options.size / max(rows, columns))
        small = _resized(image, scale)
        found: list[Value] = []
        for label, box, points in _objects(prompts):
            known = self._label(label)
            if known is None:
                continue
            cut = _cut(small, box, points, self.options.iterations)
            if cut is not None:
                found += self._values(_restored(cut, rows, columns), known)
        return found

    def _label(self, label: str) -> dict[str, str] | None:
        """Return the label of each wanted kind: the prompt's, or the only one that the kind has; None where there is none."""
        labels: dict[str, str] = {}
        for kind, names in self.target.kinds.items():
            if label in names or not names:
                labels[kind] = label if names else ""
            elif len(names) == 1:
                labels[kind] = names[0]
        return labels or None

    def _values(self, pixels: Pixels, labels: dict[str, str]) -> list[Value]:
        from lsml.values.geometry import outlines_of_pixels

        rows, columns = pixels.shape
        aspect = columns / rows
        values: list[Value] = []
        if "mask" in labels:
            values.append(Mask.from_pixels(pixels, labels["mask"]))
        if "polygon" in labels:
            # Points may be on several parts; a polygon has one outline, that of the largest.
            outlines = outlines_of_pixels(pixels, self.options.simplify)[:1]
            values += [Polygon(label=labels["polygon"], points=outline, aspect=aspect) for outline in outlines]
        if "ellipse" in labels:
            values += _ellipse(pixels, labels["ellipse"])
        return values


def _read(path: Path) -> Pixels:
    """Return an image as (rows, columns, 3), in the order BGR. EXIF orientation was applied before."""
    import cv2
    import numpy as np

    content = np.fromfile(path, dtype=np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if content.size else None
    if image is None:
        raise AdapterError(f"{Path(path).name}: is no image that OpenCV can read")
    return image


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


def _objects(prompts: Sequence[Value]) -> list[tuple[str, Area | None, list[KeyPoint]]]:
    """Return (label, box or None, points on it and beside it) of each object that is asked for."""
    points = [value for value in prompts if isinstance(value, KeyPoint)]
    around = [value for value in prompts if isinstance(value, Area)]
    beside = [point for point in points if not point.positive]
    objects: list[tuple[str, Area | None, list[KeyPoint]]] = []
    used: set[int] = set()
    for value in around:
        left, top, right, bottom = bounds(value)
        inside = [point for point in points if point.positive and left <= point.x <= right and top <= point.y <= bottom]
        used.update(id(point) for point in inside)
        objects.append((label_of(value) or "", value, inside + beside))
    alone: dict[str, list[KeyPoint]] = {}
    for point in points:
        if point.positive and id(point) not in used:
            alone.setdefault(point.label, []).append(point)
    objects += [(label, None, own + beside) for label, own in alone.items()]
    return objects


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
    cv2.setRNGSeed(1)  # this thread's seed, so that the same marks give the same cut
    try:
        cv2.grabCut(image, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), iterations, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # too few pixels or colours to separate two sides
        return before
    cut = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if not cut.any():
        # There is only one colour, so the drawn region itself is the best answer.
        return before
    return _whole(cut, [(x, y) for x, y, positive in places if positive])


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


def _whole(cut: Pixels, seeds: Sequence[tuple[int, int]]) -> Pixels:
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


def _ellipse(pixels: Pixels, label: str) -> list[Value]:
    """Return the ellipse with the same centre and second moments as the pixels; none where they are a line or less."""
    import numpy as np

    rows, columns = pixels.shape
    ys, xs = np.nonzero(pixels)
    if len(xs) < 3:
        return []
    centre = np.array([xs.mean() + 0.5, ys.mean() + 0.5])
    spread = np.cov(np.stack([xs, ys]).astype(np.float64))
    lengths, directions = np.linalg.eigh(spread)
    if lengths[0] <= 0:
        return []
    # A filled ellipse has a variance of a quarter of its squared radius along each axis.
    minor, major = 2.0 * np.sqrt(lengths)
    angle = float(np.rad2deg(np.arctan2(directions[1, 1], directions[0, 1]))) % 180.0
    return [
        Ellipse(
            label=label, x=float(centre[0] / columns), y=float(centre[1] / rows), radius_x=float(major / columns),
            radius_y=float(minor / rows), rotation=angle, aspect=columns / rows,
        )
    ]  # fmt: skip
