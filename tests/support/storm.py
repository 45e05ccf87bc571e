"""A storm: webhooks and promotions for servers and workers that share engines, while all of them and the engines fail."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from lsml.errors import StoreError
from lsml.recipe import load_recipe
from lsml.server.events import project_key
from lsml.store import Store
from lsml.versions import card_of, check_files
from tests.conftest import PROJECT, TOPICS, choice, event, tickets, write_recipe
from tests.support.backend import until
from tests.support.engines import Bucket, PostgresServer, RedisServer, postgres_server, redis_server, s3_bucket
from tests.support.machines import Machine
from tests.support.processes import fault_environment

CROWD = 6  # annotators who send at the same time
TASK = {"id": 1, "data": {"text": "refund my invoice please"}}


class Storm:
    """Three servers and three workers, what was sent to them, and what was seen of them.

    `expected`: by project and annotation id, the label of the last webhook that a 2xx answered. `answers`: by project and
    `model_version`, the one prediction that every server gave.
    """

    def __init__(
        self, folder: Path, postgres: PostgresServer, redis: RedisServer, bucket: Bucket, projects: int, every: int
    ) -> None:
        self.postgres, self.redis, self.bucket = postgres, redis, bucket
        storage = {"database": postgres.url, "queue": redis.url, "artifacts": bucket.url}
        training = f"training: {{every: {every}, quiet: 0s, promote: always, keep: 3}}\n"
        path = write_recipe(folder, f"{training}storage: {json.dumps(storage)}\n")
        self.recipe = load_recipe(path)
        self.folder = folder
        self.store = Store(folder / "looker", self.recipe.storage, self.recipe.name)
        environment = {**os.environ, **fault_environment(folder / "faults", 5.0)}
        self.servers = [Machine(path, folder / f"server-{number}", "serve", environment) for number in (1, 2, 3)]
        self.workers = [Machine(path, folder / f"worker-{number}", "work", environment) for number in (1, 2, 3)]
        self.projects = [{**PROJECT, "id": number, "title": f"p{number}"} for number in range(1, projects + 1)]
        self.keys = [project_key(project)[0] for project in self.projects]
        self.expected: dict[str, dict[str, str]] = {key: {} for key in self.keys}
        self.jobs: list[str] = []
        self.did: Counter[str] = Counter()
        self.answers: dict[tuple[str, str], str] = {}
        self.wrong: list[str] = []
        self._draw = random.Random(20261130)
        self._over = threading.Event()
        self._rounds = 0  # begun, of the harms that engines suffer
        until("the servers answer", lambda: all(server.is_up() for server in self.servers), 120)

    # What people do

    def send(self, body: dict, draw: random.Random) -> dict:
        """Send a webhook to any server until one acknowledges it."""
        until_s = time.monotonic() + 180
        while not self._over.is_set():
            assert time.monotonic() < until_s, f"nobody takes a webhook: {self.tails()}"
            server = draw.choice(self.servers)
            try:
                answer = server.post("/webhook", body)
            except httpx.TransportError:
                self.did["webhooks that met a dead server"] += 1
                time.sleep(0.2)
                continue
            if answer.status_code in (200, 201):
                self.did["webhooks acknowledged"] += 1
                return answer.json()
            self.did[f"webhooks refused with {answer.status_code}"] += 1
            if answer.status_code != 503 or not answer.json().get("error"):
                self.wrong.append(f"webhook: {answer.status_code} {answer.text[:300]}")
            time.sleep(0.3)
        raise AssertionError("the storm is over")

    def annotate(self, share: list[tuple[int, int, str, str]], pause_s: float) -> None:
        """Send annotations, one in ten of them twice, and the second time with another label."""
        draw = random.Random(share[0][1])
        for which, id, text, label in share:
            body = {**event(id, text, label), "project": self.projects[which]}
            self.send(body, draw)
            self.expected[self.keys[which]][str(id)] = label
            if id % 10 == 0:
                label = "Bug" if label != "Bug" else "Question"
                body = {**event(id, text, label, "ANNOTATION_UPDATED", at=60), "project": self.projects[which]}
                self.send(body, draw)
                self.expected[self.keys[which]][str(id)] = label
            if id % 100 == 0:
                job = self.send({"action": "START_TRAINING", "project": self.projects[which]}, draw)["job"]
                self.jobs.append(job)
            time.sleep(draw.uniform(0, 2 * pause_s))

    def look(self) -> None:
        """Predict with any server, again and again: a version always gives one and the same prediction."""
        draw = random.Random(5)
        while not self._over.wait(0.1):
            with suppress(httpx.TransportError):
                self.seen(draw.choice(self.servers), draw.choice(self.keys))

    def seen(self, server: Machine, key: str) -> str | None:
        """The `model_version` that a server predicts with; None where it says why it cannot."""
        answer = server.post("/predict", {"tasks": [TASK], "project": key, "label_config": TOPICS})
        if answer.status_code != 200:
            self.did[f"predictions refused with {answer.status_code}"] += 1
            if answer.status_code != 503:
                self.wrong.append(f"predict: {answer.status_code} {answer.text[:300]}")
            return None
        (prediction,) = answer.json()["results"]
        if not prediction or not prediction["result"]:
            self.did["predictions of untrained models"] += 1
            return None
        self.did["predictions"] += 1
        version = prediction["model_version"]
        said = json.dumps([(one["value"], one["score"]) for one in prediction["result"]])
        if self.answers.setdefault((key, version), said) != said:
            self.wrong.append(f"{version} of {key} said {self.answers[key, version]} and {said}")
        return version

    def promote(self) -> None:
        """Promote any version of any project, again and again, by any server."""
        draw = random.Random(6)
        while not self._over.wait(draw.uniform(0.5, 2)):
            with suppress(httpx.TransportError, StoreError):
                key = draw.choice(self.keys)
                numbers = self.store.versions.numbers(key)
                if not numbers:
                    continue
                answer = draw.choice(self.servers).post(
                    f"/api/projects/{key}/promote", {"version": draw.choice(numbers)}
                )
                self.did[f"promotions answered with {answer.status_code}"] += 1
                if answer.status_code not in (200, 404, 503):  # 404: a training forgot the version meanwhile
                    self.wrong.append(f"promote: {answer.status_code} {answer.text[:300]}")

    # What fails

    def break_things(self) -> None:
        """Do one harm after the other, each mended after a moment, and every one at least once."""
        harms: list[Callable[[], None]] = [
            self._restart_redis, self._restart_postgres, self._read_only_postgres, self._read_only_bucket,
            self._lose_an_object,
        ]  # fmt: skip
        todo: list[Callable[[], None]] = []
        while not self._over.is_set():
            if not todo:
                todo = self._draw.sample(harms, len(harms))
                self._rounds += 1
            self._start_ended()
            for _ in range(2):
                self._kill(self._draw.choice([*self.servers, *self.workers]))
                if self._over.wait(self._draw.uniform(1.5, 4)):
                    return
            todo.pop()()
            self._over.wait(self._draw.uniform(1, 3))

    def _start_ended(self) -> None:
        """Start again what could not start while an engine was away, as every supervisor of services does."""
        for machine in (*self.servers, *self.workers):
            if machine.process.poll() is not None:
                self.did["starts that found an engine away"] += 1
                machine.start()

    def _kill(self, machine: Machine) -> None:
        verb = "worker in a training" if machine.trains() else machine.log.parent.name.partition("-")[0]
        machine.process.send_signal(signal.SIGKILL)
        machine.process.wait(60)
        self.did[f"kill -9 of a {verb}"] += 1
        self._over.wait(self._draw.uniform(0, 1.5))
        machine.start()
        # On a busy machine a start takes longer than the pause, and soon nobody would be left.
        until_s = time.monotonic() + 60
        while not machine.is_ready() and machine.process.poll() is None and time.monotonic() < until_s:
            if self._over.wait(0.2):
                return

    def _restart_redis(self) -> None:
        self.redis.stop()
        self._over.wait(self._draw.uniform(0.5, 3))
        self.redis.start()
        self.did["Redis restarted, and empty"] += 1

    def _restart_postgres(self) -> None:
        self.postgres.stop()
        self._over.wait(self._draw.uniform(0.5, 3))
        self.postgres.start()
        self.did["PostgreSQL restarted"] += 1

    def _read_only_postgres(self) -> None:
        self.postgres.refuse_writes(True)
        self._over.wait(self._draw.uniform(1, 4))
        self.postgres.refuse_writes(False)
        self.did["PostgreSQL refused writes for a while"] += 1

    def _read_only_bucket(self) -> None:
        self.bucket.refuse_writes()
        self._over.wait(self._draw.uniform(1, 4))
        self.bucket.take_writes()
        self.did["the bucket refused writes for a while"] += 1

    def _lose_an_object(self) -> None:
        """Lose an object of a version that some machine has a copy of."""
        with suppress(StoreError, FileNotFoundError):
            key = self._draw.choice(self.keys)
            row = self.store.versions.served(key)
            if row is None or not any(
                (one.data / "versions" / row.folder).is_dir() for one in (*self.servers, *self.workers)
            ):
                return
            kept = [f"{self.bucket.url}/triage/{row.folder}.json"]
            kept += [f"s3://{path}" for path in self.bucket.files.find(f"{self.bucket.url}/triage/{row.folder}")]
            self.bucket.files.rm_file(self._draw.choice(kept))
            self.did["the bucket lost an object"] += 1

    # The whole, and what must hold after it

    def rage(self, webhooks: int, for_s: float) -> None:
        """Send webhooks while everything fails, then let it heal."""
        texts = tickets(webhooks)
        # Three in a row have three labels, and go to one project.
        sent = [(number // 3 % len(self.keys), number + 1, *pair) for number, pair in enumerate(texts)]
        shares = [sent[number::CROWD] for number in range(CROWD)]
        began = time.monotonic()
        others = [
            threading.Thread(target=target, daemon=True) for target in (self.look, self.promote, self.break_things)
        ]
        for thread in others:
            thread.start()
        try:
            with ThreadPoolExecutor(CROWD) as crowd:
                list(crowd.map(lambda share: self.annotate(share, for_s / len(share) * 0.8), shares))
            self._over.wait(max(0.0, began + for_s - time.monotonic()))
            until("every harm was done", lambda: self._rounds > 1, 300)
        finally:
            self._over.set()
            self.took_s = time.monotonic() - began
        for thread in others:
            thread.join(120)
            assert not thread.is_alive(), "a thread of the test hangs"

    def settle(self, timeout_s: float) -> None:
        """Wait until no run is open, and none is asked for."""

        def is_settled() -> bool:
            with suppress(StoreError):
                states = self.store.runs.counts()
                return not states.get("waiting") and not states.get("running")
            return False

        self._start_ended()
        until("the servers answer again", lambda: all(server.is_up() for server in self.servers), 120)
        for _ in range(3):
            until(f"every run ended: {self.tails()}", is_settled, timeout_s)
            time.sleep(2)

    def check(self) -> None:
        """Everything that must hold."""
        assert not self.wrong, self.wrong[:5]
        for key in self.keys:
            stored = {
                a.id: a.result for task in self.store.annotations.tasks(key) for a in task.annotations
            }  # fmt: skip
            assert stored == {id: choice(label) for id, label in self.expected[key].items()}, f"annotations of {key}"
            runs = self.store.runs.of_project(key, 10_000)
            assert {run.state for run in runs} <= {"done", "cancelled"}, [run for run in runs if run.state == "failed"]
            made = sorted(run.version for run in runs if run.state == "done")
            assert made == list(range(1, len(made) + 1)), (
                f"each run of {key} that is done made one version, and none two"
            )
            versions = self.store.versions.of_project(key)
            assert len({row.run for row in versions}) == len(versions)
            self.did["versions made"] += len(made)
            self.did["second or later attempts of runs"] += sum(run.attempt > 1 for run in runs)
        for job in self.jobs:
            run = self.store.runs.get(job)
            assert run.state == "done" or run.message.startswith("covered by run "), run
        self._check_files()
        for key in self.keys:
            number = self.store.versions.promoted(key)
            for server in self.servers:
                wanted = f"triage-v{number}-"
                until(
                    f"{server.log.parent.name} serves {wanted} of {key}: {self.tails()}",
                    lambda s=server, k=key, w=wanted: (self.seen(s, k) or "").startswith(w),
                    60,
                )
        assert not self.wrong, self.wrong[:5]
        for machine in (*self.servers, *self.workers):
            log = machine.log.read_text(errors="replace")
            assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:4000]

    def _check_files(self) -> None:
        """The bucket has every file of every version again, for a machine that has none."""
        fresh = Store(self.folder / "fresh", self.recipe.storage, self.recipe.name)
        for key in self.keys:
            for row in fresh.versions.of_project(key):

                def whole(row=row) -> bool:
                    with suppress(StoreError):
                        check_files(fresh.artifacts.open(row.folder), card_of(row))
                        return True
                    return False

                if row.number == fresh.versions.promoted(key):
                    until(f"the bucket has v{row.number} of {key}: {self.tails()}", whole, 90)
                else:
                    self.did["old versions whose lost object nobody had"] += not whole()
        fresh.close()

    def tails(self) -> str:
        return "\n".join(
            f"{one.log.parent.name}: {one.log.read_text(errors='replace')[-1500:]}"
            for one in (*self.servers, *self.workers)
        )

    def told(self) -> str:
        """What it did."""
        return "\n".join(
            [f"a storm of {self.took_s:.0f} s:", *(f"{count:8} {what}" for what, count in sorted(self.did.items()))]
        )

    def stop(self) -> None:
        self._over.set()
        for machine in (*self.servers, *self.workers):
            with suppress(ProcessLookupError):
                machine.process.kill()
            machine.process.wait(20)
        self.store.close()


@contextmanager
def storm(folder: Path, projects: int, every: int) -> Iterator[Storm]:
    """Yields a storm that has not begun yet; everything is gone at the end."""
    with (
        postgres_server() as postgres, redis_server() as redis, s3_bucket() as bucket, pytest.MonkeyPatch.context() as patch,
    ):  # fmt: skip
        for name, value in bucket.environment.items():
            patch.setenv(name, value)
        made = Storm(folder, postgres, redis, bucket, projects, every)
        try:
            yield made
        finally:
            made.stop()
