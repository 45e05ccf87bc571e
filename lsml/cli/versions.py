"""`lsml versions`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from lsml.cli.common import caution, console, data_dir_option, metric_text, open_recipe, open_store, recipe_argument
from lsml.cli.projects import find_project, project_option, shown_project


@click.command("versions", short_help="List the versions.")
@recipe_argument
@data_dir_option
@project_option("Only this project.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(recipe_path: Path, data_dir: Path | None, project: str | None, as_json: bool) -> None:
    """List the versions of each project of RECIPE with their held-out metrics, and which one is promoted."""
    import json
    from datetime import datetime

    import msgspec

    from lsml.versions import card_of

    recipe = open_recipe(recipe_path)
    store = open_store(recipe, data_dir)
    rows = store.projects.all() if project is None else [find_project(store, project)]
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


def _judged(name: str, judged: Mapping[str, Any]) -> str:
    """A control's metric, and that it says little where it does."""
    from lsml.labeling.annotated import many

    few = caution(judged)
    on = f" (on {many(judged['examples'], 'answer')}{few})" if few else ""
    return f"{name} {metric_text(judged, digits=3)}{on}"
