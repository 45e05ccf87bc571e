"""`lsml validate`."""

from __future__ import annotations

from pathlib import Path

import click

from lsml.cli.common import bind_config, bound, labeling_config_option, open_recipe, recipe_argument, shortfall


@click.command("validate", short_help="Check a recipe.")
@recipe_argument
@labeling_config_option
def command(recipe_path: Path, labeling_config_path: Path | None) -> None:
    """Check RECIPE and print every problem as file:line:column: key: the problem; what to do. The exit code is 2 if there
    is one.
    """
    recipe = open_recipe(recipe_path)
    binding = bind_config(recipe, labeling_config_path)
    for line in shortfall(binding):
        click.echo(line)
    if binding.config is None:
        click.echo(
            f"{recipe_path}: valid; it has no labeling config, so its binding is known only when Label Studio connects"
        )
    else:
        click.echo(f"{recipe_path}: valid; {bound(binding)}")
