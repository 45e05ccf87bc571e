"""The worker with real processes and real kill -9: a run is done again, and its version is promoted once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import psutil
import pytest

from lsml.errors import Unreachable
from lsml.store.queue import QUEUE_FILE, open_queue
from lsml.worker import consumer, sweeper
from lsml.worker.sweeper import Sweeper
from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, Backend, event, tickets, write_recipe

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes with POSIX signals")


class Worker:
    """`lsml work` as a process, beside a Backend on the same data directory."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.process = self._start()

    def _start(self):
        command = [sys.executable, "-m", "lsml", "work", str(self._backend.recipe_path)]
        return subprocess.Popen([*command, "--data-dir", str(self._backend.store.directory)], stdin=subprocess.DEVNULL)

    def start_again(self) -> None:
        self.process = self._start()

    def training(self, deadline_s: float = 30) -> psutil.Process:
        """The process that trains, as soon as it is there."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                try:
                    if "--run" in child.cmdline():
                        return child
                except psutil.Error:
                    continue
            time.sleep(0.005)
        raise AssertionError("no process of a run came up")

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=60)


@pytest.fixture
def world(tmp_path):
    """(server in this process, worker as a process) with annotations that suffice."""
    backend = Backend(
        write_recipe(tmp_path, "training: {every: 1000, quiet: 0s, promote: always}\n"), tmp_path / "data"
    )
    for id, (text, label) in enumerate(tickets(60), 1):
        backend.post("/webhook", event(id, text, label))
    worker = Worker(backend)
    yield backend, worker
    if worker.process.poll() is None:
        worker.stop()
    backend.store.close()


def start_training(backend: Backend) -> str:
    return backend.post("/webhook", {"action": "START_TRAINING", "project": PROJECT}).json["job"]


def ended(backend: Backend, job: str, deadline_s: float = 60) -> dict:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        status = backend.post("/job_status", {"job": job}).json
        if status["job_status"] in ("finished", "failed", "canceled"):
            return status
        time.sleep(0.05)
    raise AssertionError(f"run did not end: {status}")


def promoted_once(backend: Backend) -> None:
    assert [row.number for row in backend.store.versions.of_project(PROJECT_KEY)] == [1]
    assert backend.store.versions.promoted(PROJECT_KEY) == 1
    (prediction,) = backend.predict("refund my invoice", project=PROJECT_KEY, label_config=TOPICS)
    assert prediction["result"][0]["value"] == {"choices": ["Billing"]}


@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.6])
def test_a_run_whose_training_process_is_killed_is_done_again_and_promoted_once(world, after_s):
    backend, worker = world
    job = start_training(backend)
    child = worker.training()
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    status = ended(backend, job)
    assert (status["job_status"], status["attempt"]) == ("finished", 2)
    promoted_once(backend)
    root = backend.store.artifacts.root
    assert [path for path in root.iterdir() if path.name.startswith(".making")] == []
    assert len(list(next(root.iterdir()).iterdir())) == 1


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_is_done_again_and_promoted_once(world):
    backend, worker = world
    job = start_training(backend)
    child = worker.training()
    worker.process.kill()
    worker.process.wait()
    child.wait(timeout=5)  # the process of the run ends with its worker
    worker.start_again()
    status = ended(backend, job)
    assert (status["job_status"], status["attempt"]) == ("finished", 2)
    promoted_once(backend)


def test_a_worker_that_is_told_to_stop_hands_its_run_back(world):
    backend, worker = world
    job = start_training(backend)
    child = worker.training()
    assert worker.stop() == 0
    assert not child.is_running()
    assert backend.store.runs.get(job).state == "waiting"
    worker.start_again()
    status = ended(backend, job)
    assert (status["job_status"], status["attempt"]) == ("finished", 2)
    promoted_once(backend)


def test_a_signal_that_wakes_nobody_stops_a_worker_too():
    # As for one that comes just as the main thread begins to wait, the system gives it to another thread.
    program = """
import signal, threading, time
from lsml.worker.consumer import Crew

class Worker:
    def run(self):
        time.sleep(0.3)
        signal.raise_signal(signal.SIGTERM)
        crew.stopping.wait()

crew = Crew()
crew.workers.append(Worker())
crew.run_forever()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_a_running_training_is_cancelled(world):
    backend, worker = world
    job = start_training(backend)
    child = worker.training()
    child.suspend()
    assert backend.client.post(f"/api/runs/{job}/cancel").status_code == 200
    assert ended(backend, job)["job_status"] == "canceled"
    assert not child.is_running()
    assert backend.store.versions.of_project(PROJECT_KEY) == []


def test_a_training_that_loses_three_processes_fails_and_says_why(world):
    backend, worker = world
    job = start_training(backend)
    killed = set()
    while len(killed) < 3:
        child = worker.training()
        if child.pid not in killed:
            killed.add(child.pid)
            child.send_signal(signal.SIGKILL)
    status = ended(backend, job)
    assert status["error"] == (
        "the process of the run was killed by SIGKILL; it may have run out of memory, 3 times; see the log of `lsml "
        "work`"
    )


def test_a_training_that_takes_longer_than_its_timeout_is_stopped(tmp_path):
    backend = Backend(write_recipe(tmp_path, "training: {every: 1000, timeout: 1s}\n"), tmp_path / "data")
    for id, (text, label) in enumerate(tickets(30), 1):
        backend.post("/webhook", event(id, text, label))
    worker = Worker(backend)
    job = start_training(backend)
    worker.training().suspend()
    assert ended(backend, job)["error"] == "took longer than 1 s (timeout)"
    worker.stop()
    backend.store.close()


def test_a_wake_up_that_was_lost_is_sent_again(world):
    backend, _ = world
    run = backend.store.runs.request(PROJECT_KEY, "annotations")  # nobody sends a wake-up
    assert ended(backend, run.id)["job_status"] == "finished"


def test_annotations_make_a_version_by_themselves_and_a_burst_is_one_run(tmp_path):
    backend = Backend(write_recipe(tmp_path, "training: {every: 10, quiet: 1s}\n"), tmp_path / "data")
    worker = Worker(backend)
    for id, (text, label) in enumerate(tickets(60), 1):
        backend.post("/webhook", event(id, text, label))
    (run,) = backend.store.runs.of_project(PROJECT_KEY)
    assert ended(backend, run.id)["job_status"] == "finished"
    assert len(backend.store.runs.of_project(PROJECT_KEY)) == 1
    promoted_once(backend)
    worker.stop()
    backend.store.close()


@pytest.mark.parametrize("kind", ["training", "publishing"])
def test_a_store_of_artifacts_that_is_away_keeps_no_killed_run_waiting(tmp_path, monkeypatch, caplog, kind):
    backend = Backend(write_recipe(tmp_path), tmp_path / "data")
    backend.annotate(tickets(2))
    run = backend.store.runs.request(PROJECT_KEY, "asked for", kind=kind)

    def away(owner, named):
        raise OSError(5, "no route to the service", "s3://bucket")

    monkeypatch.setattr(backend.store.artifacts, "sweep_owner", away)
    killed = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    consumer.Worker(backend.recipe, backend.store, backend.queue, killed, consumer.Crew()).work(run.id)
    assert backend.store.runs.get(run.id).state == "waiting"  # without waiting for its lease to end
    # Only a training leaves anything there.
    assert ("no route to the service" in caplog.text) == (kind == "training")
    backend.store.close()


def test_a_worker_does_the_runs_of_its_queue(tmp_path):
    backend = Backend(write_recipe(tmp_path, "storage: {queues: {training: gpu}}\n"), tmp_path / "data")
    backend.annotate(tickets(1))
    job = start_training(backend)
    command = [sys.executable, "-m", "lsml", "work", str(backend.recipe_path), "--data-dir", str(tmp_path / "data")]

    def worker(queue: str | None, *, every: bool = False) -> consumer.Worker:
        return consumer.Worker(
            backend.recipe, backend.store, backend.queue, command, consumer.Crew(), queue, every=every
        )

    worker(None).work(job)
    assert backend.store.runs.get(job).state == "waiting"
    worker("gpu").work(job)
    assert backend.store.runs.get(job).message.startswith("not enough data")
    assert worker(None)._kinds == ("publishing", "review")
    assert worker(None, every=True)._kinds == ("training", "publishing", "review"), "that of `lsml run`"
    backend.store.close()


def test_a_woken_worker_does_the_run_whose_turn_it_is(tmp_path):
    backend = Backend(write_recipe(tmp_path), tmp_path / "data")
    first, woken = (backend.store.runs.request(project, "start training") for project in ("a", "b"))
    gone = [sys.executable, "-c", ""]
    consumer.Worker(backend.recipe, backend.store, backend.queue, gone, consumer.Crew()).work(woken.id)
    assert (backend.store.runs.get(first.id).attempt, backend.store.runs.get(woken.id).attempt) == (1, 0)
    backend.store.close()


def test_a_database_that_was_away_costs_a_run_no_attempt(tmp_path, caplog):
    backend = Backend(write_recipe(tmp_path), tmp_path / "data")
    run = backend.store.runs.request("a", "start training")
    unreachable = [sys.executable, "-c", "raise SystemExit(76)"]
    for _ in range(4):
        consumer.Worker(backend.recipe, backend.store, backend.queue, unreachable, consumer.Crew()).work(run.id)
    found = backend.store.runs.get(run.id)
    assert (found.state, found.attempt) == ("waiting", 4)
    assert found.message == "the database did not answer the process of the run"
    backend.store.close()


def test_a_database_that_is_away_is_a_sentence_in_the_workers_log(tmp_path, monkeypatch, caplog):
    backend = Backend(write_recipe(tmp_path), tmp_path / "data")
    run = backend.store.runs.request("a", "start training")

    def away(*_arguments):
        raise Unreachable("it does not answer")

    monkeypatch.setattr(backend.store.claims, "claim", away)
    worker = consumer.Worker(backend.recipe, backend.store, backend.queue, [], consumer.Crew())
    worker.work(run.id)
    assert caplog.messages == [f"run {run.id}: it does not answer"]
    backend.store.close()


def test_a_bucket_that_refuses_is_a_sentence_and_is_swept_later(tmp_path, monkeypatch, caplog):
    backend = Backend(write_recipe(tmp_path), tmp_path / "data")
    swept = threading.Event()

    def refuses_once(_names):
        monkeypatch.setattr(backend.store.artifacts, "sweep", lambda _names: swept.set())
        raise OSError(5, "SlowDown", "s3://models")

    monkeypatch.setattr(backend.store.artifacts, "sweep", refuses_once)
    crew = consumer.Crew()
    Sweeper(
        consumer.Worker(backend.recipe, backend.store, backend.queue, [], crew), backend.store, crew.stopping
    ).start()
    assert swept.wait(60)
    crew.stopping.set()
    assert "sweep_folders failed: [Errno 5] SlowDown: 's3://models'; trying again" in caplog.messages
    assert "Traceback" not in caplog.text


@pytest.fixture
def two_sweepers(tmp_path):
    """A store with two projects that were read before, whose Label Studio is known, and the sweepers of two workers."""
    known = "label_studio: {url: 'http://127.0.0.1:9', api_key: '0123456789abcdef0123456789abcdef01234567'}\n"
    backend = Backend(write_recipe(tmp_path, known), tmp_path / "data")
    for number in (1, 2):
        backend.store.projects.touch(f"{number}.1", studio_id=number)
        backend.store.projects.synced(f"{number}.1", None, "2026-11-23T09:00:00Z", None)
    crew = consumer.Crew()
    worker = consumer.Worker(backend.recipe, backend.store, backend.queue, [], crew)
    yield backend.store, *(Sweeper(worker, backend.store, crew.stopping) for _ in range(2))
    backend.store.close()


def test_of_workers_that_start_together_one_reads_a_project_whose_label_studio_is_known(two_sweepers, monkeypatch):
    store, one, other = two_sweepers
    store.projects.touch("unknown")
    read = []

    def reads(_store, _recipe, project):
        read.append((project.key, project.synced_to))
        other._read_wanted()  # meanwhile

    monkeypatch.setattr(sweeper, "read_annotations", reads)
    one._want_all()
    one._read_wanted()
    assert read == [("1.1", None), ("2.1", None)], "each once, from the start"


def test_a_project_is_read_from_the_start_where_a_worker_asks_for_it_while_another_is_read(two_sweepers, monkeypatch):
    store, one, other = two_sweepers
    for number in (1, 2):
        store.projects.want_sync(f"{number}.1")
    read = []

    def reads(_store, _recipe, project):
        read.append((project.key, project.synced_to))
        if len(read) == 1:
            other._want_all()

    monkeypatch.setattr(sweeper, "read_annotations", reads)
    one._read_wanted()
    assert read == [("1.1", "2026-11-23T09:00:00Z"), ("2.1", None)]


def test_a_queue_that_the_recipe_does_not_name_is_refused(tmp_path):
    recipe = write_recipe(tmp_path, "storage: {queues: {training: gpu}}\n")
    command = [sys.executable, "-m", "lsml", "work", str(recipe), "--data-dir", str(tmp_path / "data")]
    done = subprocess.run([*command, "--queue", "cpu"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == f"--queue cpu: storage.queues of {recipe} does not name it; expected gpu\n"


def test_the_queue_carries_a_run_id_as_json_and_nothing_else(tmp_path):
    queue = open_queue(tmp_path)
    queue.wake("0123abcd")
    with sqlite3.connect(tmp_path / QUEUE_FILE) as database:
        ((message,),) = database.execute("SELECT data FROM task").fetchall()
    decoded = json.loads(message)
    assert (decoded["name"], decoded["args"], decoded["kwargs"]) == ("lsml.store.queue.wake", ["0123abcd"], {})
    assert (tmp_path / QUEUE_FILE).stat().st_mode & 0o077 == 0
