"""The process of a run: its environment, how it is ended, and what its end means."""

from __future__ import annotations

import logging
import os
import signal
import subprocess

_log = logging.getLogger(__name__)
_NICENESS = 10  # of a run
DONE, SUPERSEDED = 0, 75  # exit codes of one that wrote its end, and of one whose claim was gone


def leaving_a_core() -> dict[str, str]:
    """The environment of a run: its linear algebra leaves one core to requests, unless the user says otherwise.

    OpenBLAS has its threads wait by spinning, which held requests up for 6 ms, and gained a fit of text-classifier nothing.
    """
    return {"OPENBLAS_NUM_THREADS": str(max(1, (os.cpu_count() or 1) - 1)), **os.environ}


def end(child: subprocess.Popen[bytes]) -> None:
    """Stop the process of a run and everything that it started."""
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
    """Give the process of a run that wrote its end a moment to leave."""
    try:
        child.wait(timeout=3)
    except subprocess.TimeoutExpired:
        _log.warning("the process of the run %d lingers; ending it", child.pid)


def death(code: int) -> str:
    """How the process of a run ended that wrote no end, in a sentence, from its exit code."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; perhaps it ran out of memory" if name == "SIGKILL" else ""
        return f"the process of the run was killed by {name}{hint}"
    return f"the process of the run ended with exit code {code}"


def step_back() -> None:
    """Let others have the processor first: somebody waits for a prediction, nobody for a run."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
