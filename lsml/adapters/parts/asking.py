"""What adapters share that ask a service: several at once, none in vain, and each failure told of its own data."""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Final, TypeVar

from msgspec import Meta

from lsml.adapters.base import MACHINE
from lsml.errors import AdapterError

_log = logging.getLogger(__name__)
_TOLD: Final = 4096  # failures that wait to be told

Retries = Annotated[
    int,
    Meta(
        ge=0, le=10, description="More attempts after 429, 5xx and silence, further and further apart.", extra=MACHINE
    ),
]  # an option of an adapter that asks a service

_Data = TypeVar("_Data")
_Answer = TypeVar("_Answer")


class Away(AdapterError):
    """The service answers nobody now, so that asking it for the next one is in vain."""


class Dropped(AdapterError):
    """An answer cannot be used. `reason` is a short, countable name."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class Rounds:
    """Asks for many. Where some of many failed, all are asked for again one by one, so that the failures of a round are told
    then, once each, and nothing is asked twice in vain."""

    def __init__(self, adapter: str, concurrency: int) -> None:
        self._adapter = adapter
        self._concurrency = concurrency
        self._untold: OrderedDict[bytes, AdapterError] = OrderedDict()
        self._lock = threading.Lock()

    def run(
        self, items: Mapping[bytes, _Data], answer: Callable[[_Data], _Answer], *, alone: bool
    ) -> tuple[dict[bytes, _Answer], dict[bytes, AdapterError]]:
        """What `answer` says of each, by key, and what went wrong, by key. It raises Dropped for one and Away for all that
        are left. `alone`: it is the caller's only one, so that a failure is told at once."""
        with self._lock:
            failed = {key: error for key in items if (error := self._untold.pop(key, None))}
        asked = {key: data for key, data in items.items() if key not in failed}
        found: dict[bytes, _Answer] = {}
        if asked:
            new = self._ask(asked, answer, found)
            failed.update(new)
        if failed and not alone:
            with self._lock:
                self._untold.update(failed)
                while len(self._untold) > _TOLD:
                    self._untold.popitem(last=False)
        return found, failed

    def _ask(
        self, asked: Mapping[bytes, _Data], answer: Callable[[_Data], _Answer], found: dict[bytes, _Answer]
    ) -> dict[bytes, AdapterError]:
        """Fill in what is found; what went wrong. Logs it, counted by reason."""
        away: list[Away] = []
        failed: dict[bytes, AdapterError] = {}

        def one(pair: tuple[bytes, _Data]) -> None:
            key, data = pair
            try:
                if away:
                    raise away[0]
                found[key] = answer(data)
            except Away as error:
                away.append(error)
                failed[key] = error
            except Dropped as error:
                failed[key] = error

        with ThreadPoolExecutor(min(self._concurrency, len(asked)), f"lsml-{self._adapter}") as pool:
            list(pool.map(one, asked.items()))
        if failed:
            reasons = Counter(e.reason if isinstance(e, Dropped) else "no endpoint" for e in failed.values())
            counted = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
            _log.warning("%s: %d of %d have no answer: %s", self._adapter, len(failed), len(asked), counted)
        return failed
