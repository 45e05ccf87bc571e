"""`<OcrLabels>` on a `<Pdf>`: `{"x", "y", "width", "height", "rotation", "pageIndex", "ocrtext", "ocrlabels"}`.

The place is in fractions of the page, and pages count from 1. Only Label Studio Enterprise draws them.
https://labelstud.io/tags/ocrlabels
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from lsml.controls.base import Region
from lsml.controls.number import finite
from lsml.controls.rectangle import SIDES, RectangleLabels
from lsml.controls.shapes import Geometry, numbers, range_problem, rotation_problem
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View, whole_number
from lsml.values import Shape, Value
from lsml.wording import JSON

_DIGITS = 8  # of a fraction: a thousandth of a pixel


class OcrLabels(RectangleLabels):
    """Boxes on the pages of a PDF document, each with a label and the text written in it."""

    tag: ClassVar[str] = "OcrLabels"
    objects: ClassVar[frozenset[str] | None] = frozenset({"Pdf"})
    carries_text: ClassVar[bool] = False
    holds_text: ClassVar[bool] = True

    def _written(
        self, value: Shape, labels: list[str], place: Geometry, to_name: str, on: View, number: int
    ) -> list[Region]:
        [region] = super()._written(value, labels, place, to_name, on, number)
        region.pop("item_index", None)
        held = region["value"]
        held |= {side: round(held[side] / 100.0, _DIGITS) for side in SIDES}
        held["pageIndex"] = (on.item or 0) + 1
        if value.text:
            held["ocrtext"] = value.text
        return [region]

    def _values(self, region: Region, on: View | None, remarks: list[Remark]) -> Sequence[Value]:
        given = self._given(region)
        page = whole_number(given.get("pageIndex", 1))
        if not page:
            raise Misread(Reason.OUTSIDE_IMAGE)
        percent = {side: 100.0 * share for side, share in zip(SIDES, numbers(given, *SIDES), strict=True)}
        found = super()._values({**region, "item_index": page - 1, "value": {**given, **percent}}, on, remarks)
        text = given.get("ocrtext")
        return (
            [msgspec.structs.replace(value, text=text) for value in found] if isinstance(text, str) and text else found
        )

    def _geometry_problem(self, region: Region, value: Geometry) -> str | None:
        wrong = next(filter(None, (range_problem(value, side, 1.0) for side in SIDES)), None)
        if wrong is not None:
            return wrong
        if not value["width"] or not value["height"]:
            return f"value is {value['width']:g} wide and {value['height']:g} high; expected a rectangle"
        page = value.get("pageIndex")
        if finite(page) is None or not whole_number(page):
            return f"value.pageIndex is {JSON.shown(page)}; expected a page, counted from 1"
        return rotation_problem(value)
