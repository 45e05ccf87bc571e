"""A crowd of processes posts webhooks, out of order and more than once, to one real server."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lsml.server.events import read_event
from lsml.store import Store
from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, choice, event, tickets, write_recipe
from tests.support.backend import RunningBackend

LABELS = ("Billing", "Bug", "Question")


def story(annotations: int, seed: int) -> tuple[list[list[dict]], dict[str, str | None]]:
    """Each annotation's webhooks in the order of its life, and its last state by id: a label, or None once deleted."""
    draw = random.Random(seed)
    lives, last = [], {}
    for id, (text, _) in enumerate(tickets(annotations, seed), 1):
        labels = [draw.choice(LABELS) for _ in range(draw.randint(1, 3))]
        life = [event(id, text, labels[0], at=0)]
        life += [event(id, text, label, "ANNOTATION_UPDATED", at=at) for at, label in enumerate(labels[1:], 1)]
        last[str(id)] = labels[-1]
        if draw.random() < 0.2:
            life.append({"action": "ANNOTATIONS_DELETED", "project": PROJECT, "annotations": [{"id": id}]})
            last[str(id)] = None
        lives.append(life)
    return lives, last


def webhooks(annotations: int, total: int, seed: int) -> tuple[list[dict], dict[str, str | None]]:
    """`total` webhooks, duplicates filling up, shuffled over all lives; and the last state of each annotation."""
    lives, last = story(annotations, seed)
    told = [webhook for life in lives for webhook in life]
    assert len(told) <= total
    draw = random.Random(seed)
    told += draw.choices(told, k=total - len(told))
    draw.shuffle(told)
    return told, last


def post(address: str, bodies: Sequence[dict], answers) -> None:
    """Post webhooks one after the other; put the statuses, and what else was answered than 200 or 201."""
    statuses: dict[int, int] = {}
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        for body in bodies:
            answer = client.post("/webhook", json=body)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    answers.put(statuses)


class Watch(threading.Thread):
    """Counts, while it runs, how many runs of the project were seen to wait and to run at once."""

    def __init__(self, data) -> None:
        super().__init__(daemon=True)
        self._path = data / "lsml.db"
        self._stop_now = threading.Event()
        self.most = {"waiting": 0, "running": 0}
        self.looks = 0

    def run(self) -> None:
        database = sqlite3.connect(self._path, timeout=15)
        while not self._stop_now.wait(0.02):
            counts = dict(database.execute("SELECT state, count(*) FROM run GROUP BY state"))
            self.most = {state: max(most, counts.get(state, 0)) for state, most in self.most.items()}
            self.looks += 1
        database.close()

    def stop(self) -> None:
        self._stop_now.set()
        self.join(10)


def crowd(tmp_path, processes: int, annotations: int, total: int) -> None:
    """Post `total` webhooks from so many processes while trainings go on; hold the store to the last states."""
    recipe = write_recipe(tmp_path, "training: {every: 20, quiet: 0s, promote: always}\n")
    told, last = webhooks(annotations, total, seed=7)
    with RunningBackend(recipe, tmp_path / "data") as lsml:
        lsml.post("/webhook", {"action": "PROJECT_UPDATED", "project": PROJECT})
        watch = Watch(tmp_path / "data")
        watch.start()
        began = time.monotonic()
        context = multiprocessing.get_context("spawn")
        answers = context.Queue()
        posting = [
            context.Process(target=post, args=(lsml.address, told[number::processes], answers))
            for number in range(processes)
        ]
        for process in posting:
            process.start()
        statuses = [answers.get(timeout=240) for _ in posting]
        for process in posting:
            process.join(30)
        took_s = time.monotonic() - began
        settled = lsml.settled(PROJECT_KEY, 120)
        watch.stop()
        store = Store(tmp_path / "data")
        stored = {task.id: task.annotations[-1].result for task in store.annotations.tasks(PROJECT_KEY)}
        usable, _ = store.annotations.counts(PROJECT_KEY)
        runs = store.runs.of_project(PROJECT_KEY, 10_000)
        versions = store.versions.of_project(PROJECT_KEY)
        store.close()
    assert sum(sum(one.values()) for one in statuses) == total
    assert {status for one in statuses for status in one} <= {200, 201}, statuses
    assert stored == {id: choice(label) for id, label in last.items() if label is not None}
    assert usable == len(stored)
    assert watch.looks > 10
    assert watch.most["running"] == 1
    assert watch.most["waiting"] <= 1
    assert {run.state for run in runs} == {"done"}
    assert len({run.version for run in runs}) == len(runs)
    assert {version.number for version in versions} <= {run.version for run in runs}
    assert settled["promoted"] == max(run.version for run in runs)
    print(
        f"\n{total} webhooks from {processes} processes in {took_s:.1f} s, {len(stored)} annotations, {len(runs)} runs"
    )


def test_every_webhook_of_a_story_is_one_that_label_studio_could_send():
    lives, last = story(50, 7)
    assert {read_event(webhook).project for life in lives for webhook in life} == {PROJECT_KEY}
    assert None in last.values()
    assert len({len(life) for life in lives}) > 2


def test_four_processes_post_four_hundred_webhooks_and_the_last_state_of_each_annotation_stands(tmp_path):
    crowd(tmp_path, processes=4, annotations=120, total=400)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_processes_post_five_thousand_webhooks_and_the_last_state_of_each_annotation_stands(tmp_path):
    crowd(tmp_path, processes=20, annotations=1500, total=5000)


def projects_learn(tmp_path, number: int, timeout_s: float) -> None:
    """So many projects, each with labels of its own, learn at once while all of them are asked for predictions."""
    recipe = write_recipe(tmp_path, "training: {every: 1000, quiet: 0s, promote: always}\n", config=None)
    projects = {}
    for id in range(1, number + 1):
        config = TOPICS
        for label in LABELS:
            config = config.replace(f'"{label}"', f'"{label} {id}"')
        projects[id] = {"id": id, "created_at": PROJECT["created_at"], "label_config": config}
    keys = {id: f"{id}.{PROJECT_KEY.partition('.')[2]}" for id in projects}
    wrong: list[str] = []

    def teach(id: int) -> str:
        with httpx.Client(base_url=lsml.address, timeout=60, trust_env=False) as client:
            for task, (text, label) in enumerate(tickets(30, id), 1):
                told = event(task, text, f"{label} {id}") | {"project": projects[id]}
                assert client.post("/webhook", json=told).status_code == 200
            answer = client.post("/webhook", json={"action": "START_TRAINING", "project": projects[id]})
            return str(answer.json()["job"])

    def ask(client: httpx.Client, id: int) -> bool:
        """Whether a project predicts what it learnt, and nothing that another one did."""
        body = {
            "tasks": [{"id": 1, "data": {"text": "refund my invoice"}}],
            "project": keys[id],
            "label_config": projects[id]["label_config"],
        }
        (prediction,) = client.post("/predict", json=body).json()["results"]
        if prediction == []:
            return False
        (found,) = prediction["result"][0]["value"]["choices"]
        if found != f"Billing {id}":
            wrong.append(f"project {id}: {found}")
        return True

    with RunningBackend(recipe, tmp_path / "data") as lsml:
        watch = Watch(tmp_path / "data")
        watch.start()
        began = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            jobs = list(pool.map(teach, projects))
        left = set(projects)
        while left and time.monotonic() - began < timeout_s:
            left -= {id for id in left if ask(lsml.client, id)}
        took_s = time.monotonic() - began
        watch.stop()
        store = Store(tmp_path / "data")
        runs = {key: store.runs.of_project(key, 10) for key in keys.values()}
        store.close()
        assert left == set()
        assert all(ask(lsml.client, id) for id in projects)
    assert wrong == []
    assert sorted(run.id for of_project in runs.values() for run in of_project) == sorted(jobs)
    assert {(run.state, run.version) for of_project in runs.values() for run in of_project} == {("done", 1)}
    assert watch.most["waiting"] > number / 2  # they did learn at the same time
    print(f"\n{number} projects learnt in {took_s:.0f} s")


@pytest.mark.slow
def test_six_projects_learn_side_by_side_and_each_predicts_what_it_learnt(tmp_path):
    projects_learn(tmp_path, 6, 200)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_projects_learn_side_by_side_and_each_predicts_what_it_learnt(tmp_path):
    projects_learn(tmp_path, 50, 800)
