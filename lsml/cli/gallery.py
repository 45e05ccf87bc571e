"""`lsml gallery`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lsml.cli.common import console, json_option

if TYPE_CHECKING:
    from lsml.recipe import Recipe


@click.command("gallery", short_help="List the gallery.")
@json_option("a list of {name, description, adapters, needs}")
def command(as_json: bool) -> None:
    """List the recipes that come with lsml, and what to install for them; `lsml new NAME` copies one."""
    import json

    from rich.table import Table

    from lsml.recipe import load_recipe
    from lsml.recipe.gallery import gallery_recipes

    out = console()
    recipes = {name: load_recipe(path) for name, path in gallery_recipes().items()}
    if as_json:
        found = [
            {
                "name": name,
                "description": recipe.description or "",
                "adapters": list(recipe.adapters),
                "needs": _needs(recipe),
            }
            for name, recipe in recipes.items()
        ]
        click.echo(json.dumps(found, indent=1))
        return
    rows = [(name, _described(recipe)) for name, recipe in recipes.items()]
    if out.is_terminal:
        table = Table(box=None, pad_edge=False)
        table.add_column("Recipe", style="bold")
        table.add_column("What it does")
        for row in rows:
            table.add_row(*row)
        out.print(table)
        click.echo("\nlsml new NAME copies one for you to edit.")
    else:
        for name, description in rows:
            click.echo(f"{name}: {description}")


def _described(recipe: Recipe) -> str:
    """Return a recipe's description, and the command that installs its missing libraries."""
    return (recipe.description or "") + "".join(f" Needs: {hint}" for hint in _needs(recipe))


def _needs(recipe: Recipe) -> list[str]:
    """Return the commands that install what its adapters lack here."""
    from lsml.adapters import get_adapter, install_hint, is_installed

    adapters = map(get_adapter, recipe.adapters)
    return list(dict.fromkeys(install_hint(adapter) for adapter in adapters if not is_installed(adapter)))
