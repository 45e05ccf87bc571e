"""`lsml migrate`."""

from __future__ import annotations

from pathlib import Path

import click

from lsml.cli.common import data_dir_option, open_recipe, progress_bar, recipe_argument


@click.command("migrate", short_help="Move a data directory to PostgreSQL and S3.")
@recipe_argument
@data_dir_option
def command(recipe_path: Path, data_dir: Path | None) -> None:
    """Move RECIPE's data directory to `storage.database` of RECIPE, and the files of versions to `storage.artifacts`.

    Every row and file is read again and compared. lsml may be running on the directory: when everything is moved, it
    still predicts, and refuses annotations until it is restarted with RECIPE. The directory is kept.
    """
    from lsml.labeling.annotated import many
    from lsml.recipe import shown_address
    from lsml.versions.moving import move

    recipe = open_recipe(recipe_path)
    directory = recipe.data_directory(data_dir)
    with progress_bar("migrate") as tell:
        moved = move(recipe, directory, lambda what: tell(0.0, what))
    for sentence in moved.broken:
        click.echo(f"{sentence}; its files were left out", err=True)
    address = shown_address(recipe.storage.database or "")
    click.echo(
        f"moved {many(moved.projects, 'project')} and {many(moved.versions, 'version')} to {address}; "
        f"restart lsml with {recipe_path}"
    )
