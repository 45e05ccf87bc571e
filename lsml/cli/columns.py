"""Options that name the columns of a table, for the commands that read files of tasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import click

from lsml.labeling.rows import Named


def columns_option(*, answers: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add --text-column to a command, and with `answers` --label-column; the command gets both as `columns`."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def taken(*args: object, text_column: str | None, label_column: str | None = None, **kwargs: object) -> None:
            function(*args, columns=Named(text_column, label_column), **kwargs)

        text = click.option(
            "--text-column", metavar="NAME", help="The column of a table with the data [default: guessed]."
        )
        label = click.option("--label-column", metavar="NAME", help="The column with the labels [default: guessed].")
        return text(label(taken)) if answers else text(taken)

    return add
