"""`lsml versions`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lsml.cli.common import (
    bind_config,
    caution,
    console,
    data_dir_option,
    json_option,
    labeling_config_option,
    metric_text,
    open_recipe,
    open_store,
    read_tasks,
    recipe_argument,
)
from lsml.cli.projects import find_project, project_option, shown_project
from lsml.cli.relabelling import told_survey
from lsml.metrics import Metrics

if TYPE_CHECKING:
    from lsml.recipe import Recipe
    from lsml.store import ProjectRow, Store


@click.command("versions", short_help="List the versions.")
@recipe_argument
@data_dir_option
@project_option("Only this project.")
@json_option()
@click.option(
    "--labels", is_flag=True, help="Tell what becomes of the labels that people gave, in place of the versions."
)
@click.option(
    "--from",
    "export",
    type=click.Path(path_type=Path),
    metavar="EXPORT",
    help="With --labels: those of a file of annotated tasks, in place of those that lsml has.",
)
@labeling_config_option
def command(
    recipe_path: Path,
    data_dir: Path | None,
    project: str | None,
    as_json: bool,
    labels: bool,
    export: Path | None,
    labeling_config_path: Path | None,
) -> None:
    """List the versions of each project of RECIPE with their held-out metrics, and which one is promoted.

    With --labels it tells what RECIPE, and a labeling config that is to come, make of what was annotated so far: which labels
    are kept, renamed (`labels: {Bug: {was: [Defect]}}`) and dropped. It changes nothing.
    """
    import json
    from datetime import datetime

    import msgspec

    from lsml.errors import RequestError
    from lsml.versions import card_of

    recipe = open_recipe(recipe_path)
    store = open_store(recipe, data_dir)
    rows = store.projects.all() if project is None else [find_project(store, project)]
    if labels:
        _print_labels(recipe, store, rows, export, labeling_config_path, as_json)
        return
    if export is not None or labeling_config_path is not None:
        raise RequestError("--from and --labeling-config belong to --labels; add it")
    if as_json:
        listed = [
            {"project": row.key, "title": row.title, "version": version.number, "promoted": version.number == row.promoted,
             "card": msgspec.to_builtins(card_of(version))}
            for row in rows for version in store.versions.of_project(row.key)
        ]  # fmt: skip
        click.echo(json.dumps(listed, indent=1))
        return
    out = console()
    shown = 0
    for row in rows:
        for version in store.versions.of_project(row.key):
            shown += 1
            card = card_of(version)
            metrics = ", ".join(_judged(name, judged) for name, judged in card.metrics.items())
            mark = "  promoted" if version.number == row.promoted else ""
            made = datetime.fromtimestamp(version.created_at).strftime("%Y-%m-%d %H:%M")
            examples = sum(model.examples for model in card.models.values())
            out.print(
                f"{shown_project(row)}  v{version.number}  {made}  {examples} examples  {metrics}{mark}", markup=False
            )
            out.print(f"    {card.verdict}", markup=False)
    if not shown:
        click.echo("no versions yet: annotate in Label Studio, or train on an export with `lsml train`")


def _print_labels(
    recipe: Recipe,
    store: Store,
    rows: Sequence[ProjectRow],
    export: Path | None,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """What becomes of the labels in a file, or in what lsml has of each project."""
    import json

    import msgspec

    from lsml.binding.survey import survey
    from lsml.errors import RequestError
    from lsml.labeling.annotated import AnnotatedTasks, many

    surveyed = []
    if export is not None:
        binding = bind_config(recipe, config_path, rows[0] if len(rows) == 1 else None)
        surveyed.append((str(export), survey(binding, AnnotatedTasks(read_tasks(export, binding, answers=True)))))
    for row in rows if export is None else ():
        binding = bind_config(recipe, config_path, row)
        if binding.config is not None and any(True for _ in store.annotations.tasks(row.key)):
            surveyed.append((shown_project(row), survey(binding, store.annotations.tasks(row.key))))
    if not surveyed:
        raise RequestError("no project has annotations here; name a file of annotated tasks with --from")
    if as_json:
        click.echo(json.dumps([{"of": name, **msgspec.to_builtins(found)} for name, found in surveyed], indent=1))
        return
    for name, found in surveyed:
        click.echo(f"{name}: {many(found.tasks, 'annotated task')}")
        for line in told_survey(found):
            click.echo(line)


def _judged(name: str, judged: Metrics) -> str:
    """A control's metric, and that it says little where it does."""
    from lsml.labeling.annotated import many

    few = caution(judged)
    on = f" (on {many(judged['examples'], 'answer')}{few})" if few else ""
    return f"{name} {metric_text(judged, digits=3)}{on}"
