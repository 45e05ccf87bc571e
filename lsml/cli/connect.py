"""`lsml connect`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from lsml.cli.common import address_options, json_option, log_options, open_recipe, recipe_argument, studio_options
from lsml.cli.connecting import ConnectOptions


@click.command("connect", short_help="Connect a project of Label Studio.")
@recipe_argument
@studio_options
@address_options
@click.option("--dry-run", is_flag=True, help="Only print what would be changed.")
@json_option("one object")
@log_options
def command(
    recipe_path: Path,
    host: str | None,
    port: int | None,
    dry_run: bool,
    as_json: bool,
    log_level: str,
    debug: bool,
    **studio: Any,
) -> None:
    """Connect a project of Label Studio to RECIPE, which `lsml run` must be serving.

    Afterwards the project has this model and its webhook. It hands out the least certain tasks first, shows
    predictions, and smart tools ask the model. Each change is printed. Connecting again changes nothing.

    With --create the project gets the recipe's labeling config. --host and --port are those of `lsml run`.
    """
    target = ConnectOptions(**studio, dry=dry_run)
    target.check()
    target.tell_environment()
    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug)
    listens = host or recipe.server.host, recipe.server.port if port is None else port
    connected = target.connect(recipe, *listens, lambda _said: None if as_json else click.echo(_said))
    if as_json:
        from lsml.logs import mask

        told = {"project": connected.project, "title": connected.title, "address": connected.address,
                "changes": [mask(one) for one in connected.changes], "notes": [mask(one) for one in connected.notes],
                "dry_run": dry_run}  # fmt: skip
        click.echo(json.dumps(told, indent=1))
        return
    if not connected.changes:
        click.echo("nothing to change")
    click.echo(f"{connected.title}: {connected.address}")
