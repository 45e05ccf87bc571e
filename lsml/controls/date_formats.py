"""Formats of dates, as the editor writes and reads them: the directives of `strftime`, with English names.

Reference: https://d3js.org/d3-time-format, the library of the editor. Python's own directives depend on the machine's language.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

_MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS: Final = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class Directive(NamedTuple):
    """One part of a date: how it is written, and the texts that are read as it."""

    write: Callable[[datetime], int | str]
    read: str
    width: int = 0  # of a number, which is filled up with `fill`
    fill: str = "0"


def _number(write: Callable[[datetime], int], digits: int, fill: str = "0") -> Directive:
    return Directive(write, rf"\s*\d{{1,{digits}}}", digits, fill)


def _name(names: list[str], index: Callable[[datetime], int], letters: int | None = None) -> Directive:
    return Directive(lambda when: names[index(when)][:letters], "|".join(name[:letters] for name in names))


_DIRECTIVES: Final = {
    "Y": _number(lambda when: when.year, 4),
    "y": _number(lambda when: when.year % 100, 2),
    "m": _number(lambda when: when.month, 2),
    "d": _number(lambda when: when.day, 2),
    "e": _number(lambda when: when.day, 2, " "),
    "H": _number(lambda when: when.hour, 2),
    "I": _number(lambda when: when.hour % 12 or 12, 2),
    "M": _number(lambda when: when.minute, 2),
    "S": _number(lambda when: when.second, 2),
    "L": _number(lambda when: when.microsecond // 1000, 3),
    "p": Directive(lambda when: "PM" if when.hour >= 12 else "AM", "AM|PM"),
    "B": _name(_MONTHS, lambda when: when.month - 1),
    "b": _name(_MONTHS, lambda when: when.month - 1, 3),
    "A": _name(_DAYS, lambda when: when.weekday()),
    "a": _name(_DAYS, lambda when: when.weekday(), 3),
}
_PARTS: Final = re.compile(r"%([-_0]?)(.?)|([^%]+)", re.DOTALL)


class DateFormat:
    """A format such as `%d %B %Y`. `unknown`: its directives that lsml does not know; with any, it writes and reads nothing."""

    def __init__(self, text: str) -> None:
        self._parts: list[tuple[str, str, str]] = _PARTS.findall(text)  # (padding, directive, text between)
        self.unknown = [f"%{code}" for _, code, plain in self._parts if not plain and code not in {*_DIRECTIVES, "%"}]
        self._codes = [code for _, code, plain in self._parts if not plain and code != "%"]
        if not self.unknown:
            read = ((plain and re.escape(plain)) or (f"({_DIRECTIVES[code].read})" if code != "%" else "%")
                    for _, code, plain in self._parts)  # fmt: skip
            self._pattern = re.compile("".join(read), re.IGNORECASE | re.ASCII)

    def write(self, when: datetime) -> str:
        """Return a moment in this format."""
        written = []
        for padding, code, plain in self._parts:
            if plain or code == "%":
                written.append(plain or "%")
                continue
            directive = _DIRECTIVES[code]
            fill = {"-": "", "_": " ", "0": "0", "": directive.fill}[padding]
            part = str(directive.write(when))
            written.append(part.rjust(directive.width, fill) if fill else part)
        return "".join(written)

    def read(self, text: str) -> datetime | None:
        """Return the moment that a text in this format means; None for any other text. What is missing counts as the
        beginning of 1900, as in the editor.
        """
        found = self._pattern.fullmatch(text)
        if found is None:
            return None
        told = dict(zip(self._codes, found.groups(), strict=True))
        try:
            return datetime(
                _year(told), _month(told), int(told.get("d", told.get("e", 1))), _hour(told), int(told.get("M", 0)),
                int(told.get("S", 0)), 1000 * int(told.get("L", 0)),
            )  # fmt: skip
        except ValueError:
            return None


def _year(told: dict[str, str]) -> int:
    if "Y" in told or "y" not in told:
        return int(told.get("Y", 1900))
    short = int(told["y"])
    return short + (1900 if short > 68 else 2000)


def _month(told: dict[str, str]) -> int:
    name = told.get("B", told.get("b"))
    if name is None:
        return int(told.get("m", 1))
    return next(number for number, month in enumerate(_MONTHS, 1) if month[:3].lower() == name[:3].lower())


def _hour(told: dict[str, str]) -> int:
    if "H" in told or "I" not in told:
        return int(told.get("H", 0))
    return int(told["I"]) % 12 + 12 * (told.get("p", "").upper() == "PM")
