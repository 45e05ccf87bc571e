"""lsml's commands as people run them: `python -m lsml ...` in a process of its own, with both of its streams kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import export, tickets, write_recipe

Finished = subprocess.CompletedProcess


def lsml(
    *arguments: object, cwd: Path, environment: Mapping[str, str] | None = None, timeout_s: float = 120
) -> Finished[str]:
    """The end of `lsml ARGUMENTS` in a pipe. Whatever it says, it never shows a traceback."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LABEL_STUDIO", "LSML_"))}
    done = subprocess.run(
        [sys.executable, "-m", "lsml", *map(str, arguments)],
        cwd=cwd, env={**kept, **(environment or {})}, capture_output=True, stdin=subprocess.DEVNULL,
        encoding="utf-8", timeout=timeout_s, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def refused(done: Finished[str], code: int = 2) -> str:
    """The whole of what a command said that ended with `code`, and that wrote nothing else."""
    assert (done.returncode, done.stdout) == (code, ""), done
    return done.stderr.removesuffix("\n")


def said(done: Finished[str]) -> str:
    """The whole of what a command printed that did what it was told."""
    assert done.returncode == 0, done.stderr
    return done.stdout


__all__ = ["Finished", "export", "lsml", "refused", "said", "tickets", "write_recipe"]
