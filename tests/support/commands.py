"""lsml's commands as people run them: `python -m lsml ...` in a process of its own, with both of its streams kept."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import REPOSITORY, export, tickets, write_recipe

Finished = subprocess.CompletedProcess
_ONE_AT_A_TIME = threading.Lock()


def lsml(
    *arguments: object, cwd: Path, environment: Mapping[str, str] | None = None, timeout_s: float = 120
) -> Finished[str]:
    """The end of `lsml ARGUMENTS` in a pipe. Whatever it says, it never shows a traceback."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LABEL_STUDIO", "LSML_"))}
    command = [sys.executable, "-m", "lsml", *map(str, arguments)]
    own = {**kept, **(environment or {})}
    if os.name == "posix" and not any(name.startswith("PYTHON") for name in environment or ()):
        done = _forked(command, cwd, own, timeout_s)
    else:  # what Python itself reads when it starts
        done = subprocess.run(
            command, cwd=cwd, env=own, capture_output=True, stdin=subprocess.DEVNULL, encoding="utf-8",
            timeout=timeout_s, check=False,
        )  # fmt: skip
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


@functools.cache
def _warm() -> subprocess.Popen[str]:
    """The process that forks for each command, for as long as this one lives."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=REPOSITORY,
    )  # fmt: skip


def _forked(command: list[str], cwd: Path, environment: Mapping[str, str], timeout_s: float) -> Finished[str]:
    """The end of a command in a fork of a process that imported lsml before."""
    with _ONE_AT_A_TIME, tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        out.touch()
        err.touch()
        asked = {
            "arguments": command[3:], "cwd": str(cwd), "environment": dict(environment), "out": str(out), "err": str(err),
            "timeout_s": timeout_s,
        }  # fmt: skip
        warm = _warm()
        assert warm.stdin is not None and warm.stdout is not None
        warm.stdin.write(json.dumps(asked) + "\n")
        warm.stdin.flush()
        code = json.loads(warm.stdout.readline())
        told = [path.read_text(encoding="utf-8") for path in (out, err)]
    if code is None:
        raise subprocess.TimeoutExpired(command, timeout_s, *told)
    return subprocess.CompletedProcess(command, code, *told)


def refused(done: Finished[str], code: int = 2) -> str:
    """The whole of what a command said that ended with `code`, and that wrote nothing else."""
    assert (done.returncode, done.stdout) == (code, ""), done
    return done.stderr.removesuffix("\n")


def said(done: Finished[str]) -> str:
    """The whole of what a command printed that did what it was told."""
    assert done.returncode == 0, done.stderr
    return done.stdout


__all__ = ["Finished", "export", "lsml", "refused", "said", "tickets", "write_recipe"]
