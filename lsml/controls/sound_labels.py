"""`<Labels>` on an `<Audio>`: parts of a recording, each with a label.

`{"start": 0.5, "end": 3.1, "channel": 0, "labels": ["Speech"]}`: seconds. https://labelstud.io/tags/audio
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeGuard

from lsml.controls.base import Region
from lsml.controls.regions import StretchControl, region_score
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View
from lsml.values import Interval, Value
from lsml.wording import JSON


class SoundLabels(StretchControl):
    """Any number of labelled intervals, which may overlap. Values say nothing of channels: what is written is in the first."""

    tag: ClassVar[str] = "Labels"
    value_type: ClassVar[type] = Interval
    objects: ClassVar[frozenset[str] | None] = frozenset({"Audio", "AudioPlus"})

    def same_place(self, one: Value, other: Value) -> bool:
        """Return True if two intervals share some time. Touching at an end is not enough."""
        assert isinstance(one, Interval) and isinstance(other, Interval)
        return one.start < other.end and other.start < one.end

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return one region for each interval. Intervals at one place make one region, where the tag allows several labels."""
        regions = []
        for value, labels in self._with_labels(values, _ends):
            assert isinstance(value, Interval)
            place = {"start": value.start, "end": value.end, "channel": 0}
            regions.append(self._region({**place, self.label_key: labels}, to_name, value.score))
        return regions

    def _values(self, region: Region, on: View | None, remarks: list[Remark]) -> Sequence[Value]:
        value = self._given(region)
        labels = self._labels_of(value, remarks)
        start, end = (_seconds(value.get(key)) for key in ("start", "end"))
        if start > end:
            raise Misread(Reason.OUT_OF_ORDER)
        return [Interval(start, end, label, region_score(region)) for label in labels]

    def _geometry_problem(self, value: Mapping[str, object]) -> str | None:
        start, end = value.get("start"), value.get("end")
        if _is_time(start) and _is_time(end) and start < end:
            return None
        times = f"value.start is {JSON.shown(start)} and value.end is {JSON.shown(end)}"
        return f"{self.control_tag.selector}: {times}; expected seconds in order"


def _seconds(given: object) -> float:
    if not _is_time(given):
        raise Misread(Reason.NO_TIME, JSON.shown(given))
    return float(given)


def _ends(value: Value) -> tuple[float, float]:
    assert isinstance(value, Interval)
    return value.start, value.end


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
