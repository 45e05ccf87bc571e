"""Servers and workers with nothing in common but PostgreSQL, Redis and S3: none loses an annotation, and all serve the same."""

import json
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lsml.errors import VersionError
from lsml.recipe import load_recipe
from lsml.server.events import project_key
from lsml.store import Store
from lsml.versions import card_of, check_files
from tests.conftest import PROJECT, event, tickets, write_recipe
from tests.support.backend import until
from tests.support.engines import PostgresServer, RedisServer, postgres_server, redis_server, s3_bucket
from tests.support.machines import Machine
from tests.support.processes import fault_environment

pytestmark = pytest.mark.slow
PROJECTS, WEBHOOKS = 5, 200
LEARNING = "training: {every: 10, quiet: 0s, promote: always, keep: 3}\n"


class World:
    """Two servers and two workers, and the store that they share."""

    def __init__(
        self, folder, storage: dict[str, str], postgres: PostgresServer, redis: RedisServer, environment: dict[str, str]
    ) -> None:
        self.postgres = postgres
        self.redis = redis
        path = write_recipe(folder, f"{LEARNING}storage: {json.dumps(storage)}\n")
        self.recipe = load_recipe(path)
        self.store = Store(folder / "looker", self.recipe.storage, self.recipe.name)
        self.servers = [Machine(path, folder / f"server-{number}", "serve", environment) for number in (1, 2)]
        self.workers = [Machine(path, folder / f"worker-{number}", "work", environment) for number in (1, 2)]
        until("both servers answer", lambda: all(server.is_up() for server in self.servers), 60)

    def stop(self) -> None:
        for machine in (*self.servers, *self.workers):
            machine.process.terminate()
        for machine in (*self.servers, *self.workers):
            machine.process.wait(20)

    def settle(self) -> None:
        """Wait until no run is open, and no worker asks for another: one that starts looks at every project."""

        def is_settled() -> bool:
            states = self.store.runs.counts()
            return not states.get("waiting") and not states.get("running")

        for _ in range(2):
            until(f"every run ended: {self.tails()}", is_settled, 120)
            time.sleep(3)
        until(f"every run ended: {self.tails()}", is_settled, 120)

    def tails(self) -> str:
        return "\n".join(
            f"{one.log.parent.name}: {one.log.read_text()[-2000:]}" for one in (*self.servers, *self.workers)
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machines")
    with (
        postgres_server() as postgres,
        redis_server() as redis,
        s3_bucket() as bucket,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in bucket.environment.items():
            patch.setenv(name, value)
        storage = {"database": postgres.url, "queue": redis.url, "artifacts": bucket.url}
        world = World(folder, storage, postgres, redis, {**os.environ, **fault_environment(folder / "faults", 4.0)})
        try:
            yield world
        finally:
            world.stop()


def project(number: int) -> dict:
    return {**PROJECT, "id": number, "title": f"project {number}"}


KEYS = [project_key(project(number))[0] for number in range(1, PROJECTS + 1)]


def test_annotations_for_any_server_are_learnt_by_any_worker_though_one_is_killed(world):
    texts, expected = tickets(WEBHOOKS), {key: {} for key in KEYS}
    sent = []
    for number, (text, label) in enumerate(texts):
        which = number % PROJECTS
        sent.append((world.servers[number % 2], {**event(number + 1, text, label), "project": project(which + 1)}))
        expected[KEYS[which]][str(number + 1)] = label
    random.Random(7).shuffle(sent)
    with ThreadPoolExecutor(4) as crowd:
        answers = crowd.map(lambda one: one[0].post("/webhook", one[1]).status_code, sent)
        killed = until("a worker trains", lambda: next((one for one in world.workers if one.trains()), None), 60)
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait(10)
        assert set(answers) <= {200, 201}
    killed.start()
    until("the killed worker is back", lambda: killed.log.read_text().count("ready to train") == 2, 60)
    world.settle()

    for key in KEYS:
        stored = {
            a.id: a.result[0]["value"]["choices"][0] for t in world.store.annotations.tasks(key) for a in t.annotations
        }
        assert stored == expected[key], "no annotation is lost"
        runs = world.store.runs.of_project(key, 100)
        assert {run.state for run in runs} <= {"done", "cancelled"}, world.tails()
        made = sorted(run.version for run in runs if run.state == "done")
        assert made == list(range(1, len(made) + 1)), "each run that is done made one version, and none two"
        assert world.store.versions.promoted(key) == made[-1]
        for row in world.store.versions.of_project(key):
            try:
                check_files(world.store.artifacts.open(row.folder), card_of(row))
            except VersionError:  # another training deletes old versions, once it is sure that none needs them
                assert row.number not in world.store.versions.numbers(key)
    attempts = [run.attempt for key in KEYS for run in world.store.runs.of_project(key, 100)]
    assert max(attempts) == 2, "the run of the killed worker was done by another"
    for key in KEYS:
        wanted = f"triage-v{world.store.versions.promoted(key)}-"
        until(
            f"all serve {wanted}", lambda k=key, w=wanted: all(one.serves(k).startswith(w) for one in world.servers), 30
        )
        assert len({one.serves(key) for one in world.servers}) == 1
    assert not [path for one in (*world.servers, *world.workers) for path in one.data.glob("*.db")]


def test_every_server_serves_a_promotion_at_once(world):
    key = KEYS[0]
    numbers = world.store.versions.numbers(key)
    for number in (numbers[-1], numbers[0]):
        world.store.versions.promote(key, number)
        began = time.monotonic()
        for server in world.servers:
            until(f"v{number} is served", lambda s=server, n=number: s.serves(key).startswith(f"triage-v{n}-"), 20)
        print(f"both servers serve v{number} {time.monotonic() - began:.2f} s after it was promoted")


def test_a_queue_that_was_away_and_came_back_empty_stops_nobody(world):
    world.redis.stop()
    body = {"action": "START_TRAINING", "project": project(2)}
    answers = [server.post("/webhook", body) for server in world.servers]
    assert {answer.status_code for answer in answers} <= {200, 201}, (
        "the run is in the database, though nobody is woken"
    )
    time.sleep(3)
    world.redis.start()
    run = answers[0].json()["job"]
    until(f"the run ended: {world.tails()}", lambda: world.store.runs.get(run).state == "done", 60)
    for machine in (*world.servers, *world.workers):
        assert "Traceback" not in machine.log.read_text(), machine.log.read_text()[-4000:]


def test_a_restart_of_the_database_loses_no_training_and_no_annotation(world):
    key, number = KEYS[2], 3
    run = world.store.runs.request(key, "start training")
    until("a worker trains", lambda: any(one.trains() for one in world.workers), 30)
    world.postgres.stop()
    refusal = world.servers[0].post("/webhook", {**event(9001, "refund", "Billing"), "project": project(number)})
    assert refusal.status_code == 503
    assert "check that it runs" in refusal.json()["error"]
    assert "Traceback" not in refusal.text
    not_ready = httpx.get(f"http://127.0.0.1:{world.servers[0].port}/ready", timeout=30, trust_env=False)
    assert not_ready.status_code == 503
    assert "check that it runs" in " ".join(not_ready.json()["why_not"])
    time.sleep(2)
    world.postgres.start()
    for server, id in zip(world.servers, (9001, 9002), strict=True):
        body = {**event(id, "refund my invoice", "Billing"), "project": project(number)}
        until("an annotation is taken", lambda s=server, b=body: s.post("/webhook", b).status_code in (200, 201), 20)
    until(f"the run ended: {world.tails()}", lambda: world.store.runs.get(run.id).state == "done", 60)
    assert world.store.runs.get(run.id).attempt == 1, world.tails()
    assert {"9001", "9002"} <= {task.id for task in world.store.annotations.tasks(key)}
    world.settle()
    number = world.store.versions.promoted(key)
    until("both serve it", lambda: all(one.serves(key).startswith(f"triage-v{number}-") for one in world.servers), 20)
