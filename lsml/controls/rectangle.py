"""`<RectangleLabels>` and `<Rectangle>`: `{"x", "y", "width", "height", "rotation"}`, percent of the upright image.

`x` and `y` are the top-left corner before the rectangle was rotated about it, clockwise. The rotation is one in pixels, so
its corners depend on the image's aspect. https://labelstud.io/tags/rectanglelabels
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from lsml.controls.base import Region
from lsml.controls.shapes import (
    Geometry,
    ShapeControl,
    fractions,
    percent,
    range_problem,
    rotation_of,
    rotation_problem,
)
from lsml.labeling.remarks import Misread, Reason
from lsml.labeling.view import View
from lsml.values import Box, Shape, Value

SIDES = ("x", "y", "width", "height")


class RectangleLabels(ShapeControl):
    """Boxes, upright or rotated, each with a label."""

    tag: ClassVar[str] = "RectangleLabels"
    value_type: ClassVar[type] = Box

    def _geometry(self, value: Box, on: View) -> Geometry | None:
        from lsml.values.geometry import fit_box

        # A person's rotated box keeps its image's aspect from the region where it is not known here.
        box = fit_box((value.x, value.y, value.width, value.height, value.rotation), _aspect(value, on))
        if box is None:
            return None
        place: Geometry = {key: percent(side) for key, side in zip(SIDES, box, strict=False)}
        place["rotation"] = 0 if box[4] == 0.0 else round(box[4], 6) % 360.0
        return place if place["width"] and place["height"] else None

    def _grouped(self, value: Shape) -> Region:
        """Return the group as the region's id, which the points of a pose have as their parent."""
        return {} if value.group is None else {"id": value.group}

    def _group(self, region: Region) -> str | None:
        id = region.get("id")
        return id if isinstance(id, str) and id else None

    def _found(self, region: Region, value: Geometry, fields: dict[str, Any]) -> Iterator[Value]:
        from lsml.values.geometry import fit_box, forward_box

        x, y, width, height = fractions(value, *SIDES)
        if not width or not height:
            raise Misread(Reason.NO_AREA)
        box = fit_box(forward_box((x, y, width, height, rotation_of(value)), fields["aspect"]), fields["aspect"])
        if box is None:
            raise Misread(Reason.OUTSIDE_IMAGE)
        yield Box(**fields, x=box[0], y=box[1], width=box[2], height=box[3], rotation=box[4])

    def _geometry_problem(self, region: Region, value: Geometry) -> str | None:
        for key in SIDES:
            wrong = range_problem(value, key)
            if wrong is not None:
                return wrong
        if not value["width"] or not value["height"]:
            return f"value is {value['width']:g} wide and {value['height']:g} high; expected a rectangle"
        wrong = rotation_problem(value)
        if wrong is not None or value.get("rotation"):
            return wrong
        for start, side in (("x", "width"), ("y", "height")):
            if value[start] + value[side] > 100.0 + 1e-4:
                return f"value.{start} and value.{side} end at {value[start] + value[side]:g}; expected at most 100"
        return None


class Rectangle(RectangleLabels):
    """Boxes whose labels are in a `<Labels>` for the same image, or that have none."""

    tag: ClassVar[str] = "Rectangle"
    companion_tag: ClassVar[str | None] = "Labels"


def _aspect(value: Shape, on: View) -> float:
    return on.aspect if on.size else value.aspect
