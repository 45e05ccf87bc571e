"""`lsml status`."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsml.cli.common import (
    bind_config,
    caution,
    console,
    data_dir_option,
    json_option,
    metric_text,
    open_recipe,
    open_store,
    recipe_argument,
)
from lsml.cli.figures import curve_line
from lsml.cli.projects import find_project, project_option, shown_project

if TYPE_CHECKING:
    from lsml.recipe import Recipe
    from lsml.store import ProjectRow, Store

_WATCH_S = 2.0  # seconds between two updates


@click.command("status", short_help="Show the state of each project, and whether more annotations help.")
@recipe_argument
@data_dir_option
@project_option("Only this project.")
@json_option("a list with an object for each project")
@click.option("--watch", is_flag=True, help="Update it every two seconds, until Ctrl-C.")
def command(recipe_path: Path, data_dir: Path | None, project: str | None, as_json: bool, watch: bool) -> None:
    """Show for each project of RECIPE the served version, the annotations until the next training, the metric from version
    to version, and the expected gain of the next 100 annotations.
    """
    recipe = open_recipe(recipe_path)
    store = open_store(recipe, data_dir)
    if not watch:
        _tell(recipe, store, project, as_json)
        return
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            if sys.stdout.isatty() and not as_json:
                click.clear()
            _tell(recipe, store, project, as_json)
            time.sleep(_WATCH_S)


def _tell(recipe: Recipe, store: Store, project: str | None, as_json: bool) -> None:
    """Print the state of each project."""
    rows = store.projects.all() if project is None else [find_project(store, project)]
    found = [_status(recipe, store, row) for row in rows]
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for row, one in zip(rows, found, strict=True):
        _print(recipe, store, row, one)
    if not rows:
        click.echo("no project yet: connect one with `lsml connect`, or train on an export with `lsml train`")


def _status(recipe: Recipe, store: Store, row: ProjectRow) -> dict[str, object]:
    from msgspec import to_builtins

    from lsml.cli.live import trouble_or_work
    from lsml.errors import VersionError
    from lsml.learning.due import changes_needed, counts
    from lsml.learning.outlook import curve_of, outlook_of
    from lsml.versions import card_of, model_version

    served = store.versions.served(row.key)
    card, unreadable = None, []
    try:
        card = card_of(served) if served is not None else None
    except VersionError as error:
        unreadable = [str(error)]
    binding = bind_config(recipe, None, row)
    name = model_version(binding, served.number if served else 0, card, row.key)
    usable, changes = counts(store, recipe, row.key)
    outlook = outlook_of(store, row.key)
    return {
        "project": row.key, "title": row.title, "promoted": row.promoted, "model_version": name,
        "metrics": to_builtins(card.metrics) if card else {}, "annotations": usable, "changes_since_last_run": changes,
        "changes_needed": changes_needed(recipe, usable, changes),
        "work": [*unreadable, *binding.paused, *trouble_or_work(store, row.key)],
        "curve": to_builtins(curve_of(store, row.key)),
        "outlook": {**to_builtins(outlook), "sentence": outlook.sentence},
    }  # fmt: skip


def _print(recipe: Recipe, store: Store, row: ProjectRow, found: dict[str, Any]) -> None:
    from lsml.cli.live import start_of_day
    from lsml.labeling.annotated import many
    from lsml.learning.outlook import curve_of
    from lsml.store import LOCAL

    out = console()
    out.print(shown_project(row), markup=False)
    judged = ", ".join(
        f"{name} {metric_text(one, digits=3)} on {many(one['examples'], 'held-out example')}{caution(one)}"
        for name, one in found["metrics"].items()
        if one.get("value") is not None
    )
    learnt = f"serves {found['model_version']}" if found["promoted"] is not None else "has no trained version yet"
    out.print(f"  {learnt}{f': {judged}' if judged else ''}", markup=False)
    if row.key != LOCAL:  # `local` is only trained by command
        needed, changes = found["changes_needed"], found["changes_since_last_run"]
        due = "" if needed is None else f", {max(0, needed - changes):,} more until the next training"
        if start := start_of_day(recipe, store, row.key):
            due = f"; the next training starts at {start}"
        out.print(f"  {many(found['annotations'], 'annotation')}{due}", markup=False)
    for sentence in found["work"]:
        out.print(f"  {sentence}", markup=False)
    if curve := curve_line(curve_of(store, row.key)):
        out.print(f"  {curve}", markup=False)
    out.print(f"  {found['outlook']['sentence']}", markup=False)
