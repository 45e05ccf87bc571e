"""Mixed load for minutes: predictions, webhooks, trainings, settings, rubbish. Memory and descriptors stay flat."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
import threading
import time
from collections import Counter

import httpx
import psutil
import pytest

from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, event, tickets, write_recipe
from tests.support.backend import RunningBackend, until

JSON = {"Content-Type": "application/json"}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="counts descriptors as POSIX has them")
RECIPE = "training: {every: 100, quiet: 0s, promote: always, keep: 2}\n"
ANNOTATIONS = 300  # that are changed again and again: what is stored must not grow
PROJECTS = 5


class Load:
    """Clients that do everything at once until told to stop, and count what was answered."""

    def __init__(self, lsml: RunningBackend) -> None:
        self._lsml = lsml
        self._stopping = threading.Event()
        self._numbers = itertools.count()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._repeat, args=(act,))
            for act in (self._predict, self._predict, self._annotate, self._other, self._rubbish)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    def _repeat(self, act) -> None:
        draw = random.Random(act.__name__)
        with httpx.Client(base_url=self._lsml.address, timeout=60, trust_env=False) as client:
            while not self._stopping.is_set():
                try:
                    act(client, draw)
                except (httpx.TransportError, AssertionError) as error:
                    self.failures.append(f"{act.__name__}: {error!r}")
                time.sleep(0.01)  # a machine that only serves itself would measure nothing but itself

    def _count(self, what: str, answer: httpx.Response, *expected: int) -> None:
        self.answers[f"{what} {answer.status_code}"] += 1
        assert answer.status_code in expected, f"{what}: {answer.status_code} {answer.text[:200]}"

    def _predict(self, client, draw) -> None:
        texts = [text for text, _ in tickets(draw.choice([1, 16, 250]), draw.randrange(1000))]
        body = {
            "tasks": [{"id": id, "data": {"text": text}} for id, text in enumerate(texts)],
            "project": draw.choice([PROJECT_KEY, *(f"{id}.1" for id in range(2, PROJECTS + 2))]),
            "label_config": TOPICS,
        }
        answer = client.post("/predict", json=body)
        self._count("predict", answer, 200)
        assert len(answer.json()["results"]) == len(texts)

    def _annotate(self, client, draw) -> None:
        number = next(self._numbers)
        id = number % ANNOTATIONS + 1
        text, label = tickets(ANNOTATIONS)[id - 1]
        later = draw.choice(["Billing", "Bug", "Question"]) if draw.random() < 0.1 else label
        told = event(id, text, later, "ANNOTATION_UPDATED", at=min(number // ANNOTATIONS, 3500))
        self._count("annotate", client.post("/webhook", json=told), 200)

    def _other(self, client, draw) -> None:
        path = draw.choice(
            ["/health", "/ready", "/metrics", "/versions", "/openapi.json", "/", "/api/projects", "setup"]
        )
        if path == "setup":
            # Label Studio asks whenever somebody opens the settings; a label more or less makes another binding.
            more = "".join(f'<Choice value="{draw.randrange(50)}"/>' for _ in range(draw.randrange(2)))
            body = {
                "project": f"{draw.randrange(2, PROJECTS + 2)}.1",
                "schema": TOPICS.replace("</Choices>", f"{more}</Choices>"),
            }
            self._count("setup", client.post("/setup", json=body), 200)
        else:
            self._count(path, client.get(path), 200, 503 if path == "/ready" else 200)

    def _rubbish(self, client, draw) -> None:
        kind = draw.randrange(4)
        if kind == 0:
            self._count("no JSON", client.post("/predict", content=b"{" * draw.randrange(1, 5000), headers=JSON), 400)
        elif kind == 1:
            self._count("nowhere", client.get(f"/{draw.randrange(10**9)}"), 404)
        elif kind == 2:
            self._count("no config", client.post("/setup", json={"project": "9.9", "schema": "<View"}), 400)
        else:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self._lsml.port), timeout=5) as half,
            ):
                half.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n{")
            self.answers["half-open"] += 1


def measured(processes: dict[str, psutil.Process]) -> dict[str, tuple[float, int, int]]:
    """MiB resident, descriptors and threads, by name."""
    return {
        name: (process.memory_info().rss / 2**20, process.num_fds(), process.num_threads())
        for name, process in processes.items()
    }


def soak(tmp_path, warm_s: float, load_s: float) -> None:
    """Load for so long after a warm-up; what the server and the worker hold must not have grown."""
    with RunningBackend(write_recipe(tmp_path, RECIPE), tmp_path / "data", arguments=["--log-level", "error"]) as lsml:
        lsml.post("/webhook", {"action": "START_TRAINING", "project": PROJECT})
        processes = {"server": lsml.child("serve"), "worker": lsml.child("work"), "supervisor": lsml.family()[0]}
        with Load(lsml) as load:
            until("a version is served", lambda: (lsml.project(PROJECT_KEY)["promoted"] or 0) >= 1, 120)
            time.sleep(warm_s)
            looks = [measured(processes)]
            began = time.monotonic()
            while time.monotonic() - began < load_s:
                time.sleep(load_s / 20)
                looks.append(measured(processes))
            versions = lsml.project(PROJECT_KEY)["promoted"]
        assert lsml.child("serve").pid == processes["server"].pid
        assert lsml.child("work").pid == processes["worker"].pid
        # Every thread opens its own connection to the store with its first request, which under load can come late.
        early = {
            name: [max(column) for column in zip(*(look[name] for look in looks[: len(looks) // 4]), strict=True)]
            for name in processes
        }
        try:
            quiet = until(f"no more is open than {early}", lambda: _flat(early, measured(processes)), 60)
        except AssertionError as error:
            held = {name: Counter(file.path for file in process.open_files()) for name, process in processes.items()}
            raise AssertionError(f"{error}: {measured(processes)}, {held}") from None
        disk = sum(path.stat().st_size for path in (tmp_path / "data").rglob("*") if path.is_file()) / 2**20
    print(f"\n{sum(load.answers.values())} requests in {load_s:.0f} s, v{versions}, {disk:.0f} MiB on disk")
    for what, count in sorted(load.answers.items()):
        print(f"  {count:7d} {what}")
    for name in processes:
        print(f"  {name}: MiB {[round(look[name][0]) for look in looks]}, at rest {quiet[name][0]:.0f};")
        print(f"    descriptors {[look[name][1] for look in looks]}, at rest {quiet[name][1]}")
    assert load.failures == []
    assert versions >= 2
    assert disk < 100
    for name in processes:
        # The median of the last quarter beside that of the first: a leak goes on, a buffer does not.
        quarter = max(1, len(looks) // 4)
        first = sorted(look[name][0] for look in looks[:quarter])[quarter // 2]
        last = sorted(look[name][0] for look in looks[-quarter:])[quarter // 2]
        assert last < first * 1.1 + 10, f"the {name} grew from {first:.0f} to {last:.0f} MiB"


def _flat(before: dict, after: dict) -> dict | None:
    """What is held now, if no more descriptors and threads than before."""
    flat = all(after[name][1] <= before[name][1] + 5 and after[name][2] <= before[name][2] + 2 for name in before)
    return after if flat else None


@pytest.mark.slow
def test_half_a_minute_of_mixed_load_leaves_memory_and_descriptors_flat(tmp_path):
    soak(tmp_path, warm_s=10, load_s=20)


@pytest.mark.long
@pytest.mark.parametrize(
    "load_s",
    [
        pytest.param(600, marks=pytest.mark.timeout(1200), id="ten minutes"),
        pytest.param(3600, marks=pytest.mark.timeout(4800), id="an hour"),
    ],
)
def test_minutes_of_mixed_load_leave_memory_and_descriptors_flat(tmp_path, load_s):
    soak(tmp_path, warm_s=60, load_s=load_s)
