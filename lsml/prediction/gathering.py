"""Requests that wait for a model at the same moment, predicted together where that is faster.

While a model computes, small requests for it wait. When it is free, all that wait go through it in one batch. Nobody waits
for requests that may come. Whether a model gains anything is measured with its first requests that meet: some of them
compute side by side, and some together.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Final

from lsml.adapters.base import Adapter, Data
from lsml.prediction.asking import Ask, ask_directly
from lsml.values import Value

_log = logging.getLogger(__name__)
_FEW: Final = 8  # elements of a request that may wait; a larger one is a batch already
_MOST: Final = 64  # elements of a batch
_PHASE: Final = 32  # elements of each phase of a trial
_PHASES: Final = 4  # side by side and together, in turns
_GAIN: Final = 1.15  # the least gain in elements/s


class Trial:
    """A comparison of answering side by side and together, in phases that take turns.

    It counts only while two or more requests are inside, and none of an earlier phase. `gain`: how many times as many
    elements a second are answered together; None until both are known.
    """

    def __init__(self) -> None:
        self.gain: float | None = None
        self.phase = 0
        self._inside = 0
        self._earlier = 0  # requests inside that came in an earlier phase
        self._since = 0.0
        self._elements = [0, 0]
        self._seconds = [0.0, 0.0]
        self._left = _PHASE

    def enter(self, now: float) -> int:
        """Note that a request came, at a time in seconds. Return its phase; in odd ones it is answered together with others."""
        self._pass(now)
        self._inside += 1
        return self.phase

    def leave(self, now: float, phase: int, elements: int) -> None:
        """Note that a request of a phase with so many elements was answered."""
        counts = self._inside > 1 and not self._earlier and self.gain is None
        self._pass(now)
        self._inside -= 1
        if phase != self.phase:
            self._earlier -= 1
        elif counts:
            self._elements[phase % 2] += elements
            self._left -= elements
            if self._left <= 0:
                self._end_phase()

    def _pass(self, now: float) -> None:
        if self._inside > 1 and not self._earlier:
            self._seconds[self.phase % 2] += now - self._since
        self._since = now

    def _end_phase(self) -> None:
        self.phase, self._left, self._earlier = self.phase + 1, _PHASE, self._inside
        if self.phase == _PHASES:
            beside, together = (
                count / max(seconds, 1e-9) for count, seconds in zip(self._elements, self._seconds, strict=True)
            )
            self.gain = together / beside


class _Request:
    """A request at a gate. `turn` is set once it has its answers, or leads a `group`, or the one that led it failed."""

    def __init__(self, batch: Sequence[Data], floor: float) -> None:
        self.batch = batch
        self.floor = floor
        self.turn = threading.Event()
        self.group: list[_Request] | None = None
        self.answers: Sequence[Sequence[Value]] | None = None


class _Gate:
    """The entrance to one adapter. `gains`: whether requests go together; None while that is tried."""

    def __init__(self, name: str, ask: Ask, wait_s: float) -> None:
        self.gains: bool | None = None
        self._name = name
        self._ask = ask
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._trial = Trial()
        self._busy = False
        self._waiting: list[_Request] = []

    def pass_through(self, adapter: Adapter, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
        """Return the answers of the adapter."""
        if self.gains is None:
            return self._tried(adapter, batch, floor)
        return self._joined(adapter, batch, floor) if self.gains else self._ask(adapter, batch, floor)

    def _tried(self, adapter: Adapter, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
        trial = self._trial
        with self._lock:
            phase = trial.enter(time.perf_counter())
        try:
            return self._joined(adapter, batch, floor) if phase % 2 else self._ask(adapter, batch, floor)
        finally:
            with self._lock:
                trial.leave(time.perf_counter(), phase, len(batch))
                if trial.gain is not None and self.gains is None:
                    self.gains = trial.gain >= _GAIN
                    how = "together" if self.gains else "side by side"
                    _log.info(
                        "%s: requests at the same moment are predicted %s; together they are %.1f times as fast",
                        self._name, how, trial.gain,
                    )  # fmt: skip

    def _joined(self, adapter: Adapter, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
        """Return the answers of a request that goes with those that wait beside it."""
        mine = _Request(batch, floor)
        with self._lock:
            if self._busy:
                self._waiting.append(mine)
            else:
                self._busy = True
                mine.group = [mine]
        if mine.group is None and not mine.turn.wait(self._wait_s) and not self._gives_up(mine):
            mine.turn.wait()
        if mine.group is not None:
            self._lead(adapter, mine.group)
        # It waited too long, or its group failed, perhaps for a neighbour: it is asked alone, and gets its own error.
        return self._ask(adapter, batch, floor) if mine.answers is None else mine.answers

    def _gives_up(self, mine: _Request) -> bool:
        """Stop waiting. Return False where its batch has begun."""
        with self._lock:
            if mine not in self._waiting:
                return False
            self._waiting.remove(mine)
            return True

    def _lead(self, adapter: Adapter, group: Sequence[_Request]) -> None:
        """Answer a group, then let the next one in."""
        try:
            computed = iter(self._ask(adapter, [one for each in group for one in each.batch], group[0].floor))
            for each in group:
                each.answers = [next(computed) for _ in each.batch]
        except Exception:
            if len(group) == 1:
                raise
            _log.warning("%s failed on a batch of %d requests; predicting them one by one", self._name, len(group))
        finally:
            with self._lock:
                following = self._next_group()
                self._busy = bool(following)
            for each in group[1:]:
                each.turn.set()
            if following:
                following[0].group = following
                following[0].turn.set()

    def _next_group(self) -> list[_Request]:
        """Return those that waited longest and can go together. The caller holds the lock."""
        group: list[_Request] = []
        room = _MOST
        for one in self._waiting:
            if group and one.floor != group[0].floor:
                continue
            room -= len(one.batch)
            if room < 0:
                break
            group.append(one)
        self._waiting = [one for one in self._waiting if one not in group]
        return group


class Gathering:
    """The gates of all adapters. A request waits at most `wait_s` seconds for the one before it; 0: never."""

    def __init__(self, wait_s: float, ask: Ask = ask_directly) -> None:
        self._wait_s = wait_s
        self._ask = ask
        self._lock = threading.Lock()
        self._gates: weakref.WeakKeyDictionary[Adapter, _Gate] = weakref.WeakKeyDictionary()

    def ask(self, adapter: Adapter, batch: Sequence[Data], floor: float) -> Sequence[Sequence[Value]]:
        """Return values as `ask_directly` does, perhaps computed with the elements of other requests."""
        if not self._wait_s or adapter.asks_service or not 0 < len(batch) <= _FEW:
            return self._ask(adapter, batch, floor)
        return self.gate(adapter).pass_through(adapter, batch, floor)

    def gate(self, adapter: Adapter) -> _Gate:
        """Return the gate of an adapter."""
        gate = self._gates.get(adapter)
        if gate is None:
            with self._lock:
                gate = self._gates.setdefault(adapter, _Gate(adapter.name, self._ask, self._wait_s))
        return gate
