"""The objects that a person asks for on an image by drawing, and the shapes that nobody has drawn yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

from lsml.values import Box, Ellipse, KeyPoint, Mask, Polygon, Value, label_of
from lsml.values.coverage import bounds, overlaps

Area = Box | Polygon | Ellipse | Mask

AREAS: Final = (Box, Polygon, Ellipse, Mask)
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
