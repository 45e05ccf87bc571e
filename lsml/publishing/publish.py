"""Publishing: predict unannotated tasks, post the predictions, the least sure first, and let Label Studio show them.

Only Label Studio says what is left to do: a task is done when it holds a prediction of the version. So a killed publishing
continues where it stopped, and one with nothing to do ends at once. Where it is unknown whether predictions were stored,
Label Studio is asked; predictions that were stored twice are deleted at the end.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import TypeVar

from lsml.adapters.base import Adapter, Progress, silent
from lsml.binding import Binding
from lsml.errors import Cancelled, StudioRefused
from lsml.labeling import AnnotatedTask
from lsml.labeling.objects import Fetch
from lsml.prediction import HELD_OUT, Outcome, Predictor, predict_tasks
from lsml.publishing.order import Predicted, in_order
from lsml.publishing.patience import Patience
from lsml.publishing.scores import write_scores
from lsml.studio.predictions import OpenTask, ProjectPredictions

T = TypeVar("T")
_log = logging.getLogger(__name__)
WINDOW = 10  # batches that are sorted together, and posted while the next are predicted ...
WINDOW_S = 30.0  # ... or fewer, where predicting so many takes longer
_TURN_S = 5.0  # about the time of prediction between two checks whether to stop
_FIRST_TURN = 32
_PAGE = 500  # tasks read at a time


@dataclass(frozen=True)
class PublishInputs:
    """The inputs of one publishing.

    Predictions of `binding` with `adapters` carry `model_version`, and go to `predictions`, `batch` at a time, in an
    `order` (see `in_order`). `keep` versions stay in Label Studio, of those whose name matches `ours`. `score_field` of
    a task's data also gets the score. `skip` is True for the id of a task whose prediction nobody may see.
    `backend_login` is the login that lsml needs from Label Studio. `count` gets the number of predictions each time
    some are stored. `patience` also says when to stop. `workers` threads predict at a time; `elsewhere`: so many processes
    do it instead. `partial`: `predictions` sees only some tasks, so the version that Label Studio shows, and the
    predictions of the other tasks, stay.
    """

    predictions: ProjectPredictions
    binding: Binding
    adapters: Mapping[str, Adapter]
    model_version: str
    fetch: Fetch
    patience: Patience
    ours: re.Pattern[str]
    batch: int = 500
    order: str = "uncertain"
    keep: int = 1
    score_field: str | None = None
    skip: Callable[[str], bool] = lambda _task: False
    backend_login: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = silent
    count: Callable[[int], None] = lambda _stored: None
    workers: int = 1
    elsewhere: Callable[[Sequence[Mapping[str, object]]], list[Outcome]] | None = None
    partial: bool = False

    @property
    def ready(self) -> bool:
        """True if a model can predict."""
        return any(adapter.ready and not adapter.only_interactive for adapter in self.adapters.values())

    def predict(self, tasks: Sequence[OpenTask | AnnotatedTask]) -> list[Outcome]:
        """Return the outcome of each task, in order; `workers` threads share them."""
        asked = [{"id": task.id, "data": task.data} for task in tasks]
        if self.elsewhere is not None:
            return self.elsewhere(asked)
        predictor = Predictor(self.binding, self.adapters, self.fetch, self.model_version)
        outcomes = partial(predict_tasks, predictor)
        if self.workers == 1 or not tasks:
            return outcomes(asked)
        with ThreadPoolExecutor(self.workers) as pool:
            return list(chain.from_iterable(pool.map(outcomes, shares(asked, self.workers))))


@dataclass(frozen=True)
class PublishResult:
    """The result of a publishing: the number of predicted tasks, and the reasons for others, counted and with an example."""

    model_version: str
    posted: int
    deleted: int
    dropped: Mapping[str, int]
    examples: Mapping[str, str]

    def __str__(self) -> str:
        said = f"published {self.model_version}: {self.posted:,} {'task' if self.posted == 1 else 'tasks'}"
        if self.deleted:
            said += f", {self.deleted:,} older predictions deleted"
        for reason, count in self.dropped.items():
            said += f"; {count:,} not predicted ({reason}: {self.examples[reason]})"
        return said


def shares(tasks: Sequence[T], count: int) -> list[Sequence[T]]:
    """Return tasks in `count` parts of about one size, in order; fewer where there are few."""
    each = max(1, -(-len(tasks) // count))
    return [tasks[begin : begin + each] for begin in range(0, len(tasks), each)]


def publish(inputs: PublishInputs) -> PublishResult:
    """Post a prediction of the version on every unannotated task, and delete stale ones.

    Raises StudioError where Label Studio refuses, and the errors of `patience.check`.
    """
    return _Publishing(inputs).run()


class _Publishing:
    """One publishing at work."""

    def __init__(self, inputs: PublishInputs) -> None:
        self._stopped = threading.Event()
        self._in = replace(inputs, patience=replace(inputs.patience, check=self._check))
        self._asked_to_stop = inputs.patience.check
        self._posted = 0
        self._total = 0
        self._skipped = 0
        self._left: set[int] = set()  # tasks that get no new prediction
        self._lock = threading.Lock()
        self._dropped: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._version_shown = False

    def run(self) -> PublishResult:
        with ThreadPoolExecutor(1, thread_name_prefix="post") as poster, ThreadPoolExecutor(1) as reader:
            try:
                # New tasks come meanwhile, and annotated ones may lose their annotations, so it repeats until none is left.
                while self._pass(poster, reader):
                    pass
            except BaseException:
                self._stopped.set()  # else the threads would keep waiting for Label Studio
                raise
        patience, predictions, version = self._in.patience, self._in.predictions, self._in.model_version
        patience.ask(lambda: predictions.delete_doubles(version))
        held = patience.ask(predictions.versions)
        deleted = 0
        if not self._in.partial:
            deleted = self._delete_stale(held)
            # When a version is deleted, Label Studio may forget which one it shows.
            if held.get(version):
                self._show()
        return PublishResult(version, self._posted, deleted, dict(self._dropped), self._examples)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Cancelled("cancelled")
        self._asked_to_stop()

    def _pass(self, poster: ThreadPoolExecutor, reader: ThreadPoolExecutor) -> bool:
        """Publish every task that lacks the version, once. Return True if any was posted."""
        before = self._posted
        reading = reader.submit(self._read, 0)
        in_flight: list[Future[None]] = []
        window: list[Predicted] = []
        began = time.monotonic()
        while tasks := reading.result():
            reading = reader.submit(self._read, tasks[-1].id)
            for predicted in self._predict([task for task in tasks if not self._leaves(task.id)]):
                window += predicted
                if len(window) >= WINDOW * self._in.batch or time.monotonic() - began > WINDOW_S:
                    in_flight += self._post_window(window, poster)
                    window, began = [], time.monotonic()
                while in_flight and (in_flight[0].done() or len(in_flight) > WINDOW):
                    in_flight.pop(0).result()
        in_flight += self._post_window(window, poster)
        for posting in in_flight:
            posting.result()
        return self._posted > before

    def _post_window(self, window: list[Predicted], poster: ThreadPoolExecutor) -> list[Future[None]]:
        """Post predictions in the wanted order and batches. Return the futures of the batches."""
        inputs = self._in
        window = in_order(window, inputs.order, inputs.binding, inputs.adapters, inputs.fetch)
        most = inputs.batch
        return [poster.submit(self._post, window[begin : begin + most]) for begin in range(0, len(window), most)]

    def _read(self, after: int) -> list[OpenTask]:
        """Return the next tasks by id that lack the version."""
        inputs = self._in
        tasks, total = inputs.patience.ask(lambda: inputs.predictions.lacking(inputs.model_version, after, _PAGE))
        if after == 0:
            self._total = self._posted + total - self._skipped
        return tasks

    def _leaves(self, task: int) -> bool:
        if task not in self._left and self._in.skip(str(task)):
            self._skipped += 1
            self._total -= 1
            self._leave(task, *HELD_OUT)
        return task in self._left

    def _predict(self, tasks: Sequence[OpenTask]) -> Iterator[list[Predicted]]:
        """Yield lists of tasks that could be predicted, with their predictions, as they are ready."""
        inputs = self._in
        size, begin = _FIRST_TURN * inputs.workers, 0
        while begin < len(tasks):
            inputs.patience.check()
            some = tasks[begin : begin + size]
            at = time.monotonic()
            outcomes = inputs.predict(some)
            took = time.monotonic() - at
            predicted = []
            for task, outcome in zip(some, outcomes, strict=True):
                if outcome.prediction is not None:
                    predicted.append((task, outcome.prediction))
                    continue
                reason, sentence = outcome.dropped[-1] if outcome.dropped else ("nothing", "no model answered")
                self._leave(task.id, reason, sentence)
            yield predicted
            begin += len(some)
            size = max(1, int(len(some) * _TURN_S / took) if took else _PAGE)

    def _leave(self, task: int, reason: str, sentence: str) -> None:
        with self._lock:
            self._left.add(task)
            self._dropped[reason] += 1
            self._examples.setdefault(reason, sentence)

    def _post(self, some: Sequence[Predicted]) -> None:
        """Store predictions, each exactly once, even after errors."""
        if not some:
            return
        inputs = self._in
        by_task = {task.id: {"task": task.id, **prediction} for task, prediction in some}
        waiting = dict(by_task)
        if inputs.score_field is not None:  # first, because a task with a prediction is done
            write_scores(inputs.predictions, inputs.patience, inputs.score_field, some)

        def post() -> bool:
            inputs.predictions.post(list(waiting.values()))
            return True

        def done() -> bool | None:
            for id in inputs.predictions.holding(list(waiting), inputs.model_version):
                del waiting[id]
            return None if waiting else True

        try:
            inputs.patience.do(post, done)
        except StudioRefused as error:
            self._post_less(some, error)
            return
        self._left.update(by_task)
        self._posted += len(by_task)
        inputs.count(len(by_task))
        self._tell()
        if not self._version_shown and not self._in.partial:
            self._show()

    def _post_less(self, some: Sequence[Predicted], error: StudioRefused) -> None:
        """Leave out the tasks for which Label Studio refused a whole batch: the deleted ones, else the one found by halving."""
        predictions = self._in.predictions
        there = self._in.patience.ask(lambda: predictions.existing([task.id for task, _ in some]))
        for task, _ in some:
            if task.id not in there:
                self._leave(task.id, "deleted", f"task {task.id} was deleted")
        kept = [one for one in some if one[0].id in there]
        if len(kept) < len(some):
            self._post(kept)
        elif len(kept) == 1:
            self._leave(kept[0][0].id, "refused", str(error))
        else:
            middle = len(kept) // 2
            self._post(kept[:middle])
            self._post(kept[middle:])

    def _show(self) -> None:
        inputs = self._in
        inputs.patience.ask(lambda: inputs.predictions.show(inputs.model_version, inputs.ours, inputs.backend_login))
        self._version_shown = True

    def _delete_stale(self, held: Mapping[str, int]) -> int:
        """Delete predictions of older versions of this recipe, except the newest `keep` with the served one."""
        inputs = self._in
        older = sorted(
            (name for name in held if held[name] and name != inputs.model_version and inputs.ours.fullmatch(name)),
            key=lambda name: int((inputs.ours.fullmatch(name) or [0, 0])[1]),
            reverse=True,
        )
        deleted = 0
        for name in older[inputs.keep - 1 :]:
            inputs.patience.check()
            deleted += inputs.patience.ask(partial(inputs.predictions.delete_version, name))
            _log.info("deleted the predictions of %s", name)
        return deleted

    def _tell(self) -> None:
        total = max(self._total, self._posted)
        self._in.progress(self._posted / total if total else 1.0, f"publishing {self._posted:,} of {total:,}")
