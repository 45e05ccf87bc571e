"""Columns of a table as numbers: what a tree can split."""

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

_MOST_CATEGORIES: Final = 64  # of one column, the commonest
_MOSTLY: Final = 0.95  # of a column's cells are numbers or dates: then it is one of those, and the others say nothing
_NOTHING: Final = frozenset(
    {"", "-", "?", "na", "n/a", "nan", "none", "null"}
)  # what tables hold where nothing is known
# A number as it is counted with: 007 is a code.
_NUMBER: Final = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_DAY_S: Final = 86_400.0


class Column(NamedTuple):
    """One column: how it is read, and of a category the texts that are told apart, the commonest first."""

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return {"number": 1, "date": 4, "category": len(self.categories)}[self.kind]


class Columns:
    """The columns that examples have: rows -> an array (rows, features). NaN where nothing is known."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self._places = [{name: place for place, name in enumerate(column.categories)} for column in self.columns]

    @classmethod
    def of(cls, rows: Sequence[Row], kinds: Mapping[str, Kind]) -> tuple[Columns, list[str]]:
        """(columns, the names of those that tell nothing and are left out). `kinds` wins over what the cells look like.

        Raises NotEnoughData where no column tells anything.
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
                # One text in every row, or another one in each, tells nothing.
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
            raise NotEnoughData(f"no column tells tasks apart; there are {names}; name others under `inputs`")
        return cls(found), left_out

    @property
    def width(self) -> int:
        """How many features a row has."""
        return sum(column.width for column in self.columns)

    def features(self, rows: Sequence[Row]) -> Array:
        """An array (rows, features) of floats."""
        import numpy as np

        made = np.full((len(rows), self.width), np.nan)
        for row, given in zip(made, rows, strict=True):
            begin = 0
            for column, places in zip(self.columns, self._places, strict=True):
                end = begin + column.width
                cell = _cell(given.get(column.name))
                if cell is not None:
                    _fill(row[begin:end], column.kind, places, cell)
                begin = end
        return made

    @property
    def told(self) -> str:
        """How each column is read, for people."""
        kinds = {column.kind: [one.name for one in self.columns if one.kind == column.kind] for column in self.columns}
        return "; ".join(f"read as {kind}: {', '.join(names)}" for kind, names in kinds.items())

    def state(self) -> list[list[str | list[str]]]:
        """Lists from which `restore` makes the same columns."""
        return [[column.name, column.kind, list(column.categories)] for column in self.columns]

    @classmethod
    def restore(cls, state: Sequence[tuple[str, Kind, list[str]]]) -> Columns:
        """The columns that `state` described. Raises TypeError or ValueError where it is something else."""
        columns = [Column(str(name), kind, tuple(map(str, categories))) for name, kind, categories in state]
        if any(column.kind not in ("number", "category", "date") for column in columns):
            raise ValueError("its columns are of no known kind")
        return cls(columns)


def _cell(given: object) -> object:
    """What a cell holds; None where nothing is known."""
    if isinstance(given, str):
        given = given.strip()
        return None if given.casefold() in _NOTHING else given
    if isinstance(given, float) and not math.isfinite(given):
        return None
    return given


def _kind(cells: Sequence[object]) -> Kind:
    """What most cells are."""
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
    """A date as ISO 8601 writes it; without a zone, in UTC."""
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


def _fill(row: Array, kind: Kind, places: Mapping[str, int], cell: object) -> None:
    """Write one cell into its features; one that is not of its column's kind leaves them unknown."""
    if kind == "category":
        row[:] = 0.0
        place = places.get(_text(cell))
        if place is not None:
            row[place] = 1.0
    elif kind == "number":
        number = _number(cell)
        if number is not None:
            row[0] = number
    elif (moment := _date(cell)) is not None:
        row[:] = moment.timestamp() / _DAY_S, moment.month, moment.weekday(), moment.hour
