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
    from lsml.errors import VersionError
    from lsml.recipe import Recipe
    from lsml.store import ProjectRow, Store, VersionRow
    from lsml.versions import Card


@click.command("versions", short_help="List the versions.")
@recipe_argument
@data_dir_option
@project_option("Only this project.")
@json_option()
@click.option(
    "--labels", is_flag=True, help="Show which annotated labels are kept, renamed and dropped, instead of the versions."
)
@click.option(
    "--from",
    "export",
    type=click.Path(path_type=Path),
    metavar="EXPORT",
    help="With --labels: a file of annotated tasks instead of the stored annotations.",
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

    A version whose card cannot be read is listed with the error.

    With --labels, show the effect of RECIPE, and of a future labeling config, on the annotations so far: which labels are
    kept, renamed (`labels: {Bug: {was: [Defect]}}`) and dropped. Nothing is changed.
    """
    import json
    from datetime import datetime

    from lsml.errors import RequestError

    recipe = open_recipe(recipe_path)
    store = open_store(recipe, data_dir)
    rows = store.projects.all() if project is None else [find_project(store, project)]
    if labels:
        _print_labels(recipe, store, rows, export, labeling_config_path, as_json)
        return
    if export is not None or labeling_config_path is not None:
        raise RequestError("--from and --labeling-config need --labels; add it")
    if as_json:
        listed = [
            {"project": row.key, "title": row.title, "version": version.number, "promoted": version.number == row.promoted,
             **_card_as_json(_card_or_error(version))}
            for row in rows for version in store.versions.of_project(row.key)
        ]  # fmt: skip
        click.echo(json.dumps(listed, indent=1))
        return
    out = console()
    count = 0
    for row in rows:
        for version in store.versions.of_project(row.key):
            count += 1
            card = _card_or_error(version)
            mark = "  promoted" if version.number == row.promoted else ""
            made = datetime.fromtimestamp(version.created_at).strftime("%Y-%m-%d %H:%M")
            named = f"{shown_project(row)}  v{version.number}  {made}"
            if isinstance(card, Exception):
                out.print(f"{named}{mark}\n    {card}", markup=False)
                continue
            metrics = ", ".join(_judged(name, judged) for name, judged in card.metrics.items())
            examples = sum(model.examples for model in card.models.values())
            out.print(f"{named}  {examples} examples  {metrics}{mark}", markup=False)
            out.print(f"    {card.verdict}", markup=False)
            for key, model in card.models.items():
                if model.selection is not None:
                    out.print(f"    {key}: {model.selection.sentence}", markup=False)
    if not count:
        click.echo("no versions yet: annotate in Label Studio, or train on an export with `lsml train`")


def _card_or_error(version: VersionRow) -> Card | VersionError:
    """Return the card of a version; the error where it cannot be read."""
    from lsml.errors import VersionError
    from lsml.versions import card_of

    try:
        return card_of(version)
    except VersionError as error:
        return error


def _card_as_json(card: Card | VersionError) -> dict[str, object]:
    """Return the entries of a version in --json: its card, or in its place null and the error."""
    import msgspec

    if isinstance(card, Exception):
        return {"card": None, "error": str(card)}
    return {"card": msgspec.to_builtins(card)}


def _print_labels(
    recipe: Recipe,
    store: Store,
    rows: Sequence[ProjectRow],
    export: Path | None,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Print the kept, renamed and dropped labels of a file, or of each project's stored annotations."""
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
    """Return a control's metric, with a caution where it rests on few answers."""
    from lsml.labeling.annotated import many

    few = caution(judged)
    on = f" (on {many(judged['examples'], 'answer')}{few})" if few else ""
    return f"{name} {metric_text(judged, digits=3)}{on}"
