"""How long do the pages take of a large data directory? `python -m benchmarks.pages`, from the repository's root.

A data directory is made with many projects, versions (each with the card of a real training, 20 labels and their confusion) and
runs. Then each page, and the API behind it, is asked several times: the time that the server takes, without a network. Last,
`lsml run` on that directory predicts for one client, in turns with and without people whose pages load again every two
seconds, as they do while a job runs. Two minutes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from lsml.recipe import load_recipe
from lsml.server.app import create_app
from lsml.store import Store
from lsml.store.queue import open_queue
from lsml.store.tables import COUNT_RUNS
from lsml.versions import Card, ModelCard
from lsml.versions.outlook import Outlook, Prospect, VersionPoint
from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, event, tickets, write_recipe
from tests.support.backend import RunningBackend

GOAL_MS = 200
LOAD_AGAIN_S, TURNS, TURN_S = 2.0, 3, 6.0
PEOPLE = (0, 3, 12)
LABELS = [f"label {number}" for number in range(20)]
PAGES = (
    "/",
    "/projects/7.1",
    "/projects/7.1/people",
    "/projects/7.1/try",
    "/projects/7.1/queue",
    "/api/projects/7.1",
    "/metrics",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=50)
    parser.add_argument("--versions", type=int, default=200, help="of each project")
    parser.add_argument("--runs", type=int, default=5000, help="of each project")
    parser.add_argument("--times", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        recipe = load_recipe(write_recipe(Path(made), "publish: false\n"))
        store = Store(Path(made) / "data")
        fill(store, asked.projects, asked.versions, asked.runs)
        client = create_app(recipe, store, open_queue(store.directory)).test_client()
        print(f"{asked.projects} projects, each with {asked.versions} versions and {asked.runs:,} runs\n")
        print("| | first, ms | median, ms | worst, ms | kB | |\n|---|--:|--:|--:|--:|---|")
        for path in PAGES:
            taken = []
            for _ in range(asked.times + 1):
                began = time.perf_counter()
                answer = client.get(path)
                taken.append((time.perf_counter() - began) * 1e3)
                assert answer.status_code == 200, answer.text
            first, *others = taken
            median, worst = statistics.median(others), max(others)
            met = "met" if median <= GOAL_MS else "missed"
            size = len(answer.data) / 1e3
            print(f"| `{path}` | {first:,.0f} | {median:,.0f} | {worst:,.0f} | {size:,.0f} | {met} |")
        store.close()
        beside(recipe.path, store.directory)


def beside(recipe: Path, data: Path) -> None:
    """Print what open pages cost a prediction."""
    with RunningBackend(recipe, data) as backend:
        for id, (text, label) in enumerate(tickets(40), 1):
            backend.post("/webhook", event(id, text, label))
        backend.post("/webhook", {"action": "START_TRAINING", "project": PROJECT})
        backend.settled(PROJECT_KEY)
        times: dict[int, list[float]] = {people: [] for people in PEOPLE}
        for turn in range(TURNS * len(PEOPLE)):
            people = PEOPLE[turn % len(PEOPLE)]
            with looking(backend.address, people):
                times[people] += predicted(backend)
    print("\n| people who look at pages | /predict, median ms | p99 ms | against none |\n|--:|--:|--:|--:|")
    alone = statistics.median(times[0])
    for people, taken in times.items():
        median, p99 = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
        print(f"| {people} | {median:.2f} | {p99:.1f} | {median / alone:.2f}x |")


@contextmanager
def looking(address: str, people: int) -> Iterator[None]:
    """Load pages every two seconds for so many people."""
    over = threading.Event()

    def one(page: str) -> None:
        with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
            while not over.wait(LOAD_AGAIN_S):
                client.get(page).raise_for_status()

    with ThreadPoolExecutor(max(1, people)) as threads:
        loading = [threads.submit(one, PAGES[person % 3]) for person in range(people)]
        yield
        over.set()
    for each in loading:
        each.result()


def predicted(backend: RunningBackend) -> list[float]:
    """Return the milliseconds of each of one client's predictions, one text each."""
    taken = []
    end = time.perf_counter() + TURN_S
    while (began := time.perf_counter()) < end:
        backend.post("/predict", {"tasks": [{"id": 1, "data": {"text": "refund the invoice"}}], "project": PROJECT_KEY})
        taken.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.005)
    return taken


def fill(store: Store, projects: int, versions: int, runs: int) -> None:
    """Write a long history straight into the tables."""
    database = store._database
    confusion = {label: {other: 3 + (label == other) * 90 for other in LABELS} for label in LABELS}
    figures = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "examples": 100}
    for project in range(1, projects + 1):
        key = f"{project}.1"
        store.projects.touch(key, studio_id=project, labeling_config=TOPICS, title=f"Project {project}")
        history: list[VersionPoint] = []
        rows = []
        for number in range(1, versions + 1):
            value = round(0.9 - 0.5 / number, 4)
            card = Card(
                recipe="triage", tasks=100 * number, held_out=20 * number, verdict="promoted: better", promoted=True,
                models={"topic:text-classifier": ModelCard(
                    "text-classifier", "topic", "0", labels=LABELS, examples=80 * number,
                    classes=dict.fromkeys(LABELS, 4 * number),
                )},
                metrics={"topic": {
                    "metric": "macro_f1", "value": value, "examples": 20 * number,
                    "per_label": dict.fromkeys(LABELS, figures), "confusion": confusion,
                }},
                history=list(history), outlook=Outlook(Prospect.RISES, number, 0.01, (0.0, 0.02)), created_at=1.79e9 + number,
            )  # fmt: skip
            history.append(VersionPoint(number, card.tasks, value, card.held_out))
            rows.append((key, number, f"v{number}", msgspec.json.encode(card).decode(), card.created_at, None))
        with database.atomic():
            for row in rows:
                database.execute_sql("INSERT INTO version VALUES (?, ?, ?, ?, ?, ?)", row)
            database.execute_sql("UPDATE project SET promoted = ? WHERE key = ?", (versions, key))
            for number in range(runs):
                at = 1.79e9 + number
                database.execute_sql(
                    "INSERT INTO run (id, project, kind, state, cause, created_at, due_at, started_at, finished_at, progress, message)"
                    " VALUES (?, ?, ?, 'done', 'annotations', ?, ?, ?, ?, 1.0, 'made a version')",
                    (f"{project:04}{number:028}", key, "training" if number % 2 else "publishing", at, at, at, at + 5),
                )
    with database.atomic():
        database.execute_sql(COUNT_RUNS)


if __name__ == "__main__":
    main()
