"""`<TimelineLabels>` on a `<Video>`: parts of a video, each with a label.

`{"ranges": [{"start": 3, "end": 5}], "timelinelabels": ["Run"]}`: frames from 1 on at the tag's frame rate, both ends included.
https://labelstud.io/tags/timelinelabels
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from lsml.controls.base import Region
from lsml.controls.regions import StretchControl, region_score
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View, whole_number
from lsml.values import Interval, Value
from lsml.wording import JSON


class TimelineLabels(StretchControl):
    """Any number of labelled intervals, which may overlap. A region with several ranges is as many intervals."""

    tag: ClassVar[str] = "TimelineLabels"
    value_type: ClassVar[type] = Interval
    objects: ClassVar[frozenset[str] | None] = frozenset({"Video"})
    reads_view: ClassVar[bool] = True  # for the frame rate

    def same_place(self, one: Value, other: Value) -> bool:
        """Return True if two intervals share some time. Touching at an end is not enough."""
        assert isinstance(one, Interval) and isinstance(other, Interval)
        return one.start < other.end and other.start < one.end

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return one region for each interval: the frames that are shown in it. Intervals at one place make one region,
        where the tag allows several labels.
        """
        film = None if on is None else on.film
        if film is None:
            return []
        regions = []
        for value, labels in self._with_labels(values, _ends):
            assert isinstance(value, Interval)
            first = min(film.frames, round(value.start * film.frame_rate) + 1)
            last = min(film.frames, max(first, round(value.end * film.frame_rate)))
            place: dict[str, object] = {"ranges": [{"start": first, "end": last}]}
            regions.append(self._region({**place, self.label_key: labels}, to_name, value.score))
        return regions

    def _values(self, region: Region, on: View | None, remarks: list[Remark]) -> Sequence[Value]:
        value = self._given(region)
        if on is None or on.film is None:
            return ()
        labels, rate = self._labels_of(value, remarks), on.film.frame_rate
        given = value.get("ranges")
        found: list[Value] = []
        for entry in given if isinstance(given, list) else []:
            first, last = (whole_number(entry.get(key)) if isinstance(entry, Mapping) else None for key in _ENDS)
            if first is None or last is None:
                raise Misread(Reason.NO_TIME, JSON.shown(entry))
            if first > last:
                raise Misread(Reason.OUT_OF_ORDER)
            found += [Interval(max(0, first - 1) / rate, last / rate, label, region_score(region)) for label in labels]
        if not found:
            raise Misread(Reason.NO_TIME, JSON.shown(given))
        return found

    def _geometry_problem(self, value: Mapping[str, object]) -> str | None:
        ranges = value.get("ranges")
        if not isinstance(ranges, list) or not ranges:
            return f"{self.control_tag.selector}: value.ranges is {JSON.shown(ranges)}; expected a list of ranges"
        for entry in ranges:
            first, last = (entry.get(key) if isinstance(entry, dict) else None for key in _ENDS)
            if type(first) is not int or type(last) is not int or not 1 <= first <= last:
                return f"{self.control_tag.selector}: value.ranges holds an invalid range; expected frames from 1 on, in order"
        return None


_ENDS = ("start", "end")


def _ends(value: Value) -> tuple[float, float]:
    assert isinstance(value, Interval)
    return value.start, value.end
