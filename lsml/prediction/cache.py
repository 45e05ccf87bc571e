"""The prediction cache: what models answered, by model, content and options, within a number of bytes.

It holds values, not predictions: thresholds, labels, regions and `model_version` are applied to each request anew. A model
is known by its adapter in memory. A new version has adapters of its own, except where it holds the very same files. So no
version answers from another one's cache.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from lsml.adapters.base import Adapter, Data
from lsml.prediction.asking import Ask, ask_directly
from lsml.prediction.contents import content_of, held_bytes, reads_files
from lsml.values import Value

Key = tuple[int, float, bytes]  # the number of an adapter, the floor, and the digest of the content
Count = Callable[[str, int], None]
_FEW: Final = 8  # elements: an equal request waits for a batch of so many, or of no more than its own
QUICK_S: Final = 0.0002  # a model that takes less for an element is asked: to look it up would cost a good part of that
_WEIGHT: Final = 0.1  # of the newest time in a model's pace
_ENTRY_BYTES: Final = 400  # of memory for an entry beside its values


@dataclass(frozen=True)
class _Running:
    """An answer under way, which equal requests wait for. `together`: the number of elements in its request."""

    key: Key
    answer: Future[Sequence[Value]]
    together: int


@dataclass(frozen=True)
class _Share:
    """A batch divided, by index: the known `answers`, the indices that the caller computes (`own`), those of them that
    others may wait for (`claimed`), and those that another request computes (`waiting`).
    """

    answers: dict[int, Sequence[Value]]
    own: list[int]
    claimed: dict[int, _Running]
    waiting: dict[int, _Running]


class _Model:
    """One adapter in the cache: its number, and its pace, the recent seconds for an element."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pace_s: float | None = None

    def note(self, took_s: float) -> None:
        """Note the time of an element. The first one may include the loading of a library, so it counts little."""
        took_s = min(took_s, 10 * QUICK_S)
        self.pace_s = took_s if self.pace_s is None else (1 - _WEIGHT) * self.pace_s + _WEIGHT * took_s


class PredictionCache:
    """Answers of models, the most recently used ones within `most_bytes`; 0 for none. Threads share it.

    `count` gets how many elements were found (`hit`), computed for another request meanwhile (`shared`), or had to be
    computed (`miss`). Models that take less than `quick_s` for an element are asked without it.
    """

    def __init__(
        self,
        most_bytes: int,
        count: Count = lambda _found, _elements: None,
        ask: Ask = ask_directly,
        quick_s: float = QUICK_S,
    ) -> None:
        self._most_bytes = most_bytes
        self._count = count
        self._ask = ask
        self._quick_s = quick_s
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, tuple[Sequence[Value], int]] = OrderedDict()
        self._running: dict[Key, _Running] = {}
        self._models: weakref.WeakKeyDictionary[Adapter, _Model] = weakref.WeakKeyDictionary()
        self._next = itertools.count()
        self._gone: deque[int] = deque()  # adapters that were freed; a finalizer must not wait for the lock
        self.bytes = 0

    def ask(self, adapter: Adapter, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
        """Return values as `ask_directly` does, computed only where no equal answer is here or under way.

        An adapter that asks a service is asked each time, as the service may change. Raises what the model raises.
        """
        if not self._most_bytes or adapter.asks_service:
            return self._ask(adapter, batch, floor)
        model = self._model(adapter)
        if model.pace_s is not None and model.pace_s < self._quick_s:
            return self._timed(model, adapter, batch, floor)
        contents = map(content_of, batch)
        share = self._share([None if one is None else (model.number, floor, one) for one in contents])
        if share.own:
            self._compute(model, adapter, batch, floor, share)
        missed = [index for index, running in share.waiting.items() if not _took(share.answers, index, running)]
        if missed:  # the other request failed, perhaps for another of its elements
            computed = self._ask(adapter, [batch[index] for index in missed], floor)
            share.answers.update(zip(missed, computed, strict=True))
        return [share.answers[index] for index in range(len(batch))]

    def _model(self, adapter: Adapter) -> _Model:
        model = self._models.get(adapter)
        if model is None:
            with self._lock:
                model = self._models.setdefault(adapter, _Model(next(self._next)))
            weakref.finalize(adapter, self._gone.append, model.number).atexit = False
        return model

    def _timed(self, model: _Model, adapter: Adapter, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
        began = time.perf_counter()
        answers = self._ask(adapter, batch, floor)
        if batch:
            model.note((time.perf_counter() - began) / len(batch))
        return answers

    def _share(self, keys: Sequence[Key | None]) -> _Share:
        """Return what is known of a batch, what is under way, and what the caller has to compute."""
        share = _Share({}, [], {}, {})
        with self._lock:
            self._forget_gone()
            for index, key in enumerate(keys):
                if key is None:
                    share.own.append(index)
                elif (entry := self._entries.get(key)) is not None:
                    self._entries.move_to_end(key)
                    share.answers[index] = entry[0]
                elif (running := self._running.get(key)) is None:
                    self._running[key] = share.claimed[index] = _Running(key, Future(), len(keys))
                    share.own.append(index)
                elif running.together <= max(_FEW, len(keys)):
                    share.waiting[index] = running
                else:
                    share.own.append(index)  # it would wait for a much larger request
        known = {"hit": len(share.answers), "shared": len(share.waiting), "miss": len(share.own)}
        for found, elements in known.items():
            if elements:
                self._count(found, elements)
        return share

    def _compute(self, model: _Model, adapter: Adapter, batch: Sequence[Data], floor: float, share: _Share) -> None:
        """Compute the caller's part of a batch, keep it, and hand it to the requests that wait for it."""
        try:
            computed = self._timed(model, adapter, [batch[index] for index in share.own], floor)
            share.answers.update(zip(share.own, computed, strict=True))
            # A file may have changed after its digest was taken.
            sizes = {
                index: _ENTRY_BYTES + held_bytes(share.answers[index])
                for index, running in share.claimed.items()
                if not reads_files(batch[index]) or content_of(batch[index]) == running.key[2]
            }
        except BaseException as error:
            with self._lock:
                for running in share.claimed.values():
                    del self._running[running.key]
            for running in share.claimed.values():
                running.answer.set_exception(error)
            raise
        with self._lock:
            for index, running in share.claimed.items():
                del self._running[running.key]
                if index in sizes:
                    self._keep(running.key, share.answers[index], sizes[index])
        for index, running in share.claimed.items():
            running.answer.set_result(share.answers[index])

    def _keep(self, key: Key, values: Sequence[Value], size: int) -> None:
        """Keep an answer, and drop those that were not used for longest. The caller holds the lock."""
        if size > self._most_bytes:
            return
        self._entries[key] = (values, size)
        self.bytes += size
        while self.bytes > self._most_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self.bytes -= freed

    def _forget_gone(self) -> None:
        """Drop the answers of adapters that were freed. The caller holds the lock."""
        if not self._gone:
            return
        gone = {self._gone.popleft() for _ in range(len(self._gone))}
        for key in [key for key in self._entries if key[0] in gone]:
            self.bytes -= self._entries.pop(key)[1]


def _took(answers: dict[int, Sequence[Value]], index: int, running: _Running) -> bool:
    """Take the answer that another request computed. Return False if it failed."""
    if running.answer.exception() is not None:
        return False
    answers[index] = running.answer.result()
    return True
