"""A pseudo-terminal: what a person sees of a command of lsml that runs at one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

at_a_terminal = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")


class Terminal:
    """`lsml ARGUMENTS` at a terminal of its own, without a keyboard; it is over at the end of the block."""

    def __init__(self, *arguments: object, cwd: Path, environment: Mapping[str, str] | None = None) -> None:
        self._ours, theirs = os.openpty()
        self._shown = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lsml", *map(str, arguments)],
            cwd=cwd, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
            env={**os.environ, "TERM": "xterm", **(environment or {})},
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        os.close(self._ours)

    def until(self, text: str) -> None:
        """Wait for a text to be shown."""
        while text.encode() not in self._shown:
            assert self._read(), f"ended without {text!r}:\n{self._shown.decode(errors='replace')}"

    def end(self) -> str:
        """Have the command stop; all that was shown."""
        self._process.terminate()
        while self._read():
            pass
        return self._shown.decode().replace("\r\n", "\n")

    def _read(self) -> bool:
        """False at the end: a terminal that nobody holds any more ends with an error, or with nothing."""
        try:
            more = os.read(self._ours, 4096)
        except OSError:
            return False
        self._shown += more
        return bool(more)
