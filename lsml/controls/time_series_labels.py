"""`<TimeSeriesLabels>`: parts of a time series, each with a label.

`{"start": "2026-01-31 09:30", "end": "2026-01-31 09:45", "instant": false, "timeserieslabels": ["Run"]}`: times in the tag's
`timeFormat`, or numbers without one. https://labelstud.io/tags/timeserieslabels
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeGuard

from lsml.controls.base import Region
from lsml.controls.regions import StretchControl, region_score
from lsml.labeling.clock import Clock
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View
from lsml.values import Interval, Value
from lsml.wording import JSON


class TimeSeriesLabels(StretchControl):
    """Any number of labelled intervals, which may overlap, and instants."""

    tag: ClassVar[str] = "TimeSeriesLabels"
    value_type: ClassVar[type] = Interval
    objects: ClassVar[frozenset[str] | None] = frozenset({"TimeSeries"})
    reads_view: ClassVar[bool] = True

    def same_place(self, one: Value, other: Value) -> bool:
        """Return True if two intervals share some time. Touching at an end is not enough."""
        assert isinstance(one, Interval) and isinstance(other, Interval)
        return (one.start < other.end and other.start < one.end) or (one.start, one.end) == (other.start, other.end)

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return one region for each interval. Intervals at one place make one region, where the tag allows several labels."""
        clock = (on.clock if on else None) or Clock()
        regions = []
        for value, labels in self._with_labels(values, _ends):
            assert isinstance(value, Interval)
            place = {
                "start": clock.write(value.start),
                "end": clock.write(value.end),
                "instant": bool(value.start == value.end),  # numpy's bool is no JSON
            }
            regions.append(self._region({**place, self.label_key: labels}, to_name, value.score))
        return regions

    def _values(self, region: Region, on: View | None, remarks: list[Remark]) -> Sequence[Value]:
        value = self._given(region)
        if on is None or on.clock is None:
            return ()
        labels = self._labels_of(value, remarks)
        start, end = (_time(on.clock, value.get(key)) for key in ("start", "end"))
        if start > end:
            raise Misread(Reason.OUT_OF_ORDER)
        return [Interval(start, end, label, region_score(region)) for label in labels]

    def _geometry_problem(self, value: Mapping[str, object]) -> str | None:
        selector = self.control_tag.selector
        start, end = value.get("start"), value.get("end")
        texts = isinstance(start, str) and isinstance(end, str) and bool(start) and bool(end)
        if not texts and not (_is_number(start) and _is_number(end) and start <= end):
            times = f"value.start is {JSON.shown(start)} and value.end is {JSON.shown(end)}"
            return f"{selector}: {times}; expected times in order"
        if not isinstance(value.get("instant"), bool):
            return f"{selector}: value.instant is {JSON.shown(value.get('instant'))}; expected true or false"
        return None


def _time(clock: Clock, given: object) -> float:
    try:
        return clock.read(given)
    except ValueError:
        raise Misread(Reason.NO_TIME, JSON.shown(given)) from None


def _ends(value: Value) -> tuple[float, float]:
    assert isinstance(value, Interval)
    return value.start, value.end


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
