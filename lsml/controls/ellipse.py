"""`<EllipseLabels>` and `<Ellipse>`: `{"x", "y", "radiusX", "radiusY", "rotation"}`, percent of the upright image.

`x` and `y` are the centre, about which it is rotated. https://labelstud.io/tags/ellipselabels
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from lsml.controls.base import Region
from lsml.controls.shapes import (
    Geometry,
    ShapeControl,
    fractions,
    in_image,
    percent,
    range_problem,
    rotation_of,
    rotation_problem,
)
from lsml.labeling.remarks import Misread, Reason
from lsml.labeling.view import View
from lsml.values import Ellipse as EllipseValue
from lsml.values import Value

_LARGEST = 50.0  # the largest radius, in percent of a side


class EllipseLabels(ShapeControl):
    """Ellipses, upright or rotated, each with a label."""

    tag: ClassVar[str] = "EllipseLabels"
    value_type: ClassVar[type] = EllipseValue

    def _geometry(self, value: EllipseValue, on: View) -> Geometry | None:
        from lsml.values.geometry import wrap

        place: Geometry = {
            "x": percent(value.x),
            "y": percent(value.y),
            "radiusX": min(_LARGEST, percent(value.radius_x)),
            "radiusY": min(_LARGEST, percent(value.radius_y)),
            "rotation": round(wrap(value.rotation), 6) % 360.0 or 0,
        }
        inside = 0.0 <= place["x"] <= 100.0 and 0.0 <= place["y"] <= 100.0
        return place if inside and place["radiusX"] and place["radiusY"] else None

    def _found(self, region: Region, value: Geometry, fields: dict[str, Any]) -> Iterator[Value]:
        from lsml.values.geometry import wrap

        x, y = in_image(*fractions(value, "x", "y"))
        # A negative radius was drawn backwards, which gives the same ellipse.
        radius_x, radius_y = (min(1.0, abs(radius)) for radius in fractions(value, "radiusX", "radiusY"))
        if not radius_x or not radius_y:
            raise Misread(Reason.NO_AREA)
        rotation = wrap(rotation_of(value))
        yield EllipseValue(**fields, x=x, y=y, radius_x=radius_x, radius_y=radius_y, rotation=rotation)

    def _geometry_problem(self, region: Region, value: Geometry) -> str | None:
        for key, most in (("x", 100.0), ("y", 100.0), ("radiusX", _LARGEST), ("radiusY", _LARGEST)):
            wrong = range_problem(value, key, most)
            if wrong is not None:
                return wrong
        if not value["radiusX"] or not value["radiusY"]:
            return f"value has radii of {value['radiusX']:g} and {value['radiusY']:g}; expected an ellipse"
        return rotation_problem(value)


class Ellipse(EllipseLabels):
    """Ellipses whose labels are in a `<Labels>` for the same image, or that have none."""

    tag: ClassVar[str] = "Ellipse"
    companion_tag: ClassVar[str | None] = "Labels"
