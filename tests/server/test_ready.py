"""/ready says whether everything that lsml promises can be kept, and why not."""

import threading
import time
from pathlib import Path

import pytest

from lsml.store.workers import ALIVE_S
from tests.conftest import PROJECT_KEY, tickets
from tests.support.backend import until

NO_WORKER = "no worker is alive, so nothing is trained; start `lsml work` on the same data directory, or `lsml run`"


def ready(server):
    answer = server.client.get("/ready")
    return answer.status_code, answer.json


def test_a_server_alone_is_not_ready_and_says_why(backend):
    assert ready(backend()) == (503, {"ready": False, "why_not": [NO_WORKER]})


def test_it_is_ready_while_a_worker_beats(backend, monkeypatch):
    server = backend()
    server.store.workers.beat()
    assert ready(server) == (200, {"ready": True, "why_not": []})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + ALIVE_S + 1)
    assert ready(server) == (503, {"ready": False, "why_not": [NO_WORKER]})


def test_a_beat_from_before_the_clock_was_set_back_counts_for_nothing(backend, monkeypatch):
    server = backend()
    server.store.workers.beat()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    assert ready(server)[0] == 503


def test_the_sweeper_of_a_worker_beats(backend):
    from lsml.worker.consumer import Crew, Worker
    from lsml.worker.sweeper import Sweeper

    server = backend()
    worker = Worker(server.recipe, server.store, server.queue, [], Crew())
    stopping = threading.Event()
    Sweeper(worker, server.store, stopping).start()
    until("a beat", server.store.workers.alive)
    stopping.set()


def test_a_promoted_version_is_loaded_before_it_is_ready(backend):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    server.store.workers.beat()
    assert ready(server) == (
        503,
        {"ready": False, "why_not": [f"project {PROJECT_KEY}: v1 is not loaded yet; try again in a moment"]},
    )
    until("loaded", lambda: ready(server)[0] == 200)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"broken"), Path.unlink], ids=["changed", "missing"])
def test_a_broken_version_is_not_ready(backend, damage):
    server = backend()
    server.annotate(tickets(40))
    server.train()
    server.store.workers.beat()
    for path in server.store.artifacts.root.rglob("*.skops"):
        damage(path)
    sentence = f"project {PROJECT_KEY}: v1 cannot be served; see the log, or serve another version with `lsml promote`"
    until("noticed", lambda: ready(server) == (503, {"ready": False, "why_not": [sentence]}))


def test_a_store_that_takes_no_writes_is_not_ready(backend):
    server = backend()
    server.store.workers.beat()
    server.store._database.execute_sql("PRAGMA query_only = 1")
    status, said = ready(server)
    assert status == 503
    assert said["why_not"] == [
        f"{server.store.directory / 'lsml.db'}: attempt to write a readonly database; make the data directory writable "
        "for this user, or name another with --data-dir"
    ]


def test_a_full_disk_is_not_ready(backend):
    server = backend("server: {limits: {free_disk: 900000GB}}\n")
    server.store.workers.beat()
    status, said = ready(server)
    assert status == 503
    assert [why.partition(" MB are free on its disk; expected at least ")[2] for why in said["why_not"]] == [
        "900,000,000 MB (server.limits.free_disk of the recipe); make room"
    ]


def test_each_queue_of_the_recipe_needs_a_worker(backend):
    server = backend("storage: {queues: {training: gpu}}\n")
    no_gpu = "no worker of the queue gpu is alive; start `lsml work --queue gpu` where its runs can be done"
    assert ready(server)[1]["why_not"] == [no_gpu, NO_WORKER]
    server.store.workers.beat(None)
    assert ready(server)[1]["why_not"] == [no_gpu]
    server.store.workers.beat("gpu")
    assert ready(server)[0] == 200
