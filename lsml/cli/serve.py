"""`lsml serve`: the web server alone."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
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
from lsml.cli.processes import processes_of, servers
from lsml.cli.screen import Screen
from lsml.cli.supervisor import keep_alive

if TYPE_CHECKING:
    from flask import Flask

    from lsml.recipe import Recipe


@click.command("serve", short_help="Only the web server.")
@recipes_argument
@address_options
@data_dir_option
@log_options
@held_option
@click.option("--child", is_flag=True, hidden=True, help="Started by another process of lsml; end with it.")
@click.option("--socket", "descriptor", type=int, hidden=True, help="An inherited socket that listens.")
@click.option("--number", type=int, default=0, hidden=True, help="Which of several processes at one port.")
def command(
    recipe_paths: tuple[Path, ...],
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    log_level: str,
    debug: bool,
    held: tuple[Path, ...],
    child: bool,
    descriptor: int | None,
    number: int,
) -> None:
    """Serve RECIPE over HTTP without training; `lsml work` trains. Ctrl-C finishes the current requests.

    Several recipes are served under /r/NAME each.
    """
    with starting():
        from lsml.server.app import create_app
        from lsml.server.interpreter import share
        from lsml.server.serve import serve
        from lsml.server.several import Several
        from lsml.server.swapping import Swapping
        from lsml.tracing import set_up_tracing
        from lsml.versions.mending import mend_shared

        opened = opener(recipe_paths, held, log_level, debug=debug)
        recipes = [opened(index, not child) for index in range(len(recipe_paths))]
        check_names(recipes)
        set_up_tracing("lsml-server")
        address = host or recipes[0].server.host
        if child:
            die_with_parent()
        else:
            _warn_if_open(recipes, address)
        if not child and processes_of(recipes) > 1:
            level = "debug" if debug else log_level
            sys.exit(_supervise(recipes[0], address, port, data_dir, level))
        stores = [open_store(recipe, data_dir_of(recipe, data_dir, recipes), to_load=True) for recipe in recipes]
        queues = [queue_of(recipe, store) for recipe, store in zip(recipes, stores, strict=True)]
        apps = [Swapping(create_app(*parts, address)) for parts in zip(recipes, stores, queues, strict=True)]
    share()

    def again(index: int) -> Flask:
        return create_app(opened(index, False), stores[index], queues[index], address)

    if child and os.name == "posix":
        on_new_recipe(held, lambda index: apps[index].swap(partial(again, index)))

    def listening(bound: int) -> None:
        _say_where(address, bound)
        if child:
            say_ready(stores[0].directory, f"serve-{number}" if number else "serve")
        for app in apps:
            app.parts.serving.warm_up()
        if number < 2:  # the first of several processes on this machine
            mend_shared(recipes, stores)

    app = apps[0] if len(apps) == 1 else Several({one.name: app for one, app in zip(recipes, apps, strict=True)})
    bound = None if descriptor is None else socket.socket(fileno=descriptor)
    serve(app, address, recipes[0].server.port if port is None else port, listening, bound=bound)


def _say_where(address: str, port: int) -> None:
    import logging

    shown = f"[{address}]" if ":" in address else address
    logging.getLogger("lsml.server").info("listening on http://%s:%d", shown, port)


def _warn_if_open(recipes: Sequence[Recipe], address: str) -> None:
    """Warn where others can reach lsml without a password."""
    from lsml.server.listening import open_to_others

    for warning in dict.fromkeys(filter(None, (open_to_others(recipe.server, address) for recipe in recipes))):
        click.echo(warning, err=True)


def _supervise(recipe: Recipe, host: str, port: int | None, data_dir: Path | None, level: str) -> int:
    """Keep several processes at one port alive until a signal stops them. Return the exit code. Raises PortInUse."""
    directory = data_dir_of(recipe, data_dir, [recipe])
    open_store(recipe, directory).close()
    arguments = [str(recipe.path), "--data-dir", str(directory), "--log-level", level]
    port = recipe.server.port if port is None else port
    children = servers(arguments, host, port, recipe.server.processes, directory, Screen(live=False))
    return keep_alive(children, lambda: None, lambda: None)[0]
