"""`<KeyPointLabels>` and `<KeyPoint>`: `{"x", "y", "width"}`, percent of the upright image; `width` is the dot's.

A point of an object names the object's box as its parent. https://labelstud.io/tags/keypointlabels
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from lsml.controls.base import Region
from lsml.controls.shapes import Geometry, ShapeControl, fractions, in_image, percent, range_problem
from lsml.labeling.view import View
from lsml.values import KeyPoint as KeyPointValue
from lsml.values import Shape, Value

_BESIDE = (False, 0, "0", "false")  # the values that mark a click as negative


class KeyPointLabels(ShapeControl):
    """Points, each with a label."""

    tag: ClassVar[str] = "KeyPointLabels"
    value_type: ClassVar[type] = KeyPointValue

    def _geometry(self, value: KeyPointValue, on: View) -> Geometry | None:
        if not (0.0 <= value.x <= 1.0 and 0.0 <= value.y <= 1.0):
            return None
        return {"x": percent(value.x), "y": percent(value.y), "width": percent(min(1.0, max(0.0, value.size)))}

    def _grouped(self, value: Shape) -> Region:
        """Return the box of the point's object as its parent, where a control shows it."""
        return {} if value.group is None else {"parentID": value.group}

    def _group(self, region: Region) -> str | None:
        parent = region.get("parentID")
        return parent if isinstance(parent, str) and parent else None

    def _found(self, region: Region, value: Geometry, fields: dict[str, Any]) -> Iterator[Value]:
        x, y = in_image(*fractions(value, "x", "y"))
        size = abs(fractions(value, "width")[0]) if value.get("width") is not None else 0.005
        told = [found for found in (region.get("is_positive"), value.get("positive")) if found is not None]
        positive = not any(one in _BESIDE for one in told if isinstance(one, bool | int | str))
        yield KeyPointValue(**fields, x=x, y=y, size=size, positive=positive)

    def _geometry_problem(self, region: Region, value: Geometry) -> str | None:
        keys = ("x", "y", "width") if "width" in value else ("x", "y")
        return next((wrong for key in keys if (wrong := range_problem(value, key)) is not None), None)


class KeyPoint(KeyPointLabels):
    """Points whose labels are in a `<Labels>` for the same image, or that have none."""

    tag: ClassVar[str] = "KeyPoint"
    companion_tag: ClassVar[str | None] = "Labels"
