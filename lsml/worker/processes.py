"""The process of a run: its ending, and the meaning of its exit code."""

from __future__ import annotations

import logging
import os
import signal
import subprocess

_log = logging.getLogger(__name__)
_NICENESS = 10  # of a run
# Exit codes of a process that wrote its end, of one whose claim was gone, and of one that the database did not answer.
DONE, SUPERSEDED, UNREACHABLE = 0, 75, 76


def end(child: subprocess.Popen[bytes]) -> None:
    """End the process of a run and every process that it started."""
    if child.stdin is not None:
        child.stdin.close()
    if child.poll() is None:
        try:
            if os.name == "posix":
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()
        except ProcessLookupError:
            pass
    child.wait()


def wait_briefly(child: subprocess.Popen[bytes]) -> None:
    """Wait a moment for the process of a run that wrote its end to exit."""
    try:
        child.wait(timeout=3)
    except subprocess.TimeoutExpired:
        _log.warning("the process of the run %d does not end; killing it", child.pid)


def death(code: int) -> str:
    """Return a sentence, from the exit code, about the process of a run that wrote no end."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; it may have run out of memory" if name == "SIGKILL" else ""
        return f"the process of the run was killed by {name}{hint}"
    if code == UNREACHABLE:
        return "the database did not answer the process of the run"
    return f"the process of the run ended with exit code {code}"


def step_back() -> None:
    """Lower this process's priority, because people wait for predictions, not for runs."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
