"""`lsml serve`: the web server alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lsml.cli.children import die_with_parent, on_hangup, say_ready
from lsml.cli.common import (
    address_options,
    data_dir_option,
    held_option,
    log_options,
    open_recipe,
    open_store,
    recipe_argument,
)

if TYPE_CHECKING:
    from flask import Flask


@click.command("serve", short_help="Only the web server.")
@recipe_argument
@address_options
@data_dir_option
@log_options
@held_option
@click.option("--child", is_flag=True, hidden=True, help="Started by `lsml run`: end when it does.")
def command(
    recipe_path: Path,
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    log_level: str,
    debug: bool,
    held: Path | None,
    child: bool,
) -> None:
    """Serve RECIPE over HTTP, without learning; `lsml work` beside it trains. Ctrl-C finishes the requests at hand."""
    import logging

    from lsml.server.interpreter import share

    share()  # first of all: what is imported now would be looked through again and again
    from lsml.server import create_app, open_to_others, serve
    from lsml.server.swapping import Swapping
    from lsml.store.queue import open_queue

    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug, warn=not child, held=held)
    if child:
        die_with_parent()
    store = open_store(recipe, data_dir)
    address = host or recipe.server.host
    queue = open_queue(store.directory)
    app = create_app(recipe, store, queue, address)
    swapping = Swapping(app)

    def again() -> Flask:
        return create_app(open_recipe(recipe_path, log_level=log_level, debug=debug, held=held), store, queue, address)

    if child and os.name == "posix":
        on_hangup(lambda: swapping.swap(again))
    if not child and (warning := open_to_others(recipe.server, address)):
        click.echo(warning, err=True)

    def listening(bound: int) -> None:
        logging.getLogger("lsml.server").info(
            "listening on http://%s:%d", f"[{address}]" if ":" in address else address, bound
        )
        if child:
            say_ready(store.directory, "serve")
        app.extensions["lsml"].warm_up()

    serve(swapping, address, recipe.server.port if port is None else port, listening)
