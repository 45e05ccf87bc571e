"""`lsml run`: a small supervisor with two children, the web server and the worker."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsml.cli.children import ready_file
from lsml.cli.common import (
    address_options,
    check_names,
    data_dir_of,
    data_dir_option,
    log_options,
    open_recipe,
    open_store,
    recipes_argument,
    starting,
    studio_options,
)
from lsml.cli.connecting import ConnectOptions
from lsml.cli.greeting import greet
from lsml.cli.processes import processes_of, servers
from lsml.cli.reloading import Reloading
from lsml.cli.screen import Screen
from lsml.cli.supervisor import Child, keep_alive
from lsml.errors import RequestError, StoreError

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from lsml.cli.live import Following
    from lsml.recipe import Recipe
    from lsml.store import Store


@click.command("run", short_help="Serve one or more recipes and train in the background.")
@recipes_argument
@address_options
@data_dir_option
@click.option("--connect", "connecting", is_flag=True, help="Also connect a project, as `lsml connect` does.")
@click.option("--reload", is_flag=True, help="Use changes of RECIPE without a restart; invalid ones are reported.")
@studio_options
@log_options
def command(
    recipe_paths: tuple[Path, ...],
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    connecting: bool,
    reload: bool,
    log_level: str,
    debug: bool,
    **studio: Any,
) -> None:
    """Serve RECIPE to Label Studio and train on its annotations, until Ctrl-C.

    Several recipes are served at one address, each under /r/NAME, and share a worker; --data-dir then holds a folder for
    each. The address is server.host and server.port of the first one.

    With --reload a changed RECIPE is served without a restart. It is read, checked and loaded while the old one serves,
    which stays in use if the new one is invalid.

    With --connect it also connects the project that --project or --create names, and then shows the state of each
    project in a line.
    """
    from lsml.server.listening import check_port

    target = _checked(ConnectOptions(**studio), recipe_paths, connecting=connecting)
    with starting():
        recipes = [open_recipe(path, log_level=log_level, debug=debug) for path in recipe_paths]
    check_names(recipes)
    host = host or recipes[0].server.host
    port = recipes[0].server.port if port is None else port
    check_port(host, port)
    served = [_hold(recipe, data_dir_of(recipe, data_dir, recipes)) for recipe in recipes]
    port = port or _free_port(host)
    screen = Screen(live=connecting)
    children = _children(served, host, port, data_dir, "debug" if debug else log_level, screen)
    following = _following(served[0], screen, children[0], target, host, port) if connecting else None
    reloading = [Reloading(one.recipe, one.held, children, screen) for one in served if reload]

    def begun() -> None:
        greet([(one.recipe, one.directory) for one in served], host, port, connecting=connecting)
        if following is not None:
            following.start()

    def look() -> None:
        for one in reloading:
            one.look()

    try:
        code, told = keep_alive(children, begun, lambda: following.stop() if following is not None else None, look)
    finally:
        for one in served:
            one.lock.release()
    if told:
        click.echo("lsml: stopped", err=True)
    sys.exit(code)


def _checked(target: ConnectOptions, recipe_paths: Sequence[Path], *, connecting: bool) -> ConnectOptions:
    """Return what to connect, told to the environment. Raises RequestError where it cannot be connected."""
    target.check(connecting)
    if connecting and len(recipe_paths) > 1:
        raise RequestError("--connect takes one recipe; for several, use `lsml connect RECIPE` for each")
    target.tell_environment()
    return target


@dataclass(frozen=True)
class _Served:
    """A recipe that is served, the copy of its text that its processes read, and its data directory."""

    recipe: Recipe
    held: Path
    directory: Path
    store: Store
    lock: BaseFileLock


def _hold(recipe: Recipe, directory: Path) -> _Served:
    """Lock a recipe's data directory for this process. Raises StoreError."""
    from lsml.recipe import hold_recipe

    store = open_store(recipe, directory)
    store.close()
    lock = _lock(directory)
    return _Served(recipe, hold_recipe(recipe.path, directory / "recipe.yaml"), directory, store, lock)


def _children(
    served: Sequence[_Served], host: str, port: int, data_dir: Path | None, level: str, screen: Screen
) -> tuple[Child, ...]:
    """Return the web server, or several at one port, and the worker of all recipes."""
    common = ["--log-level", level]
    if len(served) == 1:
        common += ["--data-dir", str(served[0].directory)]
    elif data_dir is not None:
        common += ["--data-dir", str(data_dir)]
    for one in served:
        common += ["--held", str(one.held)]
    paths = [str(one.recipe.path) for one in served]

    directory = served[0].directory
    work = [sys.executable, "-m", "lsml", "work", *paths, *common, "--child"]
    many = processes_of([one.recipe for one in served])
    return (
        *servers([*paths, *common], host, port, many, directory, screen),
        Child("worker", work, ready_file(directory, "work"), screen),
    )


def _following(
    served: _Served, screen: Screen, server: Child, target: ConnectOptions, host: str, port: int
) -> Following:
    from lsml.cli.live import Following

    def connect(tell: Callable[[str], None]) -> str:
        connected = target.connect(served.recipe, host, port, tell)
        return f"{connected.title}: {connected.address}"

    return Following(served.recipe, served.store, screen, server, connect)


def _lock(directory: Path) -> BaseFileLock:
    """Return a lock that is held while this process lives, as two supervisors on one data directory would conflict."""
    from filelock import FileLock, Timeout

    lock = FileLock(directory / "run.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(
            f"{directory}: another `lsml run` uses this data directory; stop it, or give another directory with "
            "--data-dir"
        ) from None
    return lock


def _free_port(host: str) -> int:
    import socket

    family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
    with socket.create_server((host, 0), family=family) as probe:
        number: int = probe.getsockname()[1]
    return number
