"""`lsml serve`: the web server alone."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lsml.cli.children import die_with_parent, on_new_recipe, say_ready
from lsml.cli.common import (
    address_options,
    check_names,
    data_dir_of,
    data_dir_option,
    held_option,
    log_options,
    open_store,
    opener,
    queue_of,
    recipes_argument,
    starting,
)

if TYPE_CHECKING:
    from flask import Flask


@click.command("serve", short_help="Only the web server.")
@recipes_argument
@address_options
@data_dir_option
@log_options
@held_option
@click.option("--child", is_flag=True, hidden=True, help="Started by `lsml run`; end with it.")
def command(
    recipe_paths: tuple[Path, ...],
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    log_level: str,
    debug: bool,
    held: tuple[Path, ...],
    child: bool,
) -> None:
    """Serve RECIPE over HTTP without training; `lsml work` trains. Ctrl-C finishes the current requests.

    Several recipes are served under /r/NAME each.
    """
    import logging

    with starting():
        from lsml.server.app import create_app
        from lsml.server.interpreter import share
        from lsml.server.listening import open_to_others
        from lsml.server.serve import serve
        from lsml.server.several import Several
        from lsml.server.swapping import Swapping

        opened = opener(recipe_paths, held, log_level, debug=debug)
        recipes = [opened(number, not child) for number in range(len(recipe_paths))]
        check_names(recipes)
        if child:
            die_with_parent()
        stores = [open_store(recipe, data_dir_of(recipe, data_dir, recipes), to_load=True) for recipe in recipes]
        address = host or recipes[0].server.host
        queues = [queue_of(recipe, store) for recipe, store in zip(recipes, stores, strict=True)]
        apps = [Swapping(create_app(*parts, address)) for parts in zip(recipes, stores, queues, strict=True)]
    share()

    def again(number: int) -> Flask:
        return create_app(opened(number, False), stores[number], queues[number], address)

    if child and os.name == "posix":
        on_new_recipe(held, lambda number: apps[number].swap(partial(again, number)))
    if not child:
        for warning in dict.fromkeys(filter(None, (open_to_others(recipe.server, address) for recipe in recipes))):
            click.echo(warning, err=True)

    def listening(bound: int) -> None:
        logging.getLogger("lsml.server").info(
            "listening on http://%s:%d", f"[{address}]" if ":" in address else address, bound
        )
        if child:
            say_ready(stores[0].directory, "serve")
        for app in apps:
            app.parts.serving.warm_up()

    app = apps[0] if len(apps) == 1 else Several({one.name: app for one, app in zip(recipes, apps, strict=True)})
    serve(app, address, recipes[0].server.port if port is None else port, listening)
