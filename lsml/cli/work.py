"""`lsml work`: the worker alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lsml.cli.children import die_with_parent, on_new_recipe, say_ready
from lsml.cli.common import (
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
    from lsml.recipe import Recipe


@click.command("work", short_help="Only the worker.")
@recipes_argument
@data_dir_option
@log_options
@held_option
@click.option(
    "--queue", help="Do the runs for which `storage.queues` of RECIPE names this queue [default: those without]."
)
@click.option("--child", is_flag=True, hidden=True, help="Started by `lsml run`; end with it.")
@click.option("--run", "run", hidden=True, help="ID:ATTEMPT of a claimed run of RECIPE: do it, then end.")
def command(
    recipe_paths: tuple[Path, ...],
    data_dir: Path | None,
    log_level: str,
    debug: bool,
    held: tuple[Path, ...],
    queue: str | None,
    child: bool,
    run: str | None,
) -> None:
    """Train RECIPE's models when `lsml serve` on the same data directory requests it. After Ctrl-C, an unfinished
    training is run again later.

    With several recipes, one model is trained at a time. Several workers share the runs, each project in its turn.
    """
    import gc
    import logging

    with starting():
        from lsml.recipe import hold_recipe
        from lsml.tracing import set_up_tracing
        from lsml.versions.mending import mend_shared
        from lsml.worker.child import do_run
        from lsml.worker.consumer import Crew, Worker
        from lsml.worker.processes import step_back

        opened = opener(recipe_paths, held, log_level, debug=debug)
        recipes = [opened(number, not child and run is None) for number in range(len(recipe_paths))]
        check_names(recipes)
        set_up_tracing("lsml-worker")
        for recipe in recipes:
            _check_queue(recipe, queue)
        if child or run is not None:
            die_with_parent()
        stores = [open_store(recipe, data_dir_of(recipe, data_dir, recipes), to_load=True) for recipe in recipes]
    if run is not None:
        step_back()
        id, _, attempt = run.partition(":")
        code = do_run(recipes[0], stores[0], id, int(attempt))
        gc.freeze()  # at its end Python would look through the million objects of model libraries once more
        sys.exit(code)
    if not held:
        held = tuple(
            hold_recipe(path, store.directory / "recipe-of-work.yaml")
            for path, store in zip(recipe_paths, stores, strict=True)
        )
    crew = Crew()
    for path, text, recipe, store in zip(recipe_paths, held, recipes, stores, strict=True):
        again = [sys.executable, "-m", "lsml", "work", str(path), "--data-dir", str(store.directory)]
        again += ["--held", str(text), "--log-level", "debug" if debug else log_level]
        Worker(recipe, store, queue_of(recipe, store, queue), again, crew, queue, every=child)
    logging.getLogger("lsml.worker").info("ready to train")
    if child:
        say_ready(stores[0].directory, "work")
        if os.name == "posix":
            on_new_recipe(held, lambda number: crew.workers[number].use(opened(number, False)))
    mend_shared(recipes, stores)
    crew.run_forever()


def _check_queue(recipe: Recipe, queue: str | None) -> None:
    """Raise RequestError where a recipe has no run for a worker of a queue."""
    from lsml.errors import RequestError

    named = [name for name in recipe.storage.queues.named if name is not None]
    if queue is not None and queue not in named:
        known = f"expected {' or '.join(named)}" if named else "it names none"
        raise RequestError(f"--queue {queue}: storage.queues of {recipe.path} does not name it; {known}")
