"""`lsml evaluate`: offline, on an export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lsml.cli.columns import columns_option
from lsml.cli.common import (
    answering_tags,
    bind_project,
    caution,
    console,
    data_dir_option,
    from_predictions_option,
    json_option,
    labeling_config_option,
    log_options,
    metric_text,
    open_recipe,
    open_store,
    progress_bar,
    read_tasks,
    recipe_argument,
    say_unused,
)
from lsml.cli.figures import confusion_lines
from lsml.cli.projects import check_learnt, learnt_project, project_option
from lsml.metrics import Metrics

if TYPE_CHECKING:
    from lsml.labeling.rows import Named
    from lsml.learning.judge import Judged


@click.command("evaluate", short_help="Evaluate on an export.")
@recipe_argument
@click.argument("export", type=click.Path(path_type=Path))
@data_dir_option
@labeling_config_option
@columns_option(answers=True)
@project_option("Evaluate the version of this project [default: `local`, or the only trained one].")
@from_predictions_option
@json_option("{model_version, tasks, tags: {name: {metric, ...}}, left_out: [...]}")
@log_options
def command(
    recipe_path: Path,
    export: Path,
    data_dir: Path | None,
    labeling_config_path: Path | None,
    columns: Named,
    project: str | None,
    from_predictions: bool,
    as_json: bool,
    log_level: str,
    debug: bool,
) -> None:
    """Evaluate the promoted version of a project on every annotated task of EXPORT.

    EXPORT is a file of annotated tasks, in any format that `lsml train` reads.

    Tasks may name files on this machine; relative paths start at the folder of EXPORT, then at the current one.
    """
    from msgspec import to_builtins

    from lsml.binding import sentences
    from lsml.errors import NotEnoughData
    from lsml.labeling.annotated import AnnotatedTasks
    from lsml.learning.judge import evaluate, unread_sentence
    from lsml.learning.snapshot import read_examples
    from lsml.studio.connection import fetcher
    from lsml.versions import load_promoted, model_version

    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug)
    store = open_store(recipe, data_dir, to_load=True)
    key = learnt_project(store, project)
    binding = bind_project(recipe, labeling_config_path, store.projects.get(key))
    loaded = load_promoted(store, key, binding)
    annotated = AnnotatedTasks(
        read_tasks(export, binding, answers=True, columns=columns), from_predictions=from_predictions
    )
    with fetcher(recipe, None, by_person=True, beside=export.parent).hold() as fetch:
        examples, left_out = read_examples(binding, annotated, fetch)
        if not examples:
            raise NotEnoughData(f"{export}: {annotated.why_none(answering_tags(binding), sentences(left_out))}")
        check_learnt(recipe, key, loaded)
        say_unused(export, annotated, binding)
        with progress_bar("evaluate") as progress:
            judged = evaluate(binding, loaded.adapters, examples, fetch, progress)
    if judged.unread:
        click.echo(f"left out: {unread_sentence(judged.unread)}", err=True)
    _leave_out_unjudged(judged.metrics)
    name = model_version(binding, loaded.number, loaded.card, loaded.project)
    if as_json:
        told = {"model_version": name, "tasks": judged.tasks, "tags": judged.metrics, "left_out": to_builtins(left_out)}
        click.echo(json.dumps(told, indent=1))
        return
    _print(name, judged)
    for sentence in sentences(left_out):
        click.echo(sentence)


def _print(name: str, judged: Judged) -> None:
    """Print the metrics of each control, and of each of its labels."""
    from lsml.labeling.annotated import many

    out = console()
    out.print(f"{name} on {many(judged.tasks, 'annotated task')}", markup=False)
    for control, metrics in judged.metrics.items():
        extra = "".join(
            f", {key.replace('_', ' ')} {metrics[key]:.4f}"
            for key in ("accuracy", "mean_absolute_error", "calibration_error")
            if metrics["value"] is not None and metrics.get(key) is not None
        )
        out.print(
            f"{control}: {metric_text(metrics)}{extra}, {many(metrics['examples'], 'example')}{caution(metrics)}",
            markup=False,
        )
        for label, row in metrics["per_label"].items():
            if not row["examples"]:
                out.print(f"    {label}: no examples", markup=False)
                continue
            out.print(
                f"    {label}: precision {row['precision']:.3f}, recall {row['recall']:.3f}, f1 {row['f1']:.3f}, "
                f"{many(row['examples'], 'example')}",
                markup=False,
            )
        for line in confusion_lines(metrics.get("confusion") or {}):
            out.print(f"    {line}", markup=False)


def _leave_out_unjudged(judged: dict[str, Metrics]) -> None:
    """Remove the figures of labels that no annotated task has, as there is nothing to judge them by."""
    for metrics in judged.values():
        for label, row in metrics["per_label"].items():
            if not row["examples"]:
                metrics["per_label"][label] = {**dict.fromkeys(row), "examples": 0}
