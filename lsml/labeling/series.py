"""A time series: its columns and their format, and its points as arrays, read when they are needed."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO

import msgspec

from lsml.errors import LsmlError
from lsml.labeling.clock import Clock
from lsml.wording import one_line

if TYPE_CHECKING:
    from lsml.arrays import Array


MOST_ROWS: Final = 2_000_000
_MOST_JSON: Final = 256 * 1024 * 1024  # bytes of a JSON file, which is read as a whole
_AT_A_TIME: Final = 50_000  # rows of a CSV that are converted at a time
_SEPARATORS: Final = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "dot": "."}


class UnreadableSeries(LsmlError):
    """An error for one task whose time series cannot be read. Its text gives the reason and what to do."""

    status = 422


class Points(NamedTuple):
    """`times` (n,) in ascending order, of which several may be equal; `values` (n, channels), NaN where a value is missing."""

    times: Array
    values: Array


class Series(msgspec.Struct, frozen=True):
    """The data of a `<TimeSeries>` for an adapter. It is small, whatever the length of the series; `points` reads it.

    `path`: a file of CSV or JSON; or `columns`, by name. `time`: the name of the time column, "" where rows are
    counted. `channels`: the names of the columns that are shown; none for all but the time. As in Label Studio, names
    ignore case, or are the number of a column, from 0. `begin` and `end`: the times of the part that is read, both
    included; None where it is not limited.
    """

    path: str | None = None
    columns: dict[str, list[object]] | None = None
    time: str = ""
    channels: tuple[str, ...] = ()
    sep: str = ","
    clock: Clock = Clock()
    begin: float | None = None
    end: float | None = None

    def points(self) -> Points:
        """Return the points. Raises UnreadableSeries, with a sentence."""
        import numpy as np

        try:
            parts = list(self._parts())
        except OSError as error:
            raise UnreadableSeries(f"the time series cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise UnreadableSeries("the time series is not UTF-8; save it as UTF-8") from error
        except csv.Error as error:
            raise UnreadableSeries(
                f"the time series is not valid CSV ({error}); set its separator as `sep` of the tag"
            ) from error
        if not parts:
            raise UnreadableSeries("the time series has no rows")
        values = np.concatenate([part.values for part in parts])
        self._check_channels(values)
        times = (
            np.concatenate([part.times for part in parts]) if self.time else np.arange(len(values), dtype=np.float64)
        )
        back = np.flatnonzero(np.diff(times) < 0)
        if back.size:
            where = int(back[0]) + 2
            raise UnreadableSeries(
                f"the times of a time series must be in order, but row {where} is before row {where - 1}; sort its rows"
            )
        if self.begin is None or self.end is None:
            return Points(times, values)
        within = (times >= self.begin) & (times <= self.end)
        if not within.any():
            raise UnreadableSeries(f"the time series has no row from {self.begin:g} to {self.end:g}")
        return Points(times[within], values[within])

    def _check_channels(self, values: Array) -> None:
        """Raise UnreadableSeries where a channel that the tag names has no number, but texts with digits, such as 0,5."""
        import numpy as np

        for column in np.flatnonzero(np.isnan(values).all(axis=0))[: len(self.channels)]:
            name = self.channels[column]
            for names, columns in self._texts():
                cells = columns[self._indices(names)[1][column]]
                text = next((cell for cell in cells if isinstance(cell, str) and any(map(str.isdecimal, cell))), None)
                if text is not None:
                    raise UnreadableSeries(
                        f"the channel {name} of the time series holds no number, but `{one_line(text)}`; write numbers with "
                        "a decimal point and no unit"
                    )

    def names(self) -> list[str]:
        """Return the names of the columns; of a CSV only the heading is read. Raises UnreadableSeries where a needed one
        is missing.
        """
        try:
            if self.columns is None and not self._is_json():
                with self._open() as file:
                    names, _ = _head(file, self.sep)
            else:
                names = list(self._held())
        except (OSError, UnicodeDecodeError, csv.Error):
            return []  # `points` raises the error
        self._indices(names)
        return names

    def _indices(self, names: Sequence[str]) -> tuple[int | None, list[int]]:
        """Return (index of the time column, indices of the channels)."""
        known = {name.strip().lower(): column for column, name in enumerate(names)}

        def column(name: str) -> int:
            found = known.get(name.strip().lower())
            if found is None and name.strip().isdecimal() and int(name) < len(names):
                found = int(name)
            if found is None:
                has = ", ".join(names[:10]) or "none"
                what = "check `timeColumn`, the Channels and `sep` of the tag"
                raise UnreadableSeries(f"the time series has no column {name}; it has {has}; {what}")
            return found

        time = column(self.time) if self.time else None
        channels = [column(name) for name in self.channels]
        return time, channels or [one for one in range(len(names)) if one != time]

    def _parts(self) -> Iterator[Points]:
        """Yield the points, some at a time."""
        import numpy as np

        rows = 0
        for names, columns in self._texts():
            time, channels = self._indices(names)
            count = len(columns[channels[0]]) if channels else 0
            rows += count
            if rows > MOST_ROWS:
                raise UnreadableSeries(f"the time series has more than {MOST_ROWS:,} rows; split it into several tasks")
            if count:
                values = np.stack([_numbers(columns[column]) for column in channels], axis=1)
                try:
                    times = np.zeros(0) if time is None else self.clock.read_all(columns[time])
                except ValueError as error:
                    what = "its `timeFormat` must match them" if self.clock.format else "set `timeFormat` in the tag"
                    raise UnreadableSeries(f"the time column {self.time}: {error}; {what}") from error
                yield Points(times, values)

    def _texts(self) -> Iterator[tuple[Sequence[str], Sequence[Sequence[object]]]]:
        """Yield (names of the columns, their cells), some rows at a time."""
        if self.columns is not None or self._is_json():
            held = self._held()
            lengths = {len(column) for column in held.values()}
            if len(lengths) > 1:
                raise UnreadableSeries("the columns of the time series differ in length")
            yield list(held), list(held.values())
            return
        with self._open() as file:
            names, rows = _head(file, self.sep)
            while some := [row for row in islice(rows, _AT_A_TIME) if row]:
                width = len(names)
                yield names, list(zip(*[(row + [""] * width)[:width] for row in some], strict=True))

    def _held(self) -> Mapping[str, Sequence[object]]:
        """Return the columns of JSON."""
        if self.columns is not None:
            return self.columns
        assert self.path is not None
        if Path(self.path).stat().st_size > _MOST_JSON:
            raise UnreadableSeries(f"the time series is JSON of more than {_MOST_JSON >> 20} MiB; save it as CSV")
        try:
            return msgspec.json.decode(Path(self.path).read_bytes(), type=dict[str, list[object]])
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnreadableSeries(
                'the time series is not JSON with columns; expected {"time": [...], "channel": [...]}'
            ) from error

    def _is_json(self) -> bool:
        assert self.path is not None
        with Path(self.path).open("rb") as file:
            return file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")

    def _open(self) -> TextIO:
        assert self.path is not None
        return Path(self.path).open(encoding="utf-8-sig", newline="")


def _head(file: TextIO, sep: str) -> tuple[list[str], Iterator[list[str]]]:
    """Return (names of a CSV's columns, its rows). Where the first line holds only numbers, the names are the columns'
    indices.
    """
    delimiter = _SEPARATORS.get(sep, sep[:1])
    if sep == "auto" or not delimiter:
        line = file.readline()
        delimiter = max(",;\t ", key=line.count)
        file.seek(0)
    rows = csv.reader(file, delimiter=delimiter)
    first = next(rows, None)
    if first is None:
        raise UnreadableSeries("the time series is empty")
    if all(_is_number(cell) for cell in first):
        file.seek(0)
        return [str(column) for column in range(len(first))], csv.reader(file, delimiter=delimiter)
    return [name.strip() for name in first], rows


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(cells: Sequence[object]) -> Array:
    """Return an array (cells,) of floats; NaN where a cell holds no number."""
    import numpy as np

    try:
        numbers = np.array(cells, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        numbers = np.array([_number(cell) for cell in cells], dtype=np.float64)
    return np.asarray(np.where(np.isfinite(numbers), numbers, np.nan))


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (ValueError, TypeError, OverflowError):
        return float("nan")
