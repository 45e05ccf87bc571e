"""`lsml new`."""

from __future__ import annotations

from pathlib import Path

import click

from lsml.cli.common import bind_config, open_recipe, shortfall, write_file


@click.command("new", short_help="Copy a recipe from the gallery.")
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write it [default: ./NAME.yaml].")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def command(name: str, output: Path | None, force: bool) -> None:
    """Copy the gallery's recipe NAME to ./NAME.yaml, for you to edit; say what it needs that is not installed here."""
    from lsml.errors import RequestError
    from lsml.recipe.gallery import find_recipe

    source = find_recipe(name)
    target = output or Path(source.name)
    if target.is_dir():
        target = target / source.name
    if target.exists() and not force:
        raise RequestError(f"{target}: is there already; choose another name with -o, or write over it with --force")
    write_file(target, source.read_text(encoding="utf-8"))
    lacks = shortfall(bind_config(open_recipe(target), None))
    click.echo(f"wrote {target}; edit it, then: lsml run {target}")
    for line in lacks:
        click.echo(line)
