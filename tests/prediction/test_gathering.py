"""Requests that wait for a model together go through it together, where that is faster; the answers are the same."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ClassVar

import pytest
from threadpoolctl import threadpool_limits

from lsml.adapters.base import Adapter, Example, Target
from lsml.adapters.text.classifier import TextClassifier
from lsml.prediction import Gathering
from lsml.prediction.gathering import Trial
from lsml.values import Choice
from tests.conftest import tickets


class Held(Adapter):
    """Answers with the text itself; each call waits for `go_on`, and `begun` counts the calls that began."""

    name = "held"
    title = "for tests"
    consumes: ClassVar = frozenset({"Text"})
    produces: ClassVar = frozenset({Choice})

    def __init__(self):
        super().__init__(Adapter.Options(), Target())
        self.batches = []
        self.go_on = threading.Event()
        self.begun = threading.Semaphore(0)

    def predict(self, batch):
        self.batches.append(list(batch))
        self.begun.release()
        assert self.go_on.wait(20)
        if "broken" in batch:
            raise RuntimeError("the model broke")
        return [[Choice(text, 0.5)] for text in batch]


@pytest.fixture
def pool():
    with ThreadPoolExecutor(20) as threads:
        yield threads


def until(reached):
    """Wait until it is so."""
    for _ in range(20_000):
        if reached():
            return
        time.sleep(0.001)
    raise AssertionError("not reached")


def gathered(adapter, wait_s=20.0, gains=True):
    together = Gathering(wait_s)
    together.gate(adapter).gains = gains
    return together


def waiting(together, adapter, pool, *batches):
    """Let one request compute, and all others wait behind it in this order; the futures of all."""
    gate = together.gate(adapter)
    futures = [pool.submit(together.ask, adapter, batches[0], 0.0)]
    assert adapter.begun.acquire(timeout=20)
    for number, batch in enumerate(batches[1:], 1):
        futures.append(pool.submit(together.ask, adapter, batch, 0.0))
        until(partial(lambda number: len(gate._waiting) == number, number))
    return futures


def texts(future):
    return [value.label for (value,) in future.result(20)]


def test_those_that_wait_go_together_and_each_gets_its_own(pool):
    adapter = Held()
    futures = waiting(gathered(adapter), adapter, pool, ["a"], ["b", "c"], ["d"], ["e"])
    adapter.go_on.set()
    assert [texts(future) for future in futures] == [["a"], ["b", "c"], ["d"], ["e"]]
    assert adapter.batches == [["a"], ["b", "c", "d", "e"]]


def test_a_broken_one_fails_alone(pool):
    adapter = Held()
    futures = waiting(gathered(adapter), adapter, pool, ["a"], ["b"], ["broken"], ["c"])
    adapter.go_on.set()
    assert [texts(futures[index]) for index in (0, 1, 3)] == [["a"], ["b"], ["c"]]
    with pytest.raises(RuntimeError, match="the model broke"):
        futures[2].result(20)
    assert sorted(map(len, adapter.batches)) == [1, 1, 1, 1, 3]


def test_the_next_one_is_let_in_after_a_failure(pool):
    adapter = Held()
    together = gathered(adapter)
    adapter.go_on.set()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            together.ask(adapter, ["broken"], 0.0)
    assert texts(pool.submit(together.ask, adapter, ["a"], 0.0)) == ["a"]


def test_nobody_waits_longer_than_the_recipe_says(pool):
    adapter = Held()
    futures = waiting(gathered(adapter, wait_s=0.2), adapter, pool, ["a"], ["b"])
    assert adapter.begun.acquire(timeout=20), "the second computes beside the first"
    adapter.go_on.set()
    assert [texts(future) for future in futures] == [["a"], ["b"]]


def test_a_batch_is_bounded_and_other_floors_and_large_requests_stay_apart(pool):
    adapter = Held()
    together = gathered(adapter)
    eights = [[f"{number}-{place}" for place in range(8)] for number in range(10)]
    futures = waiting(together, adapter, pool, ["first"], *eights)
    other = pool.submit(together.ask, adapter, ["other"], 0.5)
    until(lambda: len(together.gate(adapter)._waiting) == 11)
    large = pool.submit(together.ask, adapter, list("abcdefghi"), 0.0)
    assert adapter.begun.acquire(timeout=20), "a large one does not wait"
    adapter.go_on.set()
    assert [texts(future) for future in futures[1:]] == eights
    assert (texts(other), texts(large)) == (["other"], list("abcdefghi"))
    assert sorted(map(len, adapter.batches)) == [1, 1, 9, 16, 64]


@pytest.mark.parametrize(("wait_s", "gains"), [(0.0, True), (20.0, False)])
def test_where_it_is_off_nobody_waits(pool, wait_s, gains):
    adapter = Held()
    together = gathered(adapter, wait_s, gains)
    futures = [pool.submit(together.ask, adapter, [text], 0.0) for text in "abc"]
    for _ in futures:
        assert adapter.begun.acquire(timeout=20)
    adapter.go_on.set()
    assert [texts(future) for future in futures] == [["a"], ["b"], ["c"]]


def test_the_answers_are_those_of_each_one_alone(pool):
    adapter = TextClassifier(TextClassifier.Options(), Target(("Billing", "Bug", "Question")))
    learnt = tickets(60)
    with threadpool_limits(1):
        adapter.fit([Example(text, (Choice(label),)) for text, label in learnt], 1)
    asked = [[f"{text} {number}" for text, _ in learnt[number : number + 1 + number % 3]] for number in range(19)]
    alone = [adapter.predict(batch) for batch in asked]
    go_on, sizes = threading.Event(), []

    def ask(adapter, batch, floor):
        sizes.append(len(batch))
        assert go_on.wait(20)
        return adapter.predict_above(batch, floor)

    together = Gathering(20.0, ask)
    together.gate(adapter).gains = True
    futures = [pool.submit(together.ask, adapter, batch, 0.0) for batch in asked]
    until(lambda: len(together.gate(adapter)._waiting) == len(asked) - 1)
    go_on.set()
    for future, expected in zip(futures, alone, strict=True):
        for values, same in zip(future.result(20), expected, strict=True):
            assert [value.label for value in values] == [value.label for value in same]
            # The last bits of a product of matrices depend on their size.
            assert [value.score for value in values] == pytest.approx([value.score for value in same], abs=1e-6)
    assert len(sizes) == 2


class Device(Held):
    """One call at a time, which costs the same whatever the batch."""

    def __init__(self):
        super().__init__()
        self.one_at_a_time = threading.Lock()
        self.never = threading.Event()

    def predict(self, batch):
        with self.one_at_a_time:
            self.never.wait(0.004)
        return [[Choice(text, 0.5)] for text in batch]


def test_a_model_that_gains_is_found_by_its_first_requests(pool):
    adapter, together = Device(), Gathering(20.0)
    gate = together.gate(adapter)
    assert gate.gains is None
    list(pool.map(lambda number: together.ask(adapter, [str(number)], 0.0), range(1000)))
    assert gate.gains is True


@pytest.mark.parametrize(("beside_s", "together_s", "gain"), [(1.0, 0.25, 4.0), (1.0, 1.0, 1.0), (0.5, 1.0, 0.5)])
def test_a_trial_compares_elements_a_second_while_requests_meet(beside_s, together_s, gain):
    trial, now, inside, phases = Trial(), 0.0, [], set()
    while trial.gain is None:
        while len(inside) < 3:
            inside.append(trial.enter(now))
        phase = inside.pop(0)
        phases.add(phase)
        now += together_s if phase % 2 else beside_s
        trial.leave(now, phase, 1)
        if len(inside) == 2 and now > 100.0 * len(phases):  # then nobody comes for a while
            for phase in (inside.pop(), inside.pop()):
                trial.leave(now, phase, 1)
            now += 1000.0
    assert len(phases) == 4
    assert trial.gain == pytest.approx(gain, rel=0.1)


def test_requests_that_never_meet_decide_nothing():
    trial = Trial()
    for number in range(100):
        trial.leave(number + 0.5, trial.enter(number), 1)
    assert (trial.gain, trial.phase) == (None, 0)
