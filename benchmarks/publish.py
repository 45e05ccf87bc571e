"""How fast do predictions reach Label Studio? `python -m benchmarks.publish [--tasks 500]`, from the repository's root.

A real Label Studio on this machine (the tests' own), tickets, and the text classifier. Each round has four legs over the same
tasks, each leg in a project of its own: the model alone; Label Studio's API alone, which reads the tasks page by page and stores
predictions that were made before; lsml's publishing, which does all of it; and Label Studio's own action Retrieve Predictions,
which asks an `lsml run`. Three minutes with two rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from lsml.adapters.base import silent
from lsml.prediction import Predictor, predict_tasks
from lsml.publishing import Patience, prepared, publish
from lsml.recipe import load_recipe
from lsml.store import ProjectRow, Store
from lsml.studio.client import Studio
from tests.conftest import TOPICS, export, tickets, write_recipe
from tests.support.backend import RunningBackend
from tests.support.commands import lsml
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio

GOAL = 0.8
PUBLISHING = "lsml's publishing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, RealLabelStudio() as studio:
        folder = Path(made)
        path = write_recipe(folder, "publish: false\n")
        (folder / "train.json").write_text(json.dumps(export(tickets(600))))
        trained = lsml("train", path.name, "train.json", "--data-dir", "data", cwd=folder)
        assert trained.returncode == 0, trained.stderr
        rounds = [one_round(studio, path, folder / "data", asked.tasks) for _ in range(asked.rounds)]
    seconds = {leg: statistics.median(one[leg] for one in rounds) for leg in rounds[0]}
    rates = {leg: asked.tasks / taken for leg, taken in seconds.items()}
    print(f"\n{asked.tasks:,} tasks, medians of {asked.rounds} rounds\n\n| | s | tasks/s |\n|---|--:|--:|")
    for leg, taken in seconds.items():
        print(f"| {leg} | {taken:.1f} | {rates[leg]:,.0f} |")
    slower = min(rates["the model alone"], rates["Label Studio's API alone"])
    share = rates[PUBLISHING] / slower
    print(
        f"\npublishing, of the slower of model and API: {share:.2f}, at least {GOAL}: {'met' if share >= GOAL else 'missed'}"
    )
    print(f"publishing, of Retrieve Predictions: {rates[PUBLISHING] / rates['Retrieve Predictions']:.2f}")


def one_round(studio: RealLabelStudio, path: Path, data: Path, count: int) -> dict[str, float]:
    """The seconds of each leg."""
    recipe = load_recipe(path)
    texts = [{"text": text} for text, _ in tickets(count, seed=5)]
    store, seconds = Store(data), {}
    with Studio(studio.url, LEGACY_TOKEN) as client:
        with prepared(recipe, store, client, told(studio, texts), Patience(), silent) as inputs:
            tasks = [{"id": task["id"], "data": task["data"]} for task in studio.tasks(inputs.predictions._project)]
            began = time.perf_counter()
            outcomes = predict_tasks(
                Predictor(inputs.binding, inputs.adapters, inputs.fetch, inputs.model_version), tasks
            )
            seconds["the model alone"] = time.perf_counter() - began
            ready = {
                task["id"]: {"task": task["id"], **outcome.prediction}
                for task, outcome in zip(tasks, outcomes, strict=True)
            }
            began, last = time.perf_counter(), 0
            while page := inputs.predictions.lacking(inputs.model_version, last, 500)[0]:
                last = page[-1].id
                inputs.predictions.post([ready[task.id] for task in page])
            seconds["Label Studio's API alone"] = time.perf_counter() - began
        with prepared(recipe, store, client, told(studio, texts), Patience(), silent) as inputs:
            began = time.perf_counter()
            assert publish(inputs).posted == count
            seconds[PUBLISHING] = time.perf_counter() - began
    project = told(studio, texts)
    with RunningBackend(path, data) as running:
        studio.add_backend(project.studio_id, running.address)
        studio.client.timeout = 600
        began = time.perf_counter()
        studio.retrieve_predictions(project.studio_id)
        seconds["Retrieve Predictions"] = time.perf_counter() - began
        assert sum(studio.call("GET", f"/api/projects/{project.studio_id}/model-versions/").values()) == count
    store.close()
    print({leg: round(taken, 2) for leg, taken in seconds.items()}, flush=True)
    return seconds


def told(studio: RealLabelStudio, texts: list[dict[str, str]]) -> ProjectRow:
    """A new project of Label Studio with the tasks, which serves what was trained offline."""
    id = studio.create_project("Tickets", TOPICS)
    studio.call("POST", f"/api/projects/{id}/import", json=texts)
    with Studio(studio.url, LEGACY_TOKEN) as client:
        return ProjectRow(f"{id}.{client.project(id).created}", studio_id=id, labeling_config=TOPICS)


if __name__ == "__main__":
    main()
