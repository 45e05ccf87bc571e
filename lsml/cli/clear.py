"""`lsml clear`: delete predictions of this recipe from a project of Label Studio."""

from __future__ import annotations

from pathlib import Path

import click

from lsml.cli.common import data_dir_option, open_recipe, open_store, recipe_argument
from lsml.cli.projects import note_action, project_option, studio_project


@click.command("clear", short_help="Delete published predictions.")
@recipe_argument
@project_option("The project.", required=True)
@click.option("--version", metavar="V", help="Only those of this version: 3, v3, or a whole model version.")
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def command(
    recipe_path: Path, project: str, version: str | None, dry_run: bool, yes: bool, data_dir: Path | None
) -> None:
    """Delete the predictions of RECIPE's versions from a project of Label Studio.

    Predictions that lsml did not make stay, and so do annotations.
    """
    from lsml.versions import names_of

    recipe = open_recipe(recipe_path)
    store = open_store(recipe, data_dir)
    studio, row = studio_project(recipe, store, project)
    assert row.studio_id is not None
    predictions = studio.predictions(row.studio_id)
    ours = names_of(recipe.name)
    held = {}
    for name, count in predictions.versions().items():
        match = ours.fullmatch(name)
        if count and match is not None and version in (None, name, match[1], f"v{match[1]}"):
            held[name] = count
    where = f"{studio.url}/projects/{row.studio_id} ({row.title})"
    if not held:
        click.echo(f"{where} holds no prediction of {recipe.name}{f' {version}' if version else ''}")
        return
    for name, count in held.items():
        click.echo(f"{name}: {count:,} {'prediction' if count == 1 else 'predictions'}")
    if dry_run:
        return
    if not yes:
        click.confirm(f"Delete them from {where}?", abort=True)
    deleted = sum(predictions.delete_version(name) for name in held)
    note_action(store, "clear", row.key, f"{', '.join(held)}: {deleted:,} predictions")
    click.echo(f"deleted {deleted:,} predictions")
