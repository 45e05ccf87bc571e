"""`lsml export`."""

from __future__ import annotations

from pathlib import Path

import click

from lsml.cli.common import check_writable, data_dir_option, open_recipe, recipe_argument


@click.command("export", short_help="The data as one file.")
@recipe_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write it [default: NAME.lsml.zip].")
@data_dir_option
def command(recipe_path: Path, output: Path | None, data_dir: Path | None) -> None:
    """Write all data of RECIPE into one file, as a backup: projects, annotations, runs and versions.

    lsml may be running: all is of one moment. Each part is written with its hash, which `lsml import` checks. Tokens from
    Label Studio are left out. So are versions whose files are missing or damaged: they are named, and it ends with 1. Only
    its owner can read the file.
    """
    from lsml.errors import RequestError
    from lsml.labeling.annotated import many
    from lsml.store import Store
    from lsml.versions.archive import export_to

    recipe = open_recipe(recipe_path)
    directory = recipe.data_directory(data_dir)
    if recipe.storage.database is None and not (directory / "lsml.db").is_file():
        raise RequestError(f"{directory}: holds no data yet; give the directory of `lsml run` with --data-dir")
    output = output or Path(f"{recipe.name}.lsml.zip")
    check_writable(output)
    store = Store(directory, recipe.storage, recipe.name)
    manifest, broken = export_to(store, recipe.name, output)
    projects = len(store.projects.all())
    store.close()
    for sentence in broken:
        click.echo(f"{sentence}; its files were left out", err=True)
    size = output.stat().st_size
    held = f"{many(projects, 'project')}, {many(len(manifest.files), 'file')}, {size / 1e6:,.1f} MB"
    click.echo(f"wrote {output}: {held}; it contains no token")
    if broken:
        raise SystemExit(1)
