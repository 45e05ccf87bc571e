"""Columns of a table as numbers for trees."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from lsml.errors import NotEnoughData

if TYPE_CHECKING:
    from lsml.arrays import Array

Kind = Literal["number", "category", "date"]
Row = Mapping[str, object]

_MOST_CATEGORIES: Final = 64  # the most frequent ones of a column
_MOSTLY: Final = 0.95  # the share of numbers or dates from which a column is one of those, and other cells are missing
_NOTHING: Final = frozenset({"", "-", "?", "na", "n/a", "nan", "none", "null"})  # texts that stand for a missing value
# A number, not a code such as 007.
_NUMBER: Final = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_DAY_S: Final = 86_400.0


class Column(NamedTuple):
    """One column: its kind, and for a category its texts, most frequent first."""

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The number of its features."""
        return {"number": 1, "date": 4, "category": len(self.categories)}[self.kind]


class Columns:
    """The columns of the examples: rows -> an array (rows, features). NaN for a missing value."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self._indices = [{name: index for index, name in enumerate(column.categories)} for column in self.columns]

    @classmethod
    def of(cls, rows: Sequence[Row], kinds: Mapping[str, Kind]) -> tuple[Columns, list[str]]:
        """Return (columns, names of columns without information, which are left out). `kinds` overrides the guess from the
        cells.

        Raises NotEnoughData where no column has any information.
        """
        found, left_out = [], []
        for name in sorted({name for row in rows for name in row}):
            cells = [cell for row in rows if (cell := _cell(row.get(name))) is not None]
            kind = kinds.get(name) or _kind(cells)
            categories: tuple[str, ...] = ()
            if kind == "category":
                counts = Counter(map(_text, cells))
                ranked = sorted(counts, key=lambda text: (-counts[text], text))
                categories = tuple(text for text in ranked[:_MOST_CATEGORIES] if counts[text] > 1)
                # One text in every row, or a different one in each, has no information.
                useful = bool(categories) and (len(counts) > 1 or len(cells) < len(rows))
            else:
                read = {_READ[kind](cell) for cell in cells} - {None}
                useful = bool(read) and (len(read) > 1 or len(cells) < len(rows))
            if useful:
                found.append(Column(name, kind, categories))
            else:
                left_out.append(name)
        if not found:
            names = ", ".join(left_out) or "none"
            raise NotEnoughData(f"no column differs between tasks; there are {names}; give others under `inputs`")
        return cls(found), left_out

    @property
    def width(self) -> int:
        """The number of features of a row."""
        return sum(column.width for column in self.columns)

    def features(self, rows: Sequence[Row]) -> Array:
        """Return an array (rows, features) of floats."""
        import numpy as np

        made = np.full((len(rows), self.width), np.nan)
        for row, given in zip(made, rows, strict=True):
            begin = 0
            for column, indices in zip(self.columns, self._indices, strict=True):
                end = begin + column.width
                cell = _cell(given.get(column.name))
                if cell is not None:
                    _fill(row[begin:end], column.kind, indices, cell)
                begin = end
        return made

    @property
    def told(self) -> str:
        """The kind of each column, for people."""
        kinds = {column.kind: [one.name for one in self.columns if one.kind == column.kind] for column in self.columns}
        return "; ".join(f"read as {kind}: {', '.join(names)}" for kind, names in kinds.items())

    def state(self) -> list[list[str | list[str]]]:
        """Return lists from which `restore` makes the same columns."""
        return [[column.name, column.kind, list(column.categories)] for column in self.columns]

    @classmethod
    def restore(cls, state: Sequence[tuple[str, Kind, list[str]]]) -> Columns:
        """Return the columns of a `state`. Raises TypeError or ValueError for anything else."""
        columns = [Column(str(name), kind, tuple(map(str, categories))) for name, kind, categories in state]
        if any(column.kind not in ("number", "category", "date") for column in columns):
            raise ValueError("its columns have an unknown kind")
        return cls(columns)


def _cell(given: object) -> object:
    """Return a cell's content; None for a missing value."""
    if isinstance(given, str):
        given = given.strip()
        return None if given.casefold() in _NOTHING else given
    if isinstance(given, float) and not math.isfinite(given):
        return None
    return given


def _kind(cells: Sequence[object]) -> Kind:
    """Return the kind of most cells."""
    for kind in ("number", "date"):
        if cells and sum(_READ[kind](cell) is not None for cell in cells) >= _MOSTLY * len(cells):
            return kind
    return "category"


def _number(cell: object) -> float | None:
    if isinstance(cell, bool | int | float):
        try:
            return float(cell)
        except OverflowError:
            return None
    if isinstance(cell, str) and _NUMBER.fullmatch(cell):
        number = float(cell)
        return number if math.isfinite(number) else None
    return None


def _date(cell: object) -> datetime | None:
    """Return a date in ISO 8601; without a time zone, in UTC."""
    if not isinstance(cell, str) or not cell[:4].isdigit():
        return None
    try:
        moment = datetime.fromisoformat(cell)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text(cell: object) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, sort_keys=True)


_READ: Final[dict[str, Callable[[object], float | datetime | None]]] = {"number": _number, "date": _date}


def _fill(row: Array, kind: Kind, indices: Mapping[str, int], cell: object) -> None:
    """Write one cell into its features; a cell of another kind leaves them missing."""
    if kind == "category":
        row[:] = 0.0
        index = indices.get(_text(cell))
        if index is not None:
            row[index] = 1.0
    elif kind == "number":
        number = _number(cell)
        if number is not None:
            row[0] = number
    elif (moment := _date(cell)) is not None:
        row[:] = moment.timestamp() / _DAY_S, moment.month, moment.weekday(), moment.hour
