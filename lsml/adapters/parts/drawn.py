"""The objects that a person asks for on an image by drawing: the shapes found there, and those that nobody has drawn yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from lsml.values import Box, Ellipse, KeyPoint, Mask, Polygon, Value, label_of
from lsml.values.coverage import ImageShape, bounds, overlaps

if TYPE_CHECKING:
    from lsml.arrays import Array

Bounds = tuple[float, float, float, float]  # left, top, right, bottom
Area = Box | Polygon | Ellipse | Mask

AREAS: Final = (Box, Polygon, Ellipse, Mask)
_WITHIN: Final = 0.5  # the least share of an object's bounds in the region drawn around it
_SAME: Final = 0.9  # intersection over union from which a drawn region already marks an object

ValueT = TypeVar("ValueT", bound=Value)


class Drawn(NamedTuple):
    """One object that a person asks for: the region around it, if any, and points on it and beside it (`positive=False`)."""

    label: str
    around: Area | None
    points: tuple[KeyPoint, ...] = ()


def drawn_objects(prompts: Sequence[Value]) -> list[Drawn]:
    """Return one object for each region with an area; without such regions, one for each label of the points.

    Positive points belong to the regions that they are in, negative points to all objects.
    """
    points = [value for value in prompts if isinstance(value, KeyPoint)]
    around = [value for value in prompts if isinstance(value, Area)]
    beside = tuple(point for point in points if not point.positive)
    objects: list[Drawn] = []
    used: set[int] = set()
    for value in around:
        left, top, right, bottom = bounds(value)
        inside = [point for point in points if point.positive and left <= point.x <= right and top <= point.y <= bottom]
        used.update(id(point) for point in inside)
        objects.append(Drawn(label_of(value) or "", value, (*inside, *beside)))
    alone: dict[str, list[KeyPoint]] = {}
    for point in points:
        if point.positive and id(point) not in used:
            alone.setdefault(point.label, []).append(point)
    return objects + [Drawn(label, None, (*own, *beside)) for label, own in alone.items()]


def unmarked(shapes: Sequence[ValueT], prompts: Sequence[Value]) -> list[ValueT]:
    """Return the shapes that no region of the same type marks already, whatever its label."""
    new = list(shapes)
    for kind in AREAS:
        own, drawn = ([one for one in some if isinstance(one, kind)] for some in (new, prompts))
        if own and drawn:
            same = (overlaps(own, drawn) > _SAME).tolist()
            marked = {id(one) for one, hits in zip(own, same, strict=True) if any(hits)}
            new = [one for one in new if id(one) not in marked]
    return new


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
