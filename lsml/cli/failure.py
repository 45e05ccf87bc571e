"""The output of an error that ends a command: plain lines in a pipe; at a terminal in colour, above the wrong line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from lsml.errors import LabelingConfigError, LsmlError, Problem, RecipeError
from lsml.logs import mask

_WIDEST = 160  # the most characters of a line; a longer one is cut around the error's column
_SECRET = re.compile(r"key|token|pass|secret|auth|user|cred", re.IGNORECASE)


def tell(error: LsmlError) -> None:
    """Write an error without secrets to standard error; at a terminal with the wrong lines."""
    text = _pictures(error) if sys.stderr.isatty() else str(error)
    click.echo(mask(text), err=True, color=False if os.environ.get("NO_COLOR") else None)


def _pictures(error: LsmlError) -> str:
    """Return the problems of an error, each with its line of the file; for an error without problems its text."""
    lines: list[str] = []
    for number, problem in enumerate(_problems(error)):
        lines += [""] if number else []
        lines += _pictured(problem)
    return "\n".join(lines) or click.style("error: ", fg="red", bold=True) + str(error)


def _problems(error: LsmlError) -> Iterable[Problem]:
    """Return the problems in the error's text, which have a file, a line and a column."""
    if isinstance(error, RecipeError):
        return error.shown
    if isinstance(error, LabelingConfigError) and error.position is not None:
        return (Problem(*error.position, "", error.what, error.source),)
    return ()


def _pictured(problem: Problem) -> list[str]:
    """Return a problem, its line, and a caret below the column."""
    where = f"{problem.file}:{problem.line}:{problem.column}:"
    told = [click.style(where, bold=True) + click.style(str(problem).removeprefix(where), fg="red")]
    line = _line_of(problem)
    if line is None:
        return told
    # Tabs stay tabs, so that the caret stands below its column in any terminal.
    before = "".join(c if c == "\t" else " " for c in line[: problem.column - 1])
    number = str(problem.line)
    cut = max(0, problem.column - 1 - _WIDEST // 2) if len(line) > _WIDEST else 0
    margin = click.style(f"{' ' * len(number)} | ", fg="blue")
    return [
        *told,
        click.style(f"{number} | ", fg="blue") + line[cut : cut + _WIDEST],
        margin + before[cut:] + click.style("^", fg="red", bold=True),
    ]


def _line_of(problem: Problem) -> str | None:
    """Return the line of the file; None where it cannot be read, has no such column, or may hold a secret."""
    try:
        line = Path(problem.file).read_text(encoding="utf-8-sig").splitlines()[problem.line - 1]
    except (OSError, ValueError, IndexError):
        return None
    printable = all(c.isprintable() or c == "\t" for c in line)
    return line if printable and problem.column <= len(line) + 1 and not _SECRET.search(line) else None
