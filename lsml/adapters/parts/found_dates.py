"""The dates and times that are written in a text: found by their form, and read by dateparser in the languages of the text."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from lsml.errors import AdapterError

# Two moments without a number in common: what a text does not say, such as the year, is taken from one of them, so that the
# two readings of it differ.
_BASES: Final = (datetime(2004, 2, 3), datetime(2011, 9, 17))
_MONTHS: Final = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_REMEMBERED: Final = 1 << 14
_HALF: Final = r"\s?(?P<{}>[ap]\.?m\b)"
_MINUTES: Final = r":(?P<minute>[0-5]\d)(?::[0-5]\d(?:\.\d+)?)?"
_TIME: Final = rf"(?P<hour>[01]?\d|2[0-3])(?:{_MINUTES}(?:{_HALF.format('half')})?|{_HALF.format('of')})"


class FoundDate(NamedTuple):
    """One date or time of a text: its code points from `start` up to `end`, and as much as is written of it in ISO 8601."""

    start: int
    end: int
    at: str


class DateFinder:
    """The dates and times in texts of some languages, by their two-letter codes. `order`: DMY, MDY or YMD where numbers leave
    open what is the day, and None for that of the language. Raises AdapterError for a language that dateparser lacks.

    A date without a year is only found where it has a time; "tomorrow" is none, for it means another day whenever it is read.
    """

    def __init__(self, languages: Sequence[str], order: str | None) -> None:
        self._pattern = _pattern(languages)
        self._languages = list(languages)
        self._order = {} if order is None else {"DATE_ORDER": order}
        self._at = lru_cache(_REMEMBERED)(self._read)

    def find(self, text: str) -> list[FoundDate]:
        """Return the dates and times of a text, in order."""
        found = []
        for match in self._pattern.finditer(text):
            clock, date = _clock(match), match["date"]
            at = self._at(date) if date else ""
            told = f"{at}T{clock}" if clock and len(at) == 10 else at or clock
            if told:
                found.append(FoundDate(match.start(), match.end(), told))
        return found

    def _read(self, written: str) -> str:
        """Return what two readings of a date agree on, in ISO 8601; "" where it is not even a year."""
        import dateparser

        if written.isdigit():
            return written
        one, other = (
            dateparser.parse(
                written, languages=self._languages,
                settings={"PARSERS": ["absolute-time"], "RELATIVE_BASE": base, **self._order},
            )
            for base in _BASES
        )  # fmt: skip
        if one is None or other is None or one.year != other.year or not 1000 <= one.year <= 2999:
            return ""
        if one.month != other.month:
            return f"{one:%Y}"
        return f"{one:%Y-%m}" if one.day != other.day else f"{one:%Y-%m-%d}"


def _pattern(languages: Sequence[str]) -> re.Pattern[str]:
    """Return the forms of dates and times; months have the names of these languages."""
    names = {name for language in languages for month in _MONTHS for name in _names(language).get(month, ())}
    # Names with digits, such as 5月, are in the forms of numbers.
    words = sorted((re.escape(name) for name in names if not any(map(str.isdigit, name))), key=len, reverse=True)
    month = rf"(?:{'|'.join(words)})\b\.?" if words else "(?!)"
    day = r"\d{1,2}(?:st|nd|rd|th|er|[.ºª])?"
    year = r"(?:[12]\d{3}|['’]\d\d)(?!\d)"
    dates = (
        r"\d{4}\s?[年년]\s?\d{1,2}\s?[月월](?:\s?\d{1,2}\s?[日일])?",
        r"[12]\d{3}(?P<mark>[-/.])\d{1,2}(?P=mark)\d{1,2}(?!\d)",
        r"\d{1,2}(?P<sign>[-/.])\s?\d{1,2}(?P=sign)\s?(?:[12]\d{3}|\d\d)(?!\d)",
        rf"{day}[\s-]?(?:of\s|de\s|d[’'])?\s?{month}[\s,-]*(?:of\s|de\s)?{year}",
        rf"\d{{1,2}}-{month}-\d\d(?!\d)",
        rf"{month}\s?{day},?\s{year}",
        rf"{month}[\s,-]*(?:of\s|de\s)?{year}",
        r"(?:1[5-9]|20)\d\d(?![\d%])",
    )
    date = rf"(?<![\w.,/-])(?P<date>{'|'.join(dates)})(?![-/]?\d)"
    return re.compile(
        rf"{date}(?:(?:T|,?\s(?:at\s|um\s|à\s|a\slas\s)?){_TIME})?|(?<![\w.,:]){_alone(_TIME)}(?![:\d])", re.IGNORECASE
    )


def _alone(time: str) -> str:
    """Return a pattern whose groups have names of their own."""
    return re.sub(r"\(\?P<(\w+)>", r"(?P<\1_alone>", time)


def _names(language: str) -> dict[str, Sequence[str]]:
    try:
        return dict(importlib.import_module(f"dateparser.data.date_translation_data.{language}").info)
    except ModuleNotFoundError as error:
        if error.name == "dateparser":
            raise
        raise AdapterError(f"dateparser knows no language {language!r}; expected a code such as en or de") from error


def _clock(match: re.Match[str]) -> str:
    """Return the time of a match as 09:30; "" without one."""
    end = "" if match["date"] else "_alone"
    hour = match[f"hour{end}"]
    if hour is None:
        return ""
    half = (match[f"half{end}"] or match[f"of{end}"] or "").lower()
    number = int(hour) % 12 + 12 * half.startswith("p") if half else int(hour)
    return f"{number:02d}:{match[f'minute{end}'] or '00'}"
