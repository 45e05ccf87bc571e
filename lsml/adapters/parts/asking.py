"""The common part of adapters that ask a service: several requests at once, none repeated, and an error for each element."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Final, TypeVar, cast

from cachetools import LRUCache
from msgspec import Meta

from lsml.adapters.base import MACHINE
from lsml.errors import AdapterError

_log = logging.getLogger(__name__)
_TOLD: Final = 4096  # the most failures that wait to be reported

Retries = Annotated[
    int,
    Meta(ge=0, le=10, description="Retries after 429, 5xx and time-outs, at growing intervals.", extra=MACHINE),
]  # the option `retries` of an adapter that asks a service

_Data = TypeVar("_Data")
_Reply = TypeVar("_Reply")


class Away(AdapterError):
    """The error that the service answers no request now, so further requests are pointless."""


class Dropped(AdapterError):
    """The error that an answer cannot be used. `reason` is a short name to count it by."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


def in_threads(adapter: str, concurrency: int, ask: Callable[[_Data], object], items: Sequence[_Data]) -> None:
    """Call `ask` with each item, several at once, and wait for all."""
    if items:
        with ThreadPoolExecutor(min(concurrency, len(items)), f"lsml-{adapter}") as pool:
            list(pool.map(ask, items))


class Rounds:
    """Requests for many elements. If some of them fail, lsml asks for each element alone afterwards; then each failure is
    reported for its element once, and no request is repeated.
    """

    def __init__(self, adapter: str, concurrency: int) -> None:
        self._adapter = adapter
        self._concurrency = concurrency
        self._untold: LRUCache[bytes, AdapterError] = LRUCache(_TOLD)
        self._unread: LRUCache[bytes, object] = LRUCache(_TOLD)
        self._lock = threading.Lock()

    def run(
        self, items: Mapping[bytes, _Data], reply: Callable[[_Data], _Reply], *, alone: bool
    ) -> tuple[dict[bytes, _Reply], dict[bytes, AdapterError]]:
        """Return the answers, by key, and the errors, by key. `reply` raises Dropped for one element, and Away for all
        that are left.

        `alone`: it is the caller's only element, so that its failure is reported at once.
        """
        with self._lock:
            failed = {key: error for key in items if (error := self._untold.pop(key, None))}
            found: dict[bytes, _Reply] = {
                key: cast("_Reply", self._unread.pop(key)) for key in items if key in self._unread
            }
        asked = {key: data for key, data in items.items() if key not in failed and key not in found}
        if asked:
            new = self._ask(asked, reply, found)
            failed.update(new)
        if failed and not alone:
            with self._lock:
                self._untold.update(failed)
            self.keep(found)
        return found, failed

    def keep(self, found: Mapping[bytes, object]) -> None:
        """Keep answers of a batch that failed, for when their elements are asked for alone."""
        with self._lock:
            self._unread.update(found)

    def _ask(
        self, asked: Mapping[bytes, _Data], reply: Callable[[_Data], _Reply], found: dict[bytes, _Reply]
    ) -> dict[bytes, AdapterError]:
        """Add answers to `found`, and return the errors. They are logged, counted by reason."""
        away: list[Away] = []
        failed: dict[bytes, AdapterError] = {}

        def one(pair: tuple[bytes, _Data]) -> None:
            key, data = pair
            try:
                if away:
                    raise away[0]
                found[key] = reply(data)
            except Away as error:
                away.append(error)
                failed[key] = error
            except Dropped as error:
                failed[key] = error

        in_threads(self._adapter, self._concurrency, one, list(asked.items()))
        if failed:
            reasons = Counter(e.reason if isinstance(e, Dropped) else "no endpoint" for e in failed.values())
            counted = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
            _log.warning("%s: %d of %d have no prediction: %s", self._adapter, len(failed), len(asked), counted)
        return failed
