"""`lsml promote`."""

from __future__ import annotations

from pathlib import Path

import click

from lsml.cli.common import data_dir_option, open_recipe, open_store, recipe_argument
from lsml.cli.projects import find_project, note_action, project_option, shown_project


@click.command("promote", short_help="Serve another version.")
@recipe_argument
@click.argument("version")
@data_dir_option
@project_option("The project [default: the only one with versions].")
def command(recipe_path: Path, version: str, data_dir: Path | None, project: str | None) -> None:
    """Serve VERSION (3, v3, or a whole model_version) from now on. Running servers load it at their next request."""
    import re

    from lsml.errors import RequestError
    from lsml.versions import card_of, check_files, names_of, short_key

    recipe = open_recipe(recipe_path)
    # In a whole model_version, the part after the number depends on the options, which are no part of the version itself.
    found = re.fullmatch(r"v?(\d{1,9})", version, re.ASCII) or names_of(recipe.name).fullmatch(version)
    if found is None:
        raise RequestError(
            f"{version}: expected a version such as 3, v3 or {recipe.name}-v3-0123abcd; `lsml versions` lists them"
        )
    whose = found[2] if found.re.groups > 1 else None
    store = open_store(recipe, data_dir)
    rows = [row for row in store.projects.all() if store.versions.of_project(row.key)]
    if whose is not None:
        rows = [row for row in rows if short_key(row.key) == whose]
    if project is not None:
        row = find_project(store, project)
        if whose not in (None, short_key(row.key)):
            raise RequestError(f"{version} belongs to another project than {shown_project(row)}; give only its number")
    elif len(rows) == 1:
        row = rows[0]
    else:
        names = ", ".join(shown_project(row) for row in rows)
        raise RequestError(f"name the project with --project: {names}" if names else "no project has versions yet")
    number = int(found[1])
    stored = store.versions.get(row.key, number)
    if stored is not None:
        check_files(store.artifacts.open(stored.folder), card_of(stored))
    store.versions.promote(row.key, number)
    note_action(store, "promote", row.key, f"v{number}")
    click.echo(f"project {row.key} serves v{number}")
