"""`lsml train`: offline, on an export."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsml.cli.common import (
    bind_project,
    console,
    data_dir_option,
    labeling_config_option,
    log_options,
    metric_text,
    open_recipe,
    open_store,
    progress_bar,
    read_tasks,
    recipe_argument,
)

if TYPE_CHECKING:
    from lsml.labeling import AnnotatedTask


@click.command("train", short_help="Train on an export.")
@recipe_argument
@click.argument("export", type=click.Path(path_type=Path))
@data_dir_option
@labeling_config_option
@log_options
def command(
    recipe_path: Path,
    export: Path,
    data_dir: Path | None,
    labeling_config_path: Path | None,
    log_level: str,
    debug: bool,
) -> None:
    """Train RECIPE's models on EXPORT, a Label Studio JSON export, into the project `local`.

    New Label Studio projects with the same labeling config start from what this learnt. Tasks may name files on this
    machine; relative paths count from the folder of EXPORT, then from the current one.
    """
    from lsml.binding import sentences
    from lsml.errors import NotEnoughData, RequestError
    from lsml.learning.snapshot import take_snapshot
    from lsml.learning.train import train
    from lsml.store import LOCAL
    from lsml.studio.connection import fetcher
    from lsml.versions import model_version, new_folder, publish
    from lsml.worker.jobs import promoted_version

    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug)
    tasks = read_tasks(export)
    store = open_store(recipe, data_dir)
    local = store.projects.get(LOCAL)
    binding = bind_project(recipe, labeling_config_path, local.labeling_config if local else None)
    models = [model for model in binding.models if model.learns]
    if not models:
        raise RequestError(f"{recipe_path}: none of its adapters can learn")
    xml = binding.config.xml if binding.config else None
    store.projects.touch(LOCAL, labeling_config=xml)
    making = new_folder(store.versions_directory)
    try:
        files = fetcher(recipe, None, by_person=True, beside=export.parent)
        with progress_bar("train") as progress, files.hold() as fetch:
            path = making / "snapshot.jsonl"
            snapshot = take_snapshot(annotated_tasks(tasks), binding, path, fetch)
            read = len(tasks)
            tasks.clear()  # the snapshot holds them: while it learns, every text is in memory once
            if not snapshot.tasks:
                why = (f"none of its {read} tasks has an annotation for {_controls(binding)}",)
                raise NotEnoughData(f"{export}: " + "; ".join((*why, *sentences(snapshot.left_out))))
            promoted, unjudged = promoted_version(store, LOCAL, binding)
            trained = train(
                binding, snapshot, making, fetch,
                promoted=promoted, unjudged=unjudged, progress=progress, models=models,
            )  # fmt: skip
            path.unlink()
        keep = max((model.training.keep for model in models if model.training), default=5)
        number = publish(store, LOCAL, making, trained.card, promote=trained.promote, keep=keep)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    out = console()
    out.print(f"{model_version(binding, number, trained.card)}: {trained.card.verdict}", markup=False)
    for note in (*trained.card.notes, *sentences(trained.card.left_out)):
        out.print(f"  {note}", markup=False)
    for name, judged in trained.card.metrics.items():
        where = "" if judged["value"] is None else f" on {judged['examples']} held-out answers"
        out.print(f"  {name}: {metric_text(judged)}{where}", markup=False)


def _controls(binding: Any) -> str:
    return ", ".join(control.control_tag.selector for control in binding.controls.values())


def annotated_tasks(tasks: list[dict[str, Any]]) -> Iterator[AnnotatedTask]:
    """The tasks of an export that somebody annotated, with the annotations that count."""
    from lsml.labeling import AnnotatedTask, Annotation
    from lsml.store.annotations import time_key

    for task in tasks:
        kept = []
        given = task.get("annotations") if isinstance(task["data"], Mapping) else None
        for index, annotation in enumerate(given if isinstance(given, list) else []):
            if not isinstance(annotation, Mapping) or annotation.get("was_cancelled"):
                continue
            result = annotation.get("result")
            if isinstance(result, list):
                stamp = time_key(str(annotation.get("updated_at") or annotation.get("created_at") or ""))
                truth = annotation.get("ground_truth") is True
                kept.append((stamp, index, Annotation(str(annotation.get("id", index)), result, stamp, truth)))
        if kept:
            kept.sort(key=lambda one: one[:2])
            yield AnnotatedTask(task_id(task), task["data"], tuple(annotation for *_, annotation in kept))


def task_id(task: Mapping[str, Any]) -> str:
    """A task's id; one made of its data where it has none, so that hold-out stays the same from run to run."""
    if "id" in task:
        return str(task["id"])
    data = json.dumps(task["data"], sort_keys=True)
    return "data-" + hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:16]
