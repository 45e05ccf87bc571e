"""The common base of controls whose regions are parts of a text, for all tags that show texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeGuard

from lsml.controls.base import Region
from lsml.controls.regions import StretchControl, region_score
from lsml.labeling.remarks import Reason, Remark
from lsml.labeling.view import View
from lsml.values import Span, Value
from lsml.wording import JSON


class SpanControl(StretchControl):
    """Any number of labelled spans, which may overlap. The document converts their places."""

    value_type: ClassVar[type] = Span
    reads_view: ClassVar[bool] = True
    plain: ClassVar[bool] = True  # a place may be two offsets into one text
    pieces: ClassVar[bool] = True  # a place may name the pieces of a text: XPaths, or paragraphs

    def same_place(self, one: Value, other: Value) -> bool:
        """Return True if two spans share a character."""
        assert isinstance(one, Span) and isinstance(other, Span)
        return one.start < other.end and other.start < one.end

    @property
    def types(self) -> frozenset[str]:
        """The types of all tags that label texts, as offsets mean the same in each."""
        return frozenset({"labels", "hypertextlabels", "paragraphlabels"})

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return one region for each span, with its text. Spans at one place make one region, where the tag allows several
        labels.

        A span outside of the text gets no place, which `check` reports.
        """
        document = on.document if on else None
        assert document is not None, f"{self.control_tag.selector} writes on texts"
        regions = []
        for value, labels in self._with_labels(values, _ends):
            assert isinstance(value, Span)
            region_value = document.region_value(value.start, value.end) if value.end <= len(document.text) else {}
            regions.append(self._region({**region_value, self.label_key: labels}, to_name, value.score))
        return regions

    def _values(self, region: Region, on: View | None, remarks: list[Remark]) -> Sequence[Value]:
        value = self._given(region)
        if on is None or on.document is None:
            return ()
        labels = self._labels_of(value, remarks)
        start, end, by_text = on.document.locate(value)
        if by_text and labels:
            remarks.append(Remark(Reason.OTHER_OFFSETS))
        return [Span(start, end, label, region_score(region)) for label in labels]

    def _geometry_problem(self, value: Mapping[str, object]) -> str | None:
        selector = self.control_tag.selector
        if self.pieces and ("startOffset" in value or "endOffset" in value or not self.plain):
            return _pieces_problem(selector, value)
        start, end = value.get("start"), value.get("end")
        if not _is_offset(start) or not _is_offset(end) or start >= end:
            offsets = f"value.start is {JSON.shown(start)} and value.end is {JSON.shown(end)}"
            return f"{selector}: {offsets}; expected offsets in order"
        text = value.get("text", "x" * (end - start))
        if not isinstance(text, str) or len(text) != end - start:
            return f"{selector}: value.text is {JSON.shown(text)}; expected the {end - start} characters of the region"
        return None


def _pieces_problem(selector: str, value: Mapping[str, Any]) -> str | None:
    """Return the error in a place that names pieces of a text and offsets in them."""
    for key in ("start", "end"):
        if not isinstance(value.get(key), str) or not value[key]:
            return (
                f"{selector}: value.{key} is {JSON.shown(value.get(key))}; expected the block of the text that "
                "contains it"
            )
        if not _is_offset(value.get(f"{key}Offset")):
            return f"{selector}: value.{key}Offset is {JSON.shown(value.get(f'{key}Offset'))}; expected an offset"
    if value["start"] == value["end"] and value["startOffset"] >= value["endOffset"]:
        where = f"value.startOffset is {value['startOffset']} and value.endOffset is {value['endOffset']}"
        return f"{selector}: {where}; expected offsets in order"
    if not isinstance(value.get("text", ""), str):
        return f"{selector}: value.text is {JSON.shown(value['text'])}; expected a text"
    return None


def _ends(value: Value) -> tuple[int, int]:
    assert isinstance(value, Span)
    return value.start, value.end


def _is_offset(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0
