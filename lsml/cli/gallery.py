"""`lsml gallery`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lsml.cli.common import console

if TYPE_CHECKING:
    from lsml.recipe import Recipe


@click.command("gallery", short_help="List the gallery.")
def command() -> None:
    """List the recipes that come with lsml, and what to install for them; `lsml new NAME` copies one."""
    from rich.table import Table

    from lsml.recipe import load_recipe
    from lsml.recipe.gallery import gallery_recipes

    out = console()
    rows = [(name, _described(load_recipe(path))) for name, path in gallery_recipes().items()]
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


def _described(recipe: Recipe) -> str:
    """What a recipe does, and the command that installs what it lacks here."""
    from lsml.adapters import get_adapter, install_hint, is_installed

    adapters = [get_adapter(name) for name in dict.fromkeys(model.adapter for model in recipe.models)]
    hints = dict.fromkeys(install_hint(adapter) for adapter in adapters if not is_installed(adapter))
    return (recipe.description or "") + "".join(f" Needs: {hint}" for hint in hints)
