"""`lsml fetch`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lsml.cli.common import (
    bind_config,
    data_dir_option,
    labeling_config_option,
    log_options,
    open_recipe,
    progress_bar,
    recipe_argument,
    write_file,
)

if TYPE_CHECKING:
    from lsml.adapters.base import NamedWeights
    from lsml.binding import Binding
    from lsml.recipe import Recipe


@click.command("fetch", short_help="Download the weights that a recipe names.")
@recipe_argument
@data_dir_option
@labeling_config_option
@click.option("--update", is_flag=True, help="Take the newest files, and record their SHA-256 anew.")
@log_options
def command(
    recipe_path: Path,
    data_dir: Path | None,
    labeling_config_path: Path | None,
    update: bool,
    log_level: str,
    debug: bool,
) -> None:
    """Download the weights that RECIPE names, once, from where its libraries keep them: names on the Hugging Face hub, the
    published weights of ultralytics, and URLs (https).

    The SHA-256 of each file is recorded in a lock file beside the recipe: my.lock.yaml for my.yaml. Later, only the same files
    are fetched, and commands that load weights refuse others. HTTPS_PROXY names a proxy, HF_ENDPOINT a mirror of the hub.
    """
    from lsml.cli.fetching import fetch
    from lsml.files.cache import keep_cache_in
    from lsml.recipe.lock import lock_file, lock_text, read_lock
    from lsml.store import make_data_directory

    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug, pinned=False)
    # No store is opened: where an image is built, its database does not answer.
    directory = recipe.data_directory(data_dir)
    make_data_directory(directory)
    keep_cache_in(directory)
    found = downloads_of(recipe, bind_config(recipe, labeling_config_path))
    if not found:
        click.echo(f"{recipe_path}: names no weights that are elsewhere")
        return
    locked = read_lock(recipe_path)
    for name, download in found.items():
        # The hub's library has bars of its own.
        with nullcontext(_told(name)) if download.source == "hub" else progress_bar(name) as progress:
            locked[name] = fetch(download, None if update else locked.get(name), progress, newest=update)
            progress(1.0, "")
        # After each, so that an interrupted command keeps what it has.
        recorded = {name: one for name, one in locked.items() if name in found}
        write_file(lock_file(recipe_path), lock_text(recipe_path, recorded))
        click.echo(f"{name}: {len(locked[name].files)} files, recorded in {lock_file(recipe_path).name}")


def _told(name: str) -> Callable[[float, str], None]:
    def tell(_share: float, message: str) -> None:
        if message:
            click.echo(f"{name}: {message}", err=True)

    return tell


def downloads_of(recipe: Recipe, binding: Binding) -> dict[str, NamedWeights]:
    """Return the downloads of all models of a recipe by the names that are shown of them; those of models that a labeling
    config does not bind, too.
    """
    from lsml.adapters import get_adapter
    from lsml.adapters.base import Target
    from lsml.adapters.parts.weight_files import shown_weights

    targets = {id(model.spec): model.target for model in binding.models}
    return {
        shown_weights(download.name): download
        for spec in recipe.models
        for use in spec.uses
        for download in get_adapter(use.adapter).downloads(use.options, targets.get(id(spec), Target()))
    }
