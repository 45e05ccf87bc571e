"""Asking Label Studio again while it is away: less and less often, and without an end of its own."""

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
    """How long to wait between tries: `first_s` seconds, twice as long each time, at most `longest_s`, each a little shorter
    or longer so that several who wait do not come back together. `tell` shows a person why nothing moves; `check` raises
    where it is no longer worth waiting."""

    tell: Callable[[str], None] = lambda _sentence: None
    check: Callable[[], None] = lambda: None
    first_s: float = 0.5
    longest_s: float = 30.0

    def ask(self, question: Callable[[], T]) -> T:
        """The answer, however long it takes. Raises what `question` raises, but for StudioAway."""
        return self._until(question, lambda: None)

    def do(self, deed: Callable[[], T], done: Callable[[], T | None]) -> T:
        """As `ask`, for what must happen once: where nobody said whether it did, `done` is asked first; None means no."""
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
