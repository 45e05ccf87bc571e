"""Dates and times as values."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar

import msgspec

from lsml.values.scores import check_score

_MOMENT = re.compile(r"(\d{4})(-\d\d(-\d\d(T\d\d:\d\d)?)?)?|\d\d:\d\d", re.ASCII)


class Moment(msgspec.Struct, frozen=True, tag="moment"):
    """A date, a time of day, or both, as ISO 8601 writes them to the minute: 2026, 2026-03, 2026-03-04, 2026-03-04T09:30,
    09:30.
    """

    at: str
    score: float | None = None
    title: ClassVar[str] = "a date or a time"

    def __post_init__(self) -> None:
        if not _MOMENT.fullmatch(self.at):
            raise ValueError(f"a moment must be written as 2026-03-04T09:30 or a part of it, got {self.at}")
        check_score(self.score)
        assert self.when  # raises ValueError for the 31st of February

    @property
    def when(self) -> datetime:
        """Its first minute; of a time without a date on the first day of 2000."""
        return datetime.fromisoformat(
            f"2000-01-01T{self.at}" if self.at[2] == ":" else self.at + "0000-01-01"[len(self.at) :]
        )
