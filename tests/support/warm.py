"""A process that has imported what lsml's commands need, and forks for each: `python -m tests.support.warm`.

A line of JSON on standard input is a command, {"arguments", "cwd", "environment", "out", "err", "timeout_s"}; the line that
answers is its exit code, or null where it took longer than its timeout. The command is a process of its own, with its own
folder, environment and streams, just as `python -m lsml` is, less the second that Python needs to import it all.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import runpy
import signal
import sys
import threading
import time
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from typing import Any

import lsml

MODULES = (
    "sklearn.linear_model",
    "sklearn.feature_extraction.text",
    "sklearn.model_selection",
    "scipy.sparse",
)


def warm() -> None:
    """Import lsml wholly; its heavy libraries are imported late, and stay out."""
    for module in pkgutil.walk_packages(lsml.__path__, "lsml."):
        if not module.name.endswith("__main__"):
            with suppress(ModuleNotFoundError):  # the library of an extra that is not installed
                import_module(module.name)
    for name in MODULES:
        import_module(name)


def run(asked: dict[str, Any]) -> int | None:
    """Fork, and wait for the end of the command."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # other threads than this one are those of libraries, and idle
        child = os.fork()
    if not child:
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        for number, path in ((0, os.devnull), (1, asked["out"]), (2, asked["err"])):
            opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY)
            os.dup2(opened, number)
            os.close(opened)
        sys.argv = ["lsml", *asked["arguments"]]
        _end(_code())
    until = time.monotonic() + asked["timeout_s"]
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _code() -> int:
    """Run lsml as `python -m lsml` does, and return its exit code."""
    try:
        runpy.run_module("lsml", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end(code: int) -> None:
    """End as Python does, but for freeing every object that was imported, which takes longer than most commands."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    warm()
    gc.collect()
    gc.freeze()  # so that no fork copies the pages of what was imported
    while line := sys.stdin.readline():
        answers.write(json.dumps(run(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
