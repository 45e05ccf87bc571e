"""`<DateTime>`: `{"datetime": "2026-03-04T09:30"}`, in the tag's `format`. https://labelstud.io/tags/datetime"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import ClassVar

from lsml.controls.base import Control, Decoded, Region, ScoreKind, Threshold
from lsml.controls.date_formats import DateFormat
from lsml.labeling import ControlTag
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View
from lsml.values import Moment, Value
from lsml.wording import JSON

_PROBE = datetime(2023, 11, 24, 13, 47)
_FIRST_YEAR = 2000  # of the editor's list of years, where `min` names none


class DateTime(Control):
    """The parts that `only` names: a date, a time, both, or a year. A date without a time counts from midnight.

    `min` and `max` bound the date or the year, as in the editor. A time is written as 09:30, whatever the format.
    """

    tag: ClassVar[str] = "DateTime"
    value_type: ClassVar[type] = Moment

    def __init__(
        self, control_tag: ControlTag, companion: ControlTag | None = None, text_tag: ControlTag | None = None
    ) -> None:
        super().__init__(control_tag, companion, text_tag)
        self._parts = _parts_of(control_tag)
        self._format = _format_of(control_tag)

    @classmethod
    def refusal(cls, control_tag: ControlTag) -> str | None:
        """Return the reason why its format or its parts cannot be served; or None."""
        selector, form, parts = control_tag.selector, _format_of(control_tag), _parts_of(control_tag)
        if parts == "month":
            return f'{selector} has only="month", of which Label Studio stores nothing; write only="month,year"'
        if form.unknown:
            return f"{selector}: lsml does not know {form.unknown[0]} in its format"
        probe = Moment(_written(_PROBE, parts))
        if parts != "time" and (read := form.read(form.write(probe.when))) is not None and read != probe.when:
            return f"{selector}: its format leaves out a part of the date; write all of them, such as %Y-%m-%d"
        return super().refusal(control_tag)

    @property
    def caution(self) -> str | None:
        """A sentence where the editor loses a part of what people enter; or None."""
        if self._parts == "year-month" or ("date" in self._only and "year" in self._only):
            return (
                f'{self.control_tag.selector} has only="{self._only}": the editor shows predictions of it, but stores just the '
                'year of what people enter; write only="date"'
            )
        return None

    @property
    def _only(self) -> str:
        return self.control_tag.attributes.get("only", "")

    def facts(self) -> dict[str, object]:
        """Return the parts, the format and the bounds."""
        attributes = self.control_tag.attributes
        return {"multiple": False, **{name: attributes.get(name) for name in ("only", "format", "min", "max")}}

    def shown(self, moment: Moment) -> Moment | None:
        """Return as much of a moment as the tag shows; None where that is not all there, or out of bounds."""
        at = moment.at
        if self._parts == "time":
            return Moment(at[-5:], moment.score) if ":" in at else None
        if at[2] == ":" or len(at) < (10 if self._parts in ("date", "minute") else len(_written(_PROBE, self._parts))):
            return None
        cut = Moment(_written(moment.when, self._parts), moment.score)
        return cut if self._allows(cut) else None

    def _allows(self, moment: Moment) -> bool:
        """Return True if a date is within `min` and `max`, and its year in the editor's list of years."""
        attributes = self.control_tag.attributes
        least, most = attributes.get("min", ""), attributes.get("max", "")
        if "year" not in self._only:
            return least <= moment.at[:10] and (not most or moment.at[:10] <= most)
        year = moment.at[:4]
        newest = str(date.today().year) if most in ("", "current") else most[:4]
        return (least[:4] or str(_FIRST_YEAR)) <= year <= newest

    def possible(self, values: Sequence[Value], data: Mapping[str, object]) -> list[Value]:
        """Return the moments that have all the parts which the tag shows, cut to them, and are within its bounds."""
        return [cut for value in values if isinstance(value, Moment) and (cut := self.shown(value)) is not None]

    def select(self, values: Sequence[Value], threshold: Threshold) -> list[Value]:
        """Return the moment with the highest score, the first of equal ones, if it reaches the threshold."""
        moments = [value for value in values if isinstance(value, Moment) and _score(value) >= threshold("")]
        return [max(moments, key=_score)] if moments else []

    def certainty(self, values: Sequence[Value], kind: ScoreKind) -> float | None:
        """Return the highest score, whatever the kind."""
        scores = [value.score for value in values if isinstance(value, Moment) and value.score is not None]
        return max(scores, default=None)

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return one region with the first moment that the tag can show."""
        for value in values:
            if isinstance(value, Moment) and (cut := self.shown(value)) is not None:
                written = cut.at if self._parts == "time" else self._format.write(cut.when)
                return [self._region({"datetime": written}, to_name, value.score)]
        return []

    def decode(self, regions: Sequence[Region], on: View | None = None) -> Decoded:
        """Return the first moment that a person gave."""
        remarks: list[Remark] = []
        for region in regions:
            try:
                return Decoded((self._read(self._given(region).get("datetime")),), tuple(remarks))
            except Misread as error:
                remarks.append(error.remark)
        return Decoded(None, tuple(remarks))

    def _read(self, given: object) -> Moment:
        text = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
        try:
            if self._parts == "time":
                return Moment(text if text[2:3] == ":" else "")
            when = self._format.read(text)
            if when is not None:
                return Moment(_written(when, self._parts))
        except ValueError:  # such as 25:00
            pass
        raise Misread(Reason.NO_DATE, JSON.shown(given))

    def check(self, region: Region, data: Mapping[str, object]) -> str | None:
        """Return the error in a region, in a sentence, or None."""
        value = self._value(region)
        if value is None:
            return self._form_problem(region)
        given = value.get("datetime")
        said = f"{self.control_tag.selector}: value.datetime is {JSON.shown(given)}"
        try:
            read = self._read(given) if isinstance(given, str) else None
        except Misread:
            read = None
        if read is None:
            probe = Moment(_written(_PROBE, self._parts))
            return f"{said}; expected a text such as {probe.at if self._parts == 'time' else self._format.write(probe.when)}"
        if self._parts != "time" and not self._allows(read):
            return f"{said}; expected it within min and max"
        return None


def _parts_of(control_tag: ControlTag) -> str:
    """Return the parts that a tag stores, as the editor reads `only`: time, minute (a date and a time), date, year-month,
    year or month.
    """
    only = control_tag.attributes.get("only", "")
    if only == "time":
        return "time"
    if not only or "date" in only:
        return "minute" if not only or "time" in only else "date"
    if "year" in only:
        return "year-month" if "month" in only else "year"
    return "month"


def _format_of(control_tag: ControlTag) -> DateFormat:
    only, given = control_tag.attributes.get("only", ""), control_tag.attributes.get("format", "")
    return DateFormat(given or ("%Y-%m-%d" if only and "time" not in only else "%Y-%m-%dT%H:%M"))


_WIDTHS = {"year": 4, "year-month": 7, "date": 10, "minute": 16}


def _written(when: datetime, parts: str) -> str:
    """Return as much of a moment as the parts have, in ISO 8601."""
    text = when.isoformat(timespec="minutes")
    return text[11:] if parts == "time" else text[: _WIDTHS.get(parts, 16)]


def _score(moment: Moment) -> float:
    return 1.0 if moment.score is None else moment.score
