"""`lsml work`: the worker alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from lsml.cli.children import die_with_parent, on_hangup, say_ready
from lsml.cli.common import data_dir_option, held_option, log_options, open_recipe, open_store, recipe_argument


@click.command("work", short_help="Only the worker.")
@recipe_argument
@data_dir_option
@log_options
@held_option
@click.option("--child", is_flag=True, hidden=True, help="Started by `lsml run`: end when it does.")
@click.option("--run", "run", hidden=True, help="ID:ATTEMPT of one claimed run: do it, then end.")
def command(
    recipe_path: Path,
    data_dir: Path | None,
    log_level: str,
    debug: bool,
    held: Path | None,
    child: bool,
    run: str | None,
) -> None:
    """Train RECIPE's models whenever `lsml serve`, on the same data directory, asks. Ctrl-C hands a training back."""
    import logging

    from lsml.recipe import hold_recipe
    from lsml.store.queue import open_queue
    from lsml.worker.child import do_run
    from lsml.worker.consumer import Worker
    from lsml.worker.processes import step_back

    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug, warn=not child and run is None, held=held)
    if child or run is not None:
        die_with_parent()
    store = open_store(recipe, data_dir)
    if run is not None:
        step_back()
        id, _, attempt = run.partition(":")
        sys.exit(do_run(recipe, store, id, int(attempt)))
    held = held or hold_recipe(recipe_path, store.directory / "recipe-of-work.yaml")
    again = [sys.executable, "-m", "lsml", "work", str(recipe_path), "--data-dir", str(store.directory)]
    again += ["--held", str(held)]
    again += ["--log-level", "debug" if debug else log_level]
    logging.getLogger("lsml.worker").info("ready to train")
    if child:
        say_ready(store.directory, "work")
    worker = Worker(recipe, store, open_queue(store.directory), again)
    if child and os.name == "posix":
        on_hangup(lambda: worker.use(open_recipe(recipe_path, log_level=log_level, debug=debug, warn=False, held=held)))
    worker.run_forever()
