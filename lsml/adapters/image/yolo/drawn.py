"""The part of an image that a person drew on, and the objects found there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from lsml.adapters.parts.drawn import AREAS, unmarked
from lsml.values import KeyPoint, Value
from lsml.values.coverage import ImageShape, bounds

if TYPE_CHECKING:
    from lsml.arrays import Array


Bounds = tuple[float, float, float, float]  # left, top, right, bottom

_WITHIN: Final = 0.5  # the least share of an object's bounds in the region drawn around it


def in_drawn(values: Sequence[Value], prompts: Sequence[Value]) -> list[Value]:
    """Return the found shapes of objects in the regions or under the points that a person drew, best first.

    Shapes that were already drawn are left out. Negative points (`positive=False`) exclude objects.
    """
    areas = [bounds(prompt) for prompt in prompts if isinstance(prompt, AREAS)]
    points = [prompt for prompt in prompts if isinstance(prompt, KeyPoint)]
    chosen: list[ImageShape] = []
    for parts in _objects(values):
        around = _around(bounds(part) for part in parts)
        under = [point.positive for point in points if _share((point.x, point.y, point.x, point.y), around) > 0]
        if False not in under and (True in under or any(_share(around, area) >= _WITHIN for area in areas)):
            chosen += parts
    return sorted(unmarked(chosen, prompts), key=lambda value: -(1.0 if value.score is None else value.score))


def drawn_part(image: Array, prompts: Sequence[Value]) -> Array | None:
    """Return the part of an image (rows, columns, 3) around the last region that a person drew; None where none has an area."""
    rows, columns = image.shape[:2]
    for prompt in reversed(prompts):
        if isinstance(prompt, AREAS):
            left, top, right, bottom = bounds(prompt)
            across = slice(max(0, round(left * columns)), max(0, round(right * columns)))
            part = image[max(0, round(top * rows)) : max(0, round(bottom * rows)), across]
            if part.size:
                return part
    return None


def _objects(values: Sequence[Value]) -> list[list[ImageShape]]:
    """Return the shapes of each object; a group, such as a pose and its box, is one object."""
    objects: dict[int | str, list[ImageShape]] = {}
    for number, value in enumerate(values):
        if isinstance(value, ImageShape):
            objects.setdefault(number if value.group is None else value.group, []).append(value)
    return list(objects.values())


def _around(several: Iterable[Bounds]) -> Bounds:
    left, top, right, bottom = zip(*several, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _share(inner: Bounds, outer: Bounds) -> float:
    """Return the share of some bounds that is in others; for a point or a line, the share of its length."""
    share = 1.0
    for low, high in ((0, 2), (1, 3)):
        begin, end = max(inner[low], outer[low]), min(inner[high], outer[high])
        length = inner[high] - inner[low]
        share *= max(0.0, end - begin) / length if length > 0 else float(begin <= end)
    return share
