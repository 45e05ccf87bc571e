"""`lsml predict`: offline, into a file that Label Studio imports."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from lsml.cli.common import (
    bind_config,
    check_writable,
    data_dir_option,
    labeling_config_option,
    log_options,
    open_recipe,
    open_store,
    progress_bar,
    read_tasks,
    recipe_argument,
    write_file,
)
from lsml.cli.projects import check_learnt, learnt_project, project_option

_BATCH = 256  # tasks predicted at a time


@click.command("predict", short_help="Predict tasks into a file.")
@recipe_argument
@click.argument("tasks_path", metavar="TASKS", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Where to write PREDICTIONS.json.")
@data_dir_option
@labeling_config_option
@project_option("Predict with what this project serves [default: `local`, or the only one that learnt].")
@log_options
def command(
    recipe_path: Path,
    tasks_path: Path,
    output: Path,
    data_dir: Path | None,
    labeling_config_path: Path | None,
    project: str | None,
    log_level: str,
    debug: bool,
) -> None:
    """Predict TASKS with the promoted version of a project, into a file that Label Studio imports.

    TASKS is a file of tasks, of any form that `lsml train` reads; what annotators answered is left out.

    PREDICTIONS.json is a list of {id, data, predictions: [...]} in the order of the tasks, with an empty list where nothing
    could be predicted, and no id where a task had none. Tasks that Label Studio would refuse, and the whole file with them,
    are left out: those whose data lacks what the labeling config shows. Tasks may name files on this machine; relative paths
    count from the folder of TASKS, then from the current one.
    """
    from lsml.errors import RequestError
    from lsml.labeling.annotated import many
    from lsml.labeling.importing import import_refusal
    from lsml.prediction import predict_tasks
    from lsml.studio.connection import fetcher
    from lsml.versions import load_promoted, model_version

    if output.exists() and tasks_path.exists() and output.samefile(tasks_path):
        raise RequestError(f"{output}: is the file of the tasks; name another with -o, for this one would be lost")
    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug)
    check_writable(output)
    store = open_store(recipe, data_dir)
    key = learnt_project(store, project)
    binding = bind_config(recipe, labeling_config_path, store.projects.get(key))
    tasks = read_tasks(tasks_path, binding, answers=False)
    loaded = load_promoted(store, key, binding)
    check_learnt(recipe, key, loaded)
    name = model_version(binding, loaded.number, loaded.card)
    fetch = fetcher(recipe, None, by_person=True, beside=tasks_path.parent)
    written = []
    dropped: Counter[str] = Counter()
    why: dict[str, str] = {}
    refused: list[str] = []
    with progress_bar("predict") as progress:
        for begin in range(0, len(tasks), _BATCH):
            some = tasks[begin : begin + _BATCH]
            for task, outcome in zip(some, predict_tasks(binding, loaded.adapters, some, fetch, name), strict=True):
                for reason, sentence in outcome.dropped:
                    dropped[reason] += 1
                    why.setdefault(reason, sentence)
                refusal = import_refusal(task["data"], binding.config) if binding.config else None
                if refusal is not None:
                    refused.append(f"task {task['id']}: {refusal}" if task.get("id") is not None else refusal)
                    continue
                predictions = [outcome.prediction] if outcome.prediction is not None else []
                kept = {"id": task["id"]} if task.get("id") is not None else {}
                written.append({**kept, "data": task["data"], "predictions": predictions})
            progress(
                min(1.0, (begin + _BATCH) / len(tasks)), f"{min(begin + _BATCH, len(tasks))} of {len(tasks)} tasks"
            )
    write_file(output, json.dumps(written, indent=1))
    predicted = sum(bool(task["predictions"]) for task in written)
    click.echo(f"wrote {output}: {predicted} of {len(tasks)} tasks predicted by {name}")
    for reason, count in dropped.items():
        click.echo(f"  {reason}, {many(count, 'time')}: {why[reason]}", err=True)
    if refused:
        left_out = f"{many(len(refused), 'task')} {'is' if len(refused) == 1 else 'are'} left out"
        click.echo(f"  {left_out}, or Label Studio would refuse the whole file; the first: {refused[0]}", err=True)
