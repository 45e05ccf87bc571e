"""kill -9 at every step of a run, and at random moments: nothing is lost, nothing doubled, nothing half is served."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter

import httpx
import psutil
import pytest

from tests.conftest import PROJECT, PROJECT_KEY, event, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.engines import shared_storage
from tests.support.processes import RECIPE, Processes, fault_environment, on, running

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes with POSIX signals")

# What can strike while the server answers a webhook; `wake-up-sent` strikes whoever sends the next one.
SERVER = [
    "annotation-stored@before@1",
    "annotation-stored@after@1",
    "annotation-stored@before@2",
    "webhook-stored@before@1",
    "webhook-stored@after@1",
    "run-requested@before@1",
    "run-requested@after@1",
    "wake-up-sent@before@1",
    "wake-up-sent@after@1",
]
WORKER = [
    "run-claimed@before@1",
    "run-claimed@after@1",
    "heartbeat@before@1",
    "heartbeat@after@1",
]
TRAINING = [
    f"{step}@{when}@1"
    for step in (
        "snapshot-taken", "model-saved", "trained", "sealed", "folder-renamed", "version-added", "pointer-moved",
        "run-ended", "version-forgotten", "published", "folder-removed",
    )
    for when in ("before", "after")
] + [f"file-synced@{when}@{n}" for n in range(1, 5) for when in ("before", "after")] + [
    "folder-removed@before@2", "folder-removed@after@2",
]  # fmt: skip
# A training that dies is returned to the ledger by the worker, which can die of it, too.
WHILE_IT_IS_LOST = ["run-lost@before@1", "run-lost@after@1"]


def one_cycle(processes: Processes, *faults: str) -> None:
    """Annotate and train under faults, then hold everything to the invariants."""
    for fault in faults:
        processes.arm(fault)
    processes.annotate(2)
    processes.start_training()
    processes.settle()
    processes.disarm()
    processes.check()
    processes.no_orphans()


@pytest.fixture(params=["directory", "engines"])
def recipe(request):
    """The recipe in a data directory, and on PostgreSQL, Redis and S3."""
    if request.param == "directory":
        yield RECIPE
        return
    with shared_storage() as storage:
        yield f"{RECIPE}storage: {json.dumps(storage)}\n"


@pytest.mark.slow
def test_a_kill_at_any_of_eight_steps_loses_and_doubles_nothing(tmp_path, recipe):
    with running(tmp_path, recipe=recipe) as processes:
        one_cycle(processes, "annotation-stored@after@1", "folder-renamed@before@1")
        one_cycle(processes, "webhook-stored@after@1", "file-synced@after@2")
        one_cycle(processes, "run-claimed@after@1", "pointer-moved@after@1")
        one_cycle(processes, "run-requested@after@1", "published@after@1")
        assert len(processes.struck()) == 8, processes.struck()


@pytest.mark.long
@pytest.mark.parametrize(
    "least",
    [
        pytest.param(200, marks=pytest.mark.timeout(2400), id="two hundred"),
        pytest.param(1000, marks=pytest.mark.timeout(12_000), id="a thousand"),
    ],
)
def test_kills_at_every_step_and_at_random_moments_lose_and_double_nothing(tmp_path, least):
    draw = random.Random(20261123)
    kills: Counter[str] = Counter()
    began = time.monotonic()
    with running(tmp_path) as processes:
        for number, fault in enumerate([*TRAINING, *WORKER, *WHILE_IT_IS_LOST]):
            also = ["trained@before@1"] if fault in WHILE_IT_IS_LOST else []
            one_cycle(processes, fault, SERVER[number % len(SERVER)], *also)
        while len(processes.struck()) + sum(kills.values()) < least - 15:
            processes.arm(draw.choice(SERVER))
            for _ in range(3):
                processes.annotate(1)
                time.sleep(draw.uniform(0, 0.2))
                kills["server, at a random moment"] += processes.kill("server")
                processes.start()
            # A run fails after it lost three processes, so no more than two of what follows.
            armed = draw.random() < 0.5
            if armed:
                processes.arm(draw.choice(TRAINING))
            processes.start_training()
            for name in draw.choices(("worker", "training"), weights=(1, 4), k=1 if armed else 2):
                time.sleep(draw.uniform(0, 0.9))
                kills[f"{name}, at a random moment"] += processes.kill(name)
                processes.start()
            processes.settle()
            processes.disarm()
            processes.check()
            processes.no_orphans()
        kills.update(fault.rpartition("@")[0] for fault in processes.struck())
        acknowledged, versions = len(processes.acknowledged), processes.store.versions.promoted(PROJECT_KEY)
    for round in range(15):
        kill_the_supervisor(tmp_path / "supervised", draw.uniform(0, 1.5) if round else 0.0)
        kills["supervisor, at a random moment"] += 1
    print(f"\n{sum(kills.values())} kills in {time.monotonic() - began:.0f} s: {acknowledged} annotations, v{versions}")
    for name, count in sorted(kills.items()):
        print(f"  {count:4d} {name}")
    assert sum(kills.values()) >= least


def kill_the_supervisor(directory, after_s: float) -> None:
    """Kill `lsml run` in the middle of a training; its children end with it, and the next one finishes the run."""
    directory.mkdir(exist_ok=True)
    data = directory / "data"
    lsml = RunningBackend(
        write_recipe(directory, RECIPE), data, environment=fault_environment(directory / "faults", 4.0)
    ).start()
    try:
        for id, (text, label) in enumerate(tickets(30), 1):
            lsml.post("/webhook", event(id, text, label))
        job = lsml.post("/webhook", {"action": "START_TRAINING", "project": PROJECT})["job"]
        time.sleep(after_s)
        supervisor = lsml.family()[0]
        supervisor.kill()
        assert isinstance(supervisor, psutil.Process)
        until("the children ended with their supervisor", lambda: not on(data), 10)
        lsml.kill()
        lsml.start()
        found = lsml.settled(PROJECT_KEY)
        (run,) = [run for run in found["runs"] if run["job"] == job]
        assert run["job_status"] == "finished", run
        assert lsml.stop() == 0
    except (AssertionError, httpx.HTTPError):
        print(lsml.output_tail())
        raise
    finally:
        lsml.kill()
        lsml.client.close()


@pytest.mark.slow
def test_children_end_with_a_killed_supervisor_and_the_next_one_finishes_the_run(tmp_path):
    kill_the_supervisor(tmp_path / "supervised", 0.8)
