"""`lsml predict`: tasks of a file into a file that Label Studio imports, or tasks of a project into the project."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsml.cli.columns import columns_option
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
from lsml.cli.projects import by_hand, check_learnt, learnt_project, project_option, studio_project

if TYPE_CHECKING:
    from lsml.binding import Binding
    from lsml.labeling.objects import Fetch
    from lsml.labeling.rows import Named
    from lsml.publishing import PublishInputs, PublishResult
    from lsml.recipe import Recipe
    from lsml.store import Store
    from lsml.versions import Loaded

_BATCH = 256  # tasks predicted at a time


@click.command("predict", short_help="Predict a file, or a project's tasks.")
@recipe_argument
@click.argument("tasks_path", metavar="[TASKS]", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="With TASKS: the file to write, .json, .jsonl or .csv."
)
@data_dir_option
@labeling_config_option
@columns_option(answers=False)
@project_option(
    "With TASKS, the project whose version predicts [default: `local`, or the only trained one]; without, the project "
    "to post to."
)
@click.option(
    "--filter",
    "view",
    metavar="VIEW",
    help=("With --project: only the tasks of a Data Manager view, by its number or as JSON."),
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help=("With --project: the number of threads."),
)
@click.option("--dry-run", is_flag=True, help="With --project: only count the tasks without a prediction.")
@log_options
def command(
    recipe_path: Path,
    tasks_path: Path | None,
    output: Path | None,
    data_dir: Path | None,
    labeling_config_path: Path | None,
    columns: Named,
    project: str | None,
    view: str | None,
    workers: int,
    dry_run: bool,
    log_level: str,
    debug: bool,
) -> None:
    """Predict TASKS into a file that Label Studio imports or, without TASKS, a project's unannotated tasks.

    TASKS is a file of tasks, in any format that `lsml train` reads, or a TXT file, each line a task, or a folder of images;
    annotations are left out. PREDICTIONS.json is a list of {id, data, predictions: [...]} in the order of the tasks, with an
    empty list for a task without a prediction, and no id for a task that had none; a name that ends in .jsonl makes a line
    of each, one that ends in .csv a table. Tasks that lack a field of the labeling config are left out, as Label Studio
    would refuse the whole file for one of them. Tasks may name files on this machine; relative paths start at the folder of
    TASKS, then at the current one.

    `lsml predict RECIPE --project ID` posts a prediction of the served version for each unannotated task of that project that
    has none yet, as `publish` in the recipe does automatically. It can be stopped and started again at any time.
    """
    from lsml.errors import RequestError

    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug)
    if tasks_path is not None and output is not None and not (view or dry_run):
        _into_file(
            recipe,
            open_store(recipe, data_dir, to_load=True),
            tasks_path,
            output,
            labeling_config_path,
            project,
            columns,
        )
    elif tasks_path is None and output is None and project is not None and labeling_config_path is None:
        _into_project(recipe, open_store(recipe, data_dir, to_load=True), project, view, workers, dry_run=dry_run)
    else:
        raise RequestError(
            "expected TASKS with -o PREDICTIONS.json; or, without either, --project ID, with or without --filter and "
            "--dry-run"
        )


def _into_project(recipe: Recipe, store: Store, named: str, view: str | None, workers: int, *, dry_run: bool) -> None:
    """Post the missing predictions of a project's tasks, or count them."""
    from lsml.labeling.annotated import many

    studio, row = studio_project(recipe, store, named)
    with by_hand(recipe, store, studio, row, "predict") as inputs:
        parts = inputs.predictions.where(view) if view is not None else [inputs.predictions]
        if dry_run:
            lacking = sum(part.lacking(inputs.model_version, 0, 1)[1] for part in parts)
            done = f"{many(lacking, 'task')} would be predicted by {inputs.model_version}"
        else:
            given = replace(inputs, workers=workers, partial=view is not None)
            done = "\n".join(str(_published(replace(given, predictions=part))) for part in parts)
    click.echo(done)


def _published(inputs: PublishInputs) -> PublishResult:
    """Return the result of a publishing. Its progress also shows tasks per second and the time left."""
    from lsml.publishing import publish

    began, posted = time.monotonic(), 0

    def count(stored: int) -> None:
        nonlocal posted
        posted += stored
        inputs.count(stored)

    def progress(share: float, message: str) -> None:
        took_s = time.monotonic() - began
        left_s = took_s / share - took_s
        inputs.progress(share, f"{message}, {posted / took_s:,.0f} a second, {left_s:,.0f} s left")

    return publish(replace(inputs, count=count, progress=progress))


def _into_file(
    recipe: Recipe,
    store: Store,
    tasks_path: Path,
    output: Path,
    labeling_config_path: Path | None,
    project: str | None,
    columns: Named,
) -> None:
    """Predict the tasks of a file into another file."""
    from lsml.errors import RequestError
    from lsml.labeling.annotated import many
    from lsml.labeling.written import predictions_text
    from lsml.studio.connection import fetcher
    from lsml.versions import load_promoted, model_version

    if output.exists() and tasks_path.exists() and output.samefile(tasks_path):
        raise RequestError(f"{output}: is the file with the tasks, which would be overwritten; name another with -o")
    check_writable(output)
    key = learnt_project(store, project)
    binding = bind_config(recipe, labeling_config_path, store.projects.get(key))
    tasks = read_tasks(tasks_path, binding, answers=False, columns=columns)
    loaded = load_promoted(store, key, binding)
    check_learnt(recipe, key, loaded)
    name = model_version(binding, loaded.number, loaded.card, loaded.project)
    fetch = fetcher(recipe, None, by_person=True, beside=tasks_path.parent)
    written, refused, dropped, why = _predicted(binding, loaded, tasks, fetch, name)
    write_file(output, predictions_text(written, output))
    predicted = sum(bool(task["predictions"]) for task in written)
    click.echo(f"wrote {output}: {predicted} of {len(tasks)} tasks predicted by {name}")
    for reason, count in dropped.items():
        click.echo(f"  {reason}, {many(count, 'time')}: {why[reason]}", err=True)
    if refused:
        left_out = f"{many(len(refused), 'task')} {'is' if len(refused) == 1 else 'are'} left out"
        click.echo(f"  {left_out}, or Label Studio would refuse the whole file; the first: {refused[0]}", err=True)


def _predicted(
    binding: Binding, loaded: Loaded, tasks: list[dict[str, Any]], fetch: Fetch, name: str
) -> tuple[list[dict[str, Any]], list[str], Counter[str], dict[str, str]]:
    """Return (tasks with predictions, reasons why tasks are left out, reasons for no prediction with counts, an example of
    each).
    """
    from lsml.labeling.importing import import_refusal
    from lsml.prediction import Predictor, predict_tasks

    predictor = Predictor(binding, loaded.adapters, fetch, name)
    written = []
    dropped: Counter[str] = Counter()
    why: dict[str, str] = {}
    refused: list[str] = []
    with progress_bar("predict") as progress:
        for begin in range(0, len(tasks), _BATCH):
            some = tasks[begin : begin + _BATCH]
            for task, outcome in zip(some, predict_tasks(predictor, some), strict=True):
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
    return written, refused, dropped, why
