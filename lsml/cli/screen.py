"""The messages of `lsml run`, and the lines of state that stay below them."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Sequence

import click


class Screen:
    """The standard error of `lsml run`. `live`: at a capable terminal, lines of state stay below all messages.

    Elsewhere a line of state is printed whenever it changes.
    """

    def __init__(self, *, live: bool) -> None:
        self.live = live and sys.stderr.isatty() and os.name == "posix" and os.environ.get("TERM") != "dumb"
        self._lines: list[str] = []
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Write a message above the lines of state."""
        with self._lock:
            self._erase()
            click.echo(text, err=True)
            self._draw()

    def show(self, lines: Sequence[str]) -> None:
        """Replace the status lines."""
        with self._lock:
            if self.live:
                width = shutil.get_terminal_size().columns - 1
                cut = [line[:width] for line in lines]
                if cut != self._lines:
                    self._erase()
                    self._lines = cut
                    self._draw()
                return
            for line in lines:
                if line not in self._lines:
                    click.echo(f"lsml: {line}", err=True)
            self._lines = list(lines)

    def _erase(self) -> None:
        if self.live and self._lines:
            click.echo(f"\x1b[{len(self._lines)}F\x1b[J", nl=False, err=True)

    def _draw(self) -> None:
        if self.live and self._lines:
            click.echo("\n".join(self._lines), err=True)
