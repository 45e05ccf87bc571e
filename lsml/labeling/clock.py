"""The times of a time series: plain numbers, or texts in the `timeFormat` of its tag, which is a format of d3.

https://labelstud.io/tags/timeseries, https://d3js.org/d3-time-format#locale_format
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from lsml.arrays import Array

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_DIGITS: Final = {
    "Y": r"\d{1,4}",
    "y": r"\d{2}",
    "j": r"\d{1,3}",
    "s": r"-?\d+",
    "Q": r"-?\d+",
    **dict.fromkeys("mdeHIMS", r"\d{1,2}"),
    **dict.fromkeys("Lf", r"\d{1,9}"),
}
_NAMES: Final = {
    "p": ("AM", "PM"), "B": _MONTHS, "b": tuple(name[:3] for name in _MONTHS), "A": _DAYS,
    "a": tuple(name[:3] for name in _DAYS),
}  # fmt: skip
_ZONE: Final = r"Z|[+-]\d{2}:?\d{2}"
_DIRECTIVE: Final = re.compile(r"%([-_0]?)(.)", re.DOTALL)
# Formats that numpy parses itself, a hundred times as fast.
_ISO: Final = re.compile(r"%Y-%m-%d(?:[T ]%H:%M(?::%S(?:\.%[Lf])?)?)?Z?")


class Clock(msgspec.Struct, frozen=True):
    """A converter between a time column's texts or numbers and times. `format` is d3's; times are then seconds since 1970,
    UTC.

    With the format "" the column holds plain numbers, which are used unchanged.
    """

    format: str = ""

    def read(self, given: Any) -> float:
        """Return the time in a region or a cell. Raises ValueError, with the given value, where it is none."""
        if isinstance(given, str) and self.format:
            return _seconds(self.format, given.strip())
        try:
            time = math.nan if isinstance(given, bool) else float(given)
        except (TypeError, ValueError, OverflowError):
            time = math.nan
        if not math.isfinite(time):
            raise ValueError(f"{given!r} is not a time")
        # Label Studio's editor counts milliseconds where there is a format.
        return time / 1000 if self.format else time

    def read_all(self, cells: Sequence[Any]) -> Array:
        """Return an array (cells,) of times. Raises ValueError, with the first cell that holds none."""
        import numpy as np

        try:
            if not self.format:
                times = np.array(cells, dtype=np.float64)
                if np.isfinite(times).all():
                    return times
            elif _ISO.fullmatch(self.format):
                texts = [cell.strip().removesuffix("Z") for cell in cells]
                return np.asarray(np.array(texts, dtype="datetime64[us]").astype(np.int64) / 1e6)
        except (ValueError, TypeError, OverflowError, AttributeError):
            pass  # one of them is not a time, or numpy accepts fewer texts than the format: read cell by cell
        return np.array([self.read(cell) for cell in cells], dtype=np.float64)

    def write(self, time: float) -> float | int | str:
        """Return a time as Label Studio writes it into a region: a number, or a text in the format."""
        if not self.format:
            return int(time) if time.is_integer() and abs(time) < 2**53 else time
        return _written(self.format, time)


@lru_cache(maxsize=64)
def _pattern(form: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """Return (pattern of a text in a format, directives of its groups). Raises ValueError for an unknown directive."""
    parts, kinds, end = [], [], 0
    for match in _DIRECTIVE.finditer(form):
        parts.append(re.escape(form[end : match.start()]))
        end, kind = match.end(), match[2]
        if kind == "%":
            parts.append("%")
            continue
        names = "|".join(sorted(_NAMES.get(kind, ()), key=len, reverse=True))
        what = _DIGITS.get(kind) or names or (_ZONE if kind == "Z" else "")
        if not what:
            raise ValueError(f"timeFormat {form} has %{kind}, which lsml does not read")
        kinds.append(kind)
        parts.append(rf"\s*({what})")
    return re.compile("".join(parts) + re.escape(form[end:]), re.IGNORECASE), tuple(kinds)


def _seconds(form: str, text: str) -> float:
    """Return the time of a text in a format, in seconds since 1970. Raises ValueError."""
    pattern, kinds = _pattern(form)
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time in the format {form}")
    told = dict(zip(kinds, match.groups(), strict=True))
    if "Q" in told:
        return int(told["Q"]) / 1000
    fraction = float(f"0.{told.get('L') or told.get('f') or 0}")
    if "s" in told:
        return int(told["s"]) + fraction
    try:
        return (_moment(told) - _EPOCH).total_seconds() + fraction
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a time in the format {form}") from error


def _moment(told: dict[str, str]) -> datetime:
    """Return the second that a text's parts give. Missing parts are those of 1 January 1900, as in d3."""
    year = int(told.get("Y", 1900))
    if "y" in told:
        year = int(told["y"]) + (1900 if int(told["y"]) > 68 else 2000)
    month = int(told.get("m", 1))
    name = (told.get("B") or told.get("b") or "")[:3].lower()
    if name:
        month = 1 + [known[:3].lower() for known in _MONTHS].index(name)
    hour = int(told.get("H", told.get("I", 0)))
    if "p" in told:
        hour = hour % 12 + 12 * (told["p"].upper() == "PM")
    day = datetime(year, month, int(told.get("d", told.get("e", 1))), tzinfo=UTC)
    if "j" in told:
        day = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=int(told["j"]) - 1)
    zone = told.get("Z", "Z").upper().replace(":", "")
    ahead = timedelta() if zone == "Z" else timedelta(hours=int(zone[1:3]), minutes=int(zone[3:])) * int(f"{zone[0]}1")
    return day + timedelta(hours=hour, minutes=int(told.get("M", 0)), seconds=int(told.get("S", 0))) - ahead


def _written(form: str, time: float) -> str:
    """Return a time in a format; its fraction is cut where the format has none."""
    whole = math.floor(time * 1e6 + 0.5)  # microseconds, the precision of a float for today's times
    moment = _EPOCH + timedelta(microseconds=whole)
    parts = {
        "Y": f"{moment.year:04d}", "y": f"{moment.year % 100:02d}", "m": f"{moment.month:02d}", "d": f"{moment.day:02d}",
        "e": f"{moment.day:2d}", "j": f"{moment.timetuple().tm_yday:03d}", "H": f"{moment.hour:02d}",
        "I": f"{(moment.hour + 11) % 12 + 1:02d}", "M": f"{moment.minute:02d}", "S": f"{moment.second:02d}",
        "L": f"{moment.microsecond // 1000:03d}", "f": f"{moment.microsecond:06d}", "p": "PM" if moment.hour > 11 else "AM",
        "B": _MONTHS[moment.month - 1], "b": _MONTHS[moment.month - 1][:3], "A": _DAYS[moment.isoweekday() % 7],
        "a": _DAYS[moment.isoweekday() % 7][:3], "Z": "+0000", "s": str(whole // 1_000_000), "Q": str(whole // 1000), "%": "%",
    }  # fmt: skip

    def one(match: re.Match[str]) -> str:
        text = parts[match[2]]
        if match[1] == "-":
            return text.lstrip(" 0") or "0"
        return text.replace("0", " ", len(text) - len(text.lstrip("0"))) if match[1] == "_" else text

    return _DIRECTIVE.sub(one, form)
