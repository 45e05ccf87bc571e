"""Figures of models as lines of text, for the end of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from lsml.wording import listed

if TYPE_CHECKING:
    from lsml.versions.outlook import VersionPoint

_POINTS: Final = 12  # of a curve in a line
_LABELS: Final = 8  # of a confusion matrix, and more than a terminal is wide
_WIDEST: Final = 14  # characters of a label in a table


def curve_line(points: Sequence[VersionPoint]) -> str:
    """Return the last points of a learning curve in a line, "" where there are none."""
    told = ", ".join(f"{point.annotations:,}: {point.value:.3f}" for point in points[-_POINTS:])
    return f"metric by annotated tasks: {told}" if told else ""


def confusion_lines(confusion: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a confusion matrix as a table: a row for each annotated label, a column for each predicted one.

    `confusion`: annotated -> predicted -> count; the predicted "" is a task without a prediction. Of many labels it shows those
    that are confused most often. Nothing is returned where no label was taken for another.
    """
    wrong = {label: sum(n for said, n in row.items() if said != label) for label, row in confusion.items()}
    if not any(wrong.values()):
        return []
    rows = sorted(confusion, key=lambda label: -wrong[label])[:_LABELS]
    others = {said for label in rows for said in confusion[label]} - set(rows)
    columns = [*rows, *sorted(others, key=lambda said: -sum(confusion[label].get(said, 0) for label in rows))][
        : _LABELS + 1
    ]
    names = {label: _short(label or "nothing") for label in (*rows, *columns)}
    first = max(len(names[label]) for label in rows)
    width = max(4, *(len(names[label]) for label in columns))
    lines = [" " * first + "".join(f"  {names[label]:>{width}}" for label in columns) + "  <- predicted"]
    for label in rows:
        cells = "".join(f"  {confusion[label].get(said, 0):>{width}}" for said in columns)
        lines.append(f"{names[label]:<{first}}{cells}")
    left = [label for label in confusion if label not in rows]
    return lines + ([f"and {listed(left, 3)}, confused less often"] if left else [])


def _short(label: str) -> str:
    return label if len(label) <= _WIDEST else f"{label[: _WIDEST - 3]}..."
