"""`lsml import`."""

from __future__ import annotations

from pathlib import Path

import click

from lsml.cli.common import data_dir_option, open_recipe, recipe_argument


@click.command("import", short_help="Read a file of `export`.")
@recipe_argument
@click.argument("file", type=click.Path(path_type=Path))
@data_dir_option
@click.option(
    "--force", is_flag=True, help="Move data that is there into a folder beside the new. lsml must be stopped."
)
def command(recipe_path: Path, file: Path, data_dir: Path | None, force: bool) -> None:
    """Restore RECIPE's data directory from a FILE of `lsml export`.

    Every hash is checked first. Without --force, a directory with data is not changed.
    """
    from lsml.errors import RequestError
    from lsml.labeling.annotated import many
    from lsml.store import Store
    from lsml.versions.archive import import_from

    recipe = open_recipe(recipe_path)
    if recipe.storage.database is not None:
        raise RequestError(
            f"{recipe_path}: `import` restores a data directory, and storage.database names a server; restore that "
            "from a backup of its own"
        )
    directory = recipe.data_directory(data_dir)
    manifest, aside = import_from(file, directory, force=force)
    if aside is not None:
        click.echo(f"moved the data that was there to {aside}")
    if manifest.recipe != recipe.name:
        click.echo(
            f"{file}: was exported from the recipe {manifest.recipe}, and this one is {recipe.name}; the versions "
            "get new names",
            err=True,
        )
    store = Store(directory)
    projects, versions = len(store.projects.all()), sum(store.versions.counts().values())
    store.close()
    click.echo(
        f"{directory}: {many(projects, 'project')}, {many(versions, 'version')}; `lsml run {recipe_path}` serves them"
    )
