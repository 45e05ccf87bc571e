"""The supervisor of `lsml run`: it restarts processes that die, and stops them in order."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from lsml.cli.children import was_ready
from lsml.cli.screen import Screen

_STEADY_S = 5.0  # a child that lived this long restarts at once when it dies, others after growing pauses
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 60.0
_MOST_FAILURES = 4  # starts in a row in which a child did not become ready; with one more, lsml gives up
# The time for the children to finish: after Ctrl-C a person waits at most five seconds, and Docker kills after ten.
_STOP_S, _STOP_AT_CTRL_C_S = 9.0, 4.7
# glibc keeps freed memory in an arena for each of many threads; with two arenas it returns more (benchmarks/memory.py).
_ALLOCATOR = {"MALLOC_ARENA_MAX": "2"}
_FINAL_CODES = (2,)  # an error in the recipe, which a restart does not correct


class Child:
    """One process that is kept alive. `ready`: the file in which it reports that it is ready for work.

    It is a new interpreter, and no fork of this one. `descriptors`: open files that it inherits; `environment`: variables
    beside this process's.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        ready: Path,
        screen: Screen,
        *,
        descriptors: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._descriptors = tuple(descriptors)
        self._environment = {**_ALLOCATOR, **os.environ, **(environment or {})}
        self._screen = screen
        self._command = command
        self._ready = ready
        self._failures = 0
        self._quick_ends = 0
        self._start_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def start(self) -> None:
        """Start the process."""
        self._started = time.monotonic()
        # A separate process group: Ctrl-C reaches only the supervisor, which then stops the children in order.
        # Our end of the pipe closes with us, however we end, and the child ends with it.
        # Its log goes above the status lines.
        log = subprocess.PIPE if self._screen.live else None
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            pass_fds=self._descriptors,
            env=self._environment,
        )
        if self.process.stderr is not None:
            threading.Thread(target=self._pass_on, args=(self.process.stderr,), daemon=True).start()

    @property
    def is_ready(self) -> bool:
        """True once it has reported that it is ready for work."""
        return self.process is not None and was_ready(self._ready, self.process.pid)

    def _pass_on(self, log: IO[bytes]) -> None:
        for line in log:
            self._screen.say(line.decode("utf-8", "replace").rstrip("\n"))

    def keep(self) -> int | None:
        """Restart it if it died. Return an exit code if another try is pointless."""
        if self.process is None:
            if time.monotonic() >= self._start_at:
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        pid, self.process = self.process.pid, None
        steady = time.monotonic() - self._started >= _STEADY_S
        self._quick_ends = 0 if steady else self._quick_ends + 1
        self._failures = 0 if steady or was_ready(self._ready, pid) else self._failures + 1
        if code in _FINAL_CODES or self._failures > _MOST_FAILURES:
            often = "" if code in _FINAL_CODES else " again and again"
            self._screen.say(f"lsml: the {self.name} ended{often} ({_ending(code)}); giving up")
            return max(1, code)
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (self._quick_ends - 1)) if self._quick_ends else 0.0
        self._screen.say(f"lsml: the {self.name} ended ({_ending(code)}); starting it again")
        self._start_at = time.monotonic() + pause_s
        return None

    def ask_to_stop(self, at_ctrl_c: bool) -> None:
        """Tell it to finish its work and end."""
        if self.process is not None and self.process.poll() is None:
            if at_ctrl_c and os.name == "posix":
                self.process.send_signal(signal.SIGINT)
            else:
                self.process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait until it has ended; at the deadline, by the monotonic clock, kill it."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def keep_alive(
    children: Sequence[Child],
    begun: Callable[[], None],
    ending: Callable[[], None],
    often: Callable[[], None] = lambda: None,
) -> tuple[int, bool]:
    """Start the children and keep them alive until a signal stops them. Return (exit code, True if a signal did).

    `begun` is called once the first is started, `often` every tenth of a second, `ending` before they are stopped. It
    must run in the main thread.
    """
    told: int | None = None  # no Event, whose lock this thread may hold as the signal comes

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal told
        told = number

    signals = [signal.SIGINT, signal.SIGTERM]
    if os.name == "posix" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)  # the terminal was closed; `nohup` has it ignored
    for number in signals:
        signal.signal(number, stop)
    code = None
    try:
        children[0].start()
        begun()
        for child in children[1:]:
            child.start()
        while code is None and told is None:
            time.sleep(0.1)
            code = next((ended for child in children if (ended := child.keep()) is not None), None)
            often()
    finally:
        at_ctrl_c = told == signal.SIGINT
        deadline = time.monotonic() + (_STOP_AT_CTRL_C_S if at_ctrl_c else _STOP_S)
        ending()
        for child in children:
            child.ask_to_stop(at_ctrl_c)
        for child in children:
            child.wait(deadline)
    return code or 0, told is not None


def _ending(code: int) -> str:
    if code < 0 and os.name == "posix":
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
