"""`<PolygonLabels>` and `<Polygon>`: `{"points": [[x, y], ...], "closed": true}`, percent of the upright image.

https://labelstud.io/tags/polygonlabels
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from lsml.controls.base import Region
from lsml.controls.shapes import Geometry, ShapeControl, number, percent, range_problem
from lsml.labeling.remarks import Misread, Reason
from lsml.labeling.view import View
from lsml.values import Polygon as PolygonValue
from lsml.values import Value
from lsml.wording import JSON


class PolygonLabels(ShapeControl):
    """Outlines, each with a label."""

    tag: ClassVar[str] = "PolygonLabels"
    value_type: ClassVar[type] = PolygonValue

    def _geometry(self, value: PolygonValue, on: View) -> Geometry | None:
        from lsml.values.geometry import area, clip_outline

        points = clip_outline(value.points)
        if area(points) <= 0.0:
            return None
        return {"points": [[percent(x), percent(y)] for x, y in points.tolist()], "closed": True}

    def _found(self, region: Region, value: Geometry, fields: dict[str, Any]) -> Iterator[Value]:
        import numpy as np

        from lsml.values.geometry import area, clip_outline

        given = value.get("points")
        points = [_corner(point) for point in given] if isinstance(given, list) else []
        if len(points) < 3 or area(np.array(points)) <= 0.0:
            raise Misread(Reason.NO_AREA)
        kept = clip_outline(points)
        if area(kept) <= 0.0:
            raise Misread(Reason.OUTSIDE_IMAGE)
        yield PolygonValue(**fields, points=tuple((x, y) for x, y in kept.tolist()))

    def _geometry_problem(self, region: Region, value: Geometry) -> str | None:
        points = value.get("points")
        if not isinstance(points, list) or len(points) < 3:
            return f"value.points is {JSON.shown(points)}; expected a list of at least three corners"
        for point in points:
            if not isinstance(point, list) or len(point) != 2:
                return f"value.points holds {JSON.shown(point)}; expected corners, each a list of two numbers"
            for axis, coordinate in zip("xy", point, strict=True):
                wrong = range_problem({axis: coordinate}, axis)
                if wrong is not None:
                    return f"a corner's {wrong.removeprefix('value.')}"
        return None


def _corner(point: object) -> tuple[float, float]:
    """Return a corner as fractions of the image. Raises Misread where it is none."""
    if not isinstance(point, list) or len(point) != 2:
        raise Misread(Reason.NO_NUMBER, JSON.shown(point))
    return number(point[0]) / 100.0, number(point[1]) / 100.0


class Polygon(PolygonLabels):
    """Outlines whose labels are in a `<Labels>` for the same image, or that have none."""

    tag: ClassVar[str] = "Polygon"
    companion_tag: ClassVar[str | None] = "Labels"
