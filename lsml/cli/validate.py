"""`lsml validate`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from lsml.cli.common import (
    bind_config,
    bound,
    json_option,
    labeling_config_option,
    open_recipe,
    recipe_argument,
    shortfall,
)
from lsml.errors import RecipeError


@click.command("validate", short_help="Check a recipe.")
@recipe_argument
@labeling_config_option
@json_option("a list of problems, empty for a valid recipe, each with file, line, column, key and message")
def command(recipe_path: Path, labeling_config_path: Path | None, as_json: bool) -> None:
    """Check RECIPE and print every problem as file:line:column: key: the problem; what to do. The exit code is 2 if there
    is one.
    """
    if as_json:
        _print_json(recipe_path, labeling_config_path)
        return
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


def _print_json(recipe_path: Path, labeling_config_path: Path | None) -> None:
    """Print all problems as JSON; exit with 2 if there is one."""
    try:
        bind_config(open_recipe(recipe_path), labeling_config_path)
    except RecipeError as error:
        click.echo(json.dumps([asdict(one) for one in error.problems], indent=1))
        raise click.exceptions.Exit(error.exit_code) from None
    click.echo("[]")
