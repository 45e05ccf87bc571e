"""The parts of child processes that serve their parent: they end with it, report that they are ready, and reload recipes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path


def die_with_parent() -> None:
    """End this process when its parent ends, which closes the pipe to its standard input."""

    def watch() -> None:
        # Read without Python's buffers, whose lock would be held when the interpreter ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def on_hangup(do: Callable[[], None]) -> None:
    """Start a thread that calls `do` whenever this process gets SIGHUP, by which `lsml run` reports a changed recipe."""
    signal.signal(signal.SIGHUP, lambda _number, _frame: threading.Thread(target=do, daemon=True).start())


def ready_file(directory: Path, verb: str) -> Path:
    """Return the path of the file in which the process for `verb` reports that it is ready."""
    return directory / f"{verb}.ready"


def say_ready(directory: Path, verb: str) -> None:
    """Report that this process is ready for work. An error, such as a full disk, is ignored: then nothing is reported."""
    try:
        ready_file(directory, verb).write_text(str(os.getpid()), encoding="ascii")
    except OSError:
        pass


def was_ready(file: Path, pid: int) -> bool:
    """Return True if the process with that id has reported that it is ready."""
    try:
        return file.read_text(encoding="ascii") == str(pid)
    except (OSError, ValueError):
        return False


def on_new_recipe(held: Sequence[Path], do: Callable[[int], None]) -> None:
    """Start a thread that calls `do`, at each SIGHUP, with the index in `held` of every recipe whose held copy is new."""
    known = [_stamp(file) for file in held]

    def look() -> None:
        for number, file in enumerate(held):
            mark = _stamp(file)
            if mark != known[number]:
                known[number] = mark
                do(number)

    on_hangup(look)


def _stamp(file: Path) -> tuple[int, int]:
    """Return a value that changes when another file takes its place, even one with the same content."""
    found = file.stat()
    return found.st_ino, found.st_mtime_ns
