"""The loop and whose it is: a request that turns out slow holds up neither the others nor the end."""

from __future__ import annotations

import io
import threading
from types import SimpleNamespace

import pytest
from waitress.trigger import trigger

from lsml.server.channels import Dispatcher
from lsml.server.loop import Loop
from tests.support.backend import until


class Prediction:
    """A connection with one small request, which takes as long as it is told."""

    total_outbufs_len = 0

    def __init__(self, work):
        self.requests = [SimpleNamespace(path="/predict", content_length=10, get_body_stream=io.BytesIO)]
        self.arrivals = None
        self.service = work


@pytest.fixture
def watched():
    """A dispatcher whose loop runs; `stop()` ends the watch and takes the loop."""
    channels = {}
    waker = trigger(channels)
    dispatcher, end = Dispatcher(), threading.Event()
    dispatcher.set_thread_count(1)
    loop = Loop(channels, dispatcher)
    main = threading.Thread(target=loop.watch, args=(lambda: not end.is_set(),))
    main.start()

    def ask(work):
        dispatcher.add_task(Prediction(work))
        waker.pull_trigger()

    def stop():
        end.set()
        main.join()
        waker.pull_trigger()
        loop.take()

    yield SimpleNamespace(ask=ask, stop=stop, dispatcher=dispatcher, loop=loop)
    stop()
    dispatcher.shutdown(timeout=10)
    waker.close()


def test_another_thread_takes_the_loop_from_a_slow_request(watched):
    begun, go_on, done = threading.Event(), threading.Event(), []
    watched.ask(lambda: (begun.set(), go_on.wait()))
    assert begun.wait(10)
    watched.ask(lambda: done.append(threading.current_thread().name))
    until("the next one is answered", lambda: done, 10)
    assert done == ["loop"]
    go_on.set()


def test_a_thread_that_was_the_loop_takes_it_again_with_its_connection_to_the_database(watched):
    threads = []
    for _ in range(10):
        begun, go_on, ended, quick = (threading.Event() for _ in range(4))

        def slow(begun=begun, go_on=go_on, ended=ended):
            threads.append(threading.current_thread())
            begun.set()
            go_on.wait()
            ended.set()

        watched.ask(slow)
        assert begun.wait(60)
        until("another is the loop", lambda: watched.loop._owner != threads[-1].ident, 60)
        go_on.set()
        assert ended.wait(60)
        watched.ask(quick.set)  # so that the loop answers the next one itself
        assert quick.wait(60)
    assert len(set(threads)) <= 6, "not one for each"


def test_the_loop_is_taken_while_it_answers_a_slow_request(watched):
    begun, go_on = threading.Event(), threading.Event()
    watched.ask(lambda: (begun.set(), go_on.wait()))
    assert begun.wait(10)
    watched.stop()
    assert watched.dispatcher.began is None
    go_on.set()


def test_many_slow_and_quick_ones_are_answered_once_each(watched):
    done, lock = [], threading.Lock()

    def work(number):
        if number % 10 == 0:
            threading.Event().wait(0.004)
        with lock:
            done.append(number)

    for number in range(300):
        watched.ask(lambda number=number: work(number))
    until("all are answered", lambda: len(done) == 300, 30)
    assert sorted(done) == list(range(300))


def test_a_fault_of_the_loop_ends_the_watch(monkeypatch):
    loop = Loop({}, Dispatcher())

    def fail(_timeout_s):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(loop, "look", fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        loop.watch(lambda: True)
