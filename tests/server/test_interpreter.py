"""What threads owe each other in one interpreter."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import types

from lsml.server.interpreter import FairSemaphore, freeze_imported
from tests.support.backend import until


def test_so_many_get_in_at_a_time_and_by_the_order_in_which_they_came():
    turns, entered, leave = FairSemaphore(2), [], [threading.Event() for _ in range(12)]

    def work(number):
        with turns:
            entered.append(number)
            assert leave[number].wait(30)

    threads = []
    for number in range(12):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        until(
            "it is in, or waits its turn",
            lambda number=number: number in entered or len(turns._waiting) == number - 1,
            10,
        )
    for number in range(12):
        until("two are in", lambda number=number: len(entered) == min(12, number + 2), 10)
        assert entered == list(range(min(12, number + 2)))
        leave[number].set()
    for thread in threads:
        thread.join(10)
    with turns, turns:
        pass  # all have left


def test_an_error_inside_of_a_turn_ends_it():
    turns = FairSemaphore(1)
    for _ in range(3):
        try:
            with turns:
                raise ValueError
        except ValueError:
            pass
    with turns:
        pass


def test_what_was_imported_is_looked_through_once_and_garbage_goes_on_being_collected(monkeypatch):
    try:
        freeze_imported()
        monkeypatch.setitem(sys.modules, "a_library", types.ModuleType("a_library"))
        kept = [[number] for number in range(1000)]
        before = gc.get_freeze_count()
        freeze_imported()
        frozen = gc.get_freeze_count()
        assert frozen >= before + len(kept)
        freeze_imported()  # nothing came since
        assert gc.get_freeze_count() <= frozen
        gone = threading.Event()
        cycle = type("Cycle", (), {"__del__": lambda self: gone.set()})()
        cycle.itself = cycle
        del cycle
        gc.collect()
        assert gone.is_set()
    finally:
        gc.unfreeze()


def test_a_server_starts_without_the_libraries_of_its_models():
    code = "import lsml.server.app, lsml.server.serve, sys; print(sorted({'numpy', 'sklearn', 'PIL', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")
