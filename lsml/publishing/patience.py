"""Retries while Label Studio is not reachable, at growing intervals and without an end."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lsml.errors import StudioAway

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """The pauses between tries: `first_s` seconds, doubled each time, at most `longest_s`, with some randomness so that
    several waiting processes do not return together. `tell` shows a person the reason; `check` raises where waiting is
    pointless.
    """

    tell: Callable[[str], None] = lambda _sentence: None
    check: Callable[[], None] = lambda: None
    first_s: float = 0.5
    longest_s: float = 30.0

    def ask(self, question: Callable[[], T]) -> T:
        """Return the answer, however long it takes. Raises what `question` raises, except StudioAway."""
        return self._until(question, lambda: None)

    def do(self, deed: Callable[[], T], done: Callable[[], T | None]) -> T:
        """Return the result of a deed that must happen once.

        Where it is unknown whether it happened, `done` is asked first; None means no. See `ask`.
        """
        return self._until(deed, done)

    def _until(self, question: Callable[[], T], done: Callable[[], T | None]) -> T:
        wait_s = self.first_s
        tried = False
        while True:
            try:
                if tried and (answer := done()) is not None:
                    return answer
                return question()
            except StudioAway as error:
                tried = True
                pause_s = min(error.wait_s or wait_s, 10 * self.longest_s) * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)
                sentence = f"{error}; trying again in {pause_s:.0f} s"
                _log.warning("%s", sentence)
                self.tell(sentence)
                self._sleep(pause_s)
                wait_s = min(2 * wait_s, self.longest_s)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.5))
