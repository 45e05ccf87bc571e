"""`lsml predict`: tasks of a file into a file that Label Studio imports, or tasks of a project into the project."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lsml.cli.columns import columns_option
from lsml.cli.common import (
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
    from lsml.cli.engines import Predicted
    from lsml.labeling.rows import Named
    from lsml.publishing import PublishInputs, PublishResult
    from lsml.recipe import Recipe
    from lsml.store import Store


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
    help=("With --project: the number of threads; with --engine ray: of processes, each with a model."),
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="ray predicts on all machines of a Ray cluster; start it again to resume.",
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
    engine: str,
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

    `--engine ray` needs `pip install "lsml[ray]"`, which also reads Parquet files. It joins the cluster that RAY_ADDRESS names,
    or starts one here, and predicts the same. Other machines need the recipe, the data directory and the files of tasks
    at the same paths.
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
            workers if engine == "ray" else None,
        )
    elif tasks_path is None and output is None and project is not None and labeling_config_path is None:
        _into_project(
            recipe,
            open_store(recipe, data_dir, to_load=True),
            project,
            view,
            workers,
            by_ray=engine == "ray",
            dry_run=dry_run,
        )
    else:
        raise RequestError(
            "expected TASKS with -o PREDICTIONS.json; or, without either, --project ID, with or without --filter and "
            "--dry-run"
        )


def _into_project(
    recipe: Recipe, store: Store, named: str, view: str | None, workers: int, *, by_ray: bool, dry_run: bool
) -> None:
    """Post the missing predictions of a project's tasks, by threads or by actors of Ray, or count them."""
    from lsml.cli.engines import Job
    from lsml.cli.ray_engine import project_actors
    from lsml.labeling.annotated import many

    studio, row = studio_project(recipe, store, named)
    with by_hand(recipe, store, studio, row, "predict") as inputs, ExitStack() as stack:
        parts = inputs.predictions.where(view) if view is not None else [inputs.predictions]
        if dry_run:
            lacking = sum(part.lacking(inputs.model_version, 0, 1)[1] for part in parts)
            done = f"{many(lacking, 'task')} would be predicted by {inputs.model_version}"
        else:
            given = replace(inputs, workers=workers, partial=view is not None)
            if by_ray:
                job = Job(recipe.path, store.directory, None, row.key, recipe.path.parent)
                elsewhere = stack.enter_context(project_actors(job, inputs.model_version, workers))
                given = replace(given, elsewhere=elsewhere)
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
    actors: int | None,
) -> None:
    """Predict the tasks of a file into another file, by so many actors of Ray, or here where it is None."""
    from lsml.cli.engines import Job, model_of, predict_here, read_parquet
    from lsml.cli.ray_engine import predict_by_ray, remove_blocks
    from lsml.errors import RequestError
    from lsml.labeling.annotated import are, many
    from lsml.labeling.written import predictions_text

    if output.exists() and tasks_path.exists() and output.samefile(tasks_path):
        raise RequestError(f"{output}: is the file with the tasks, which would be overwritten; name another with -o")
    check_writable(output)
    key = learnt_project(store, project)
    job = Job(recipe.path, store.directory, labeling_config_path, key, tasks_path.parent)
    model = model_of(job, recipe, store)
    check_learnt(recipe, key, model.loaded)
    read = read_parquet if tasks_path.suffix.lower() == ".parquet" else partial(read_tasks, answers=False)
    tasks = read(tasks_path, model.predictor.binding, columns=columns)
    predict: Callable[[Callable[[float, str], None]], Predicted] = partial(predict_here, model.predictor, tasks)
    if actors is not None:
        predict = partial(predict_by_ray, job, model.predictor.model_version, tasks, output, actors)
    with progress_bar("predict") as progress:
        done = predict(progress)
    write_file(output, predictions_text(done.written, output))
    if actors is not None:
        remove_blocks(output)
    predicted = sum(bool(task["predictions"]) for task in done.written)
    click.echo(f"wrote {output}: {predicted} of {len(tasks)} tasks predicted by {model.predictor.model_version}")
    for reason, count in done.dropped.items():
        click.echo(f"  {reason}, {many(count, 'time')}: {done.why[reason]}", err=True)
    if done.refused:
        left_out = f"{many(len(done.refused), 'task')} {are(len(done.refused))} left out"
        click.echo(f"  {left_out}, or Label Studio would refuse the whole file; the first: {done.refused[0]}", err=True)
