"""What the processes that `lsml run` and `lsml work` start do for those who started them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path


def die_with_parent() -> None:
    """End this process when the one that started it does: its end of our standard input closes with it."""

    def watch() -> None:
        # Read below Python's buffers: their lock would be held when the interpreter ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def on_hangup(do: Callable[[], None]) -> None:
    """Have a thread `do` something whenever this process gets SIGHUP, with which `lsml run` tells of a changed recipe."""
    signal.signal(signal.SIGHUP, lambda _number, _frame: threading.Thread(target=do, daemon=True).start())


def ready_file(directory: Path, verb: str) -> Path:
    """Where the process that does `verb` on a data directory says that it is ready for work."""
    return directory / f"{verb}.ready"


def say_ready(directory: Path, verb: str) -> None:
    """Say that this process is ready for work. A full disk is no reason to end: then nobody is told."""
    try:
        ready_file(directory, verb).write_text(str(os.getpid()), encoding="ascii")
    except OSError:
        pass


def was_ready(file: Path, pid: int) -> bool:
    """True if the process of that number has said that it is ready for work."""
    try:
        return file.read_text(encoding="ascii") == str(pid)
    except (OSError, ValueError):
        return False


def on_new_recipe(held: Sequence[Path], do: Callable[[int], None]) -> None:
    """At each SIGHUP have a thread `do` something with the place in `held` of every recipe that was held anew."""
    known = [_mark(file) for file in held]

    def look() -> None:
        for number, file in enumerate(held):
            mark = _mark(file)
            if mark != known[number]:
                known[number] = mark
                do(number)

    on_hangup(look)


def _mark(file: Path) -> tuple[int, int]:
    """What differs once another file took its place, though it may hold the same."""
    found = file.stat()
    return found.st_ino, found.st_mtime_ns
