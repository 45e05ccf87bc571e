"""`lsml gallery`."""

from __future__ import annotations

import click

from lsml.cli.common import console


@click.command("gallery", short_help="List the gallery.")
def command() -> None:
    """List the recipes that come with lsml; `lsml new NAME` copies one."""
    from rich.table import Table

    from lsml.recipe import load_recipe
    from lsml.recipe.gallery import gallery_recipes

    out = console()
    rows = [(name, load_recipe(path).description or "") for name, path in gallery_recipes().items()]
    if out.is_terminal:
        table = Table(box=None, pad_edge=False)
        table.add_column("Recipe", style="bold")
        table.add_column("What it does")
        for row in rows:
            table.add_row(*row)
        out.print(table)
        click.echo("\nlsml new NAME copies one, to edit.")
    else:
        for name, description in rows:
            click.echo(f"{name}: {description}")
