"""Reading the data of the next tasks while models compute on these: files are fetched ahead, and not without bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from lsml.binding import BoundModel, Reading
from lsml.labeling.objects import AT_A_TIME, Fetch

WINDOW: Final = 64  # tasks that are read before they are predicted, at most

Task = Mapping[str, object]


class Ahead:
    """The readings of a request's tasks by some models, in order."""

    def __init__(
        self, pool: ThreadPoolExecutor, models: Sequence[BoundModel], tasks: Sequence[Task], fetch: Fetch
    ) -> None:
        self._pool, self._models, self._tasks, self._fetch = pool, models, tasks, fetch
        # Those that are not taken yet, by task; a task is known by its identity.
        self._reading: deque[tuple[Task, dict[str, Future[list[Reading]]]]] = deque()
        self._begun = 0
        self._fill()

    def _fill(self) -> None:
        while self._begun < len(self._tasks) and len(self._reading) < WINDOW:
            task = self._tasks[self._begun]
            futures = {model.key: self._pool.submit(model.read, task, self._fetch) for model in self._models}
            self._reading.append((task, futures))
            self._begun += 1

    @property
    def ready(self) -> int:
        """The number of the next tasks whose files are all there."""
        for number, (_, futures) in enumerate(self._reading):
            if not all(future.done() for future in futures.values()):
                return number
        return len(self._reading)

    def take(self, count: int) -> Readings:
        """Return the readings of the next tasks, and begin to read as many others."""
        taken = [self._reading.popleft() for _ in range(min(count, len(self._reading)))]
        self._fill()
        return Readings({(id(task), key): future for task, futures in taken for key, future in futures.items()})


class Readings:
    """The readings of some tasks, which may still be on their way."""

    def __init__(self, futures: Mapping[tuple[int, str], Future[list[Reading]]]) -> None:
        self._futures = futures

    def of(self, model: BoundModel, task: Task) -> Future[list[Reading]] | None:
        """Return what a model reads of a task; None where nothing was read ahead. Its result raises what `read` does."""
        return self._futures.get((id(task), model.key))


NOTHING: Final = Readings({})


@contextmanager
def reading_ahead(models: Sequence[BoundModel], tasks: Sequence[Task], fetch: Fetch) -> Iterator[Ahead]:
    """Yield the readings of tasks by some models. Those that nobody takes any more are given up at the end."""
    pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="ahead")
    try:
        yield Ahead(pool, models, tasks, fetch)
    finally:
        pool.shutdown(cancel_futures=True)
