"""Which thread answers which request: quick ones follow each other, slow ones hold up nobody, none is lost."""

from __future__ import annotations

import io
import random
import threading
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from lsml.server.channels import QUICK_S, Dispatcher
from tests.support.backend import until


class Request:
    """A connection with one request, which takes as long as it is told."""

    total_outbufs_len = 0

    def __init__(self, done, work=lambda: None, path="/webhook", size=100):
        self.requests = [SimpleNamespace(path=path, content_length=size, get_body_stream=io.BytesIO)]
        self.arrivals = None
        self.refuses = False
        self._done = done
        self._work = work

    def service(self):
        self._work()
        self._done.append(self)

    def cancel(self):
        self._done.append("cancelled")


@pytest.fixture
def dispatcher():
    made = Dispatcher()
    made.set_thread_count(6)
    yield made
    made.shutdown(timeout=10)


def test_requests_that_wait_hold_up_nobody(dispatcher):
    done, go_on = [], threading.Event()
    waiting = [Request(done, go_on.wait) for _ in range(5)]
    quick = [Request(done) for _ in range(50)]
    for request in [*waiting, *quick]:
        dispatcher.add_task(request)
    until("every quick one is answered", lambda: len(done) == 50, 10)
    assert done == quick, "in their order, and before those that came first"
    go_on.set()
    until("all are answered", lambda: len(done) == 55, 10)


def test_requests_one_after_another_are_answered_by_the_thread_that_was_last_busy(dispatcher):
    done, by = [], []
    until("all are idle", lambda: not dispatcher.active_count, 10)
    for number in range(1, 9):
        dispatcher.add_task(Request(done, lambda: by.append(threading.get_ident())))
        until("it is answered", lambda number=number: len(done) == number and not dispatcher.active_count, 10)
    assert len(set(by)) == 1


def test_thousands_from_several_sides_are_answered_once_each(dispatcher):
    done, draw = [], random.Random(5)
    pauses = [draw.choice([0, 0, 0, 0, 0.0005, 0.004]) for _ in range(3000)]
    requests = [Request(done, lambda pause=pause: pause and time.sleep(pause)) for pause in pauses]
    sides = [
        threading.Thread(target=lambda side=side: [dispatcher.add_task(one) for one in requests[side::4]])
        for side in range(4)
    ]
    for side in sides:
        side.start()
    for side in sides:
        side.join()
    until("all are answered", lambda: len(done) == 3000, 30)
    assert Counter(map(id, done)) == Counter(map(id, requests))


def test_only_the_loop_answers_health(dispatcher):
    done = []
    health = [Request(done, path=path) for path in ("/health", "/health/", "/a-secret/health")]
    for request in health:
        dispatcher.add_task(request)
    dispatcher.add_task(other := Request(done))
    until("the other one is answered", lambda: done == [other], 10)
    dispatcher.respond()
    assert done == [other, *health]


def test_the_loop_answers_small_predictions_while_they_are_quick(dispatcher):
    done = []
    small, large = Request(done, path="/predict"), Request(done, path="/predict", size=100_000)
    dispatcher.add_task(small)
    dispatcher.add_task(large)
    until("a thread has answered the large one", lambda: done == [large], 10)
    dispatcher.respond()
    assert done == [large, small]
    dispatcher.add_task(Request(done, lambda: time.sleep(2 * QUICK_S), "/predict"))
    dispatcher.respond()
    dispatcher.add_task(Request(done, path="/a-secret/predict"))
    until("a thread has answered the next one", lambda: len(done) == 4, 10)


def test_predictions_that_are_quick_again_are_the_loop_s_again(dispatcher):
    done = []
    dispatcher.add_task(Request(done, lambda: time.sleep(2 * QUICK_S), "/predict"))
    dispatcher.respond()
    dispatcher.add_task(Request(done, path="/predict"))
    until("a thread has answered it", lambda: len(done) == 2, 10)

    def waits():
        dispatcher.add_task(Request(done, path="/predict"))
        return dispatcher.waiting

    until("the loop is asked", waits, 10)


def test_a_loop_that_was_taken_over_leaves_the_rest_to_its_successor(dispatcher):
    done, mine = [], [True]
    slow = Request(done, lambda: mine.clear(), "/predict")
    for request in (slow, last := Request(done, path="/predict")):
        dispatcher.add_task(request)
    dispatcher.respond(lambda: bool(mine))
    assert done == [slow]
    dispatcher.respond()
    assert done == [slow, last]


def test_a_request_that_fails_outside_of_the_application_takes_no_thread_along(dispatcher):
    done = []

    def fail():
        raise RuntimeError("on purpose")

    for _ in range(12):
        dispatcher.add_task(Request(done, fail))
    dispatcher.add_task(last := Request(done))
    until("the next one is answered", lambda: done == [last], 10)


def test_predictions_are_refused_while_too_many_wait_and_webhooks_wait_on():
    made, done, go_on = Dispatcher(most_waiting=3), [], threading.Event()
    made.set_thread_count(1)
    slow = [Request(done, go_on.wait) for _ in range(4)]
    for request in slow:
        made.add_task(request)
    until("the thread is busy", lambda: len(made.queue) == 3, 10)
    large, webhook, health = Request(done, path="/x/predict/", size=10**6), Request(done), Request(done, path="/health")
    for request in (large, webhook, health):
        made.add_task(request)
    assert [one.refuses for one in (large, webhook, health)] == [True, False, False]
    made.add_task(second := Request(done, path="/predict", size=10**6))
    made.respond()  # the loop does
    assert done == [large, health, second]
    assert large.arrivals is None and second.arrivals is None, "their bodies are not read"
    go_on.set()
    until("all are answered", lambda: len(done) == 8, 10)
    late = Request(done, path="/predict", size=10**6)
    made.add_task(late)
    assert not late.refuses
    large._work = go_on.clear  # the next request of that connection waits for its turn
    made.add_task(large)
    assert not large.refuses
    made.shutdown(timeout=10)


def test_told_to_stop_it_waits_for_those_at_hand_and_drops_the_others():
    made, done, go_on = Dispatcher(), [], threading.Event()
    made.set_thread_count(2)
    for _ in range(5):
        made.add_task(Request(done, go_on.wait))
    until("both threads are busy", lambda: len(made.queue) == 3, 10)
    threading.Timer(0.2, go_on.set).start()
    made.shutdown(timeout=10)
    assert done.count("cancelled") == 3
    assert len(done) == 5
    assert not made.threads
