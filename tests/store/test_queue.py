"""The contract of the queue, for every Huey: a wake-up reaches one worker, and whatever is lost is no error."""

import pytest

from lsml.errors import LsmlError, StoreError
from lsml.store.queue import Queue, open_queue
from tests.support.engines import redis_server


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.slow)])
def opened(request, tmp_path):
    """Opens the same queue, as each process does for itself."""
    url = request.getfixturevalue("redis") if request.param == "redis" else None
    return lambda: open_queue(tmp_path, url, tmp_path.name)


def work_off(queue: Queue) -> None:
    """Do everything that waits, as a consumer does, in this thread."""
    while (message := queue.huey.dequeue()) is not None:
        queue.huey.execute(message)


def test_a_wake_up_reaches_another_process_once(opened):
    server, worker, other = opened(), opened(), opened()
    woken: list[str] = []
    for queue in (worker, other):
        queue.on_wake(woken.append)
    for run in ("a", "b"):
        server.wake(run)
    work_off(worker)
    work_off(other)
    assert sorted(woken) == ["a", "b"]


def test_a_run_that_is_woken_twice_is_answered_twice(opened):
    queue = opened()
    woken: list[str] = []
    queue.on_wake(woken.append)
    queue.wake("a")
    queue.wake("a")
    work_off(queue)
    assert woken == ["a", "a"]


def test_a_wake_up_waits_for_a_worker_that_starts_later(opened):
    opened().wake("a")
    woken: list[str] = []
    worker = opened()
    worker.on_wake(woken.append)
    work_off(worker)
    assert woken == ["a"]


def test_nothing_is_left_behind_by_a_wake_up_that_was_answered(opened):
    queue = opened()
    queue.on_wake(lambda run: None)
    queue.wake("a")
    work_off(queue)
    storage = queue.huey.storage
    assert (storage.queue_size(), storage.schedule_size(), storage.result_store_size()) == (0, 0, 0)


def test_a_wake_up_that_cannot_be_sent_is_no_error(opened, monkeypatch, caplog):
    queue = opened()

    def away(*_args, **_kwargs):
        raise OSError("the queue is away")

    monkeypatch.setattr(queue.huey.storage, "enqueue", away)
    queue.wake("a")
    assert "could not wake a worker for run a: the queue is away; the sweeper will" in caplog.text


def test_only_a_worker_answers(opened):
    queue = opened()
    with pytest.raises(LsmlError, match="run a was woken in a process that is not a worker"):
        queue.huey._registry.string_to_task("lsml.store.queue.wake")("a").execute()


def test_a_message_that_is_no_wake_up_runs_nothing(opened):
    queue = opened()
    queue.huey.storage.enqueue(b'{"id": "1", "name": "os.system", "eta": null, "retries": 0, "retry_delay": 0,'
                               b' "args": ["true"], "kwargs": {}, "on_complete": null, "on_error": null}')  # fmt: skip
    with pytest.raises(Exception, match="not found in TaskRegistry"):
        queue.huey.dequeue()


@pytest.mark.slow
def test_recipes_share_a_redis_and_wake_only_their_own_workers(redis, tmp_path):
    names = ("a-b", "ab", "a.b")
    for name in names:
        open_queue(tmp_path, redis, name).wake(name)
    for name in names:
        woken: list[str] = []
        worker = open_queue(tmp_path, redis, name)
        worker.on_wake(woken.append)
        work_off(worker)
        assert woken == [name]


def test_a_redis_that_does_not_answer_is_a_sentence_without_the_password(tmp_path):
    pytest.importorskip("redis", reason="redis is not installed")
    with pytest.raises(StoreError) as error:
        open_queue(tmp_path, "redis://:very-secret@127.0.0.1:1/0")
    assert str(error.value).startswith("redis://127.0.0.1:1/0: Redis does not answer: ")
    assert str(error.value).endswith("; check that it runs, and storage.queue of the recipe")
    assert "very-secret" not in str(error.value)


@pytest.mark.slow
def test_a_message_that_is_here_is_executed_though_redis_is_away_by_now(tmp_path):
    woken = []
    with redis_server() as server:
        queue = open_queue(tmp_path, server.url, "triage")
        queue.on_wake(woken.append)
        queue.wake("a")
        message = queue.huey.dequeue()
        server.stop()
        queue.huey.execute(message)
        server.start()
    assert woken == ["a"]
