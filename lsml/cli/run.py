"""`lsml run`: a small supervisor with two children, the web server and the worker."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsml.cli.children import ready_file
from lsml.cli.common import (
    address_options,
    asking_sentence,
    bind_config,
    bound,
    data_dir_option,
    log_options,
    open_recipe,
    open_store,
    recipe_argument,
    shortfall,
    studio_options,
)
from lsml.cli.connecting import Target
from lsml.cli.reloading import Reloading
from lsml.cli.screen import Screen
from lsml.cli.supervisor import Child, keep_alive
from lsml.errors import StoreError

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from lsml.cli.live import Following
    from lsml.recipe import Recipe
    from lsml.store import Store

_UNTOLD = (
    "  no token of Label Studio is set, so predictions are published only where the one that it sends works: "
    "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY (in Label Studio, Account & Settings > Personal Access Token makes one)"
)


@click.command("run", short_help="Serve a recipe and learn in the background.")
@recipe_argument
@address_options
@data_dir_option
@click.option("--connect", "connecting", is_flag=True, help="Connect a project, too, as `lsml connect` does.")
@click.option("--reload", is_flag=True, help="Take over changes of RECIPE while it is served; bad ones are said.")
@studio_options
@log_options
def command(
    recipe_path: Path,
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    connecting: bool,
    reload: bool,
    log_level: str,
    debug: bool,
    **studio: Any,
) -> None:
    """Serve RECIPE to Label Studio and learn from every annotation, until Ctrl-C.

    With --reload a changed RECIPE is served without a restart: it is read, checked and loaded beside the one before, which
    goes on where the new one is wrong.

    With --connect it also connects the project that --project or --create names, once it listens, and then shows in a line
    how each project does.
    """
    from lsml.recipe import hold_recipe
    from lsml.server.serve import check_port

    target = Target(**studio)
    target.check(connecting)
    target.tell_environment()
    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug)
    host = host or recipe.server.host
    port = recipe.server.port if port is None else port
    check_port(host, port)
    directory = recipe.data_directory(data_dir)
    store = open_store(recipe, data_dir)
    store.close()
    lock = _lock(directory)
    held = hold_recipe(recipe_path, directory / "recipe.yaml")
    port = port or _free_port(host)
    level = "debug" if debug else log_level
    common = ["--data-dir", str(directory), "--log-level", level, "--held", str(held), "--child"]
    python = [sys.executable, "-m", "lsml"]
    serve = [*python, "serve", str(recipe_path), "--host", host, "--port", str(port), *common]
    screen = Screen(live=connecting)
    server = Child("server", serve, ready_file(directory, "serve"), screen)
    worker = Child("worker", [*python, "work", str(recipe_path), *common], ready_file(directory, "work"), screen)
    following = _following(recipe, store, screen, server, target, host, port) if connecting else None

    def begun() -> None:
        _greet(recipe, host, port, directory, connecting=connecting)
        if following is not None:
            following.start()

    try:
        often = Reloading(recipe_path, held, recipe, (server, worker), screen).look if reload else (lambda: None)
        code, told = keep_alive(
            (server, worker), begun, lambda: following.stop() if following is not None else None, often
        )
    finally:
        lock.release()
    if told:
        click.echo("lsml: stopped", err=True)
    sys.exit(code)


def _following(
    recipe: Recipe, store: Store, screen: Screen, server: Child, target: Target, host: str, port: int
) -> Following:
    from lsml.cli.live import Following

    def connect(tell: Callable[[str], None]) -> str:
        connected = target.connect(recipe, host, port, tell)
        return f"{connected.title}: {connected.address}"

    return Following(recipe, store, screen, server, connect)


def _greet(recipe: Recipe, host: str, port: int, directory: Path, *, connecting: bool) -> None:
    """Print what a person needs now: the address, what is bound, where the data lives, how to connect, whether something will
    be published; and a warning where others can reach it, too."""
    from lsml.server import open_to_others
    from lsml.studio.addresses import address_of, is_everywhere, own_address

    binding = bind_config(recipe, None)
    url = address_of("127.0.0.1" if is_everywhere(host) else host, port)
    lines = [f"lsml: {recipe.name} is on {url}", f"  {bound(binding) if recipe.labeling_config else _later(recipe)}"]
    lines += [f"  {line}" for line in shortfall(binding)]
    lines.append(f"  data: {directory.resolve()}")
    if not connecting:
        lines += [
            "  connect Label Studio: `lsml connect`, or in the project, Settings > Model > Connect Model, and paste",
            f"    {_url_to_paste(recipe, url)}",
        ]
    if is_everywhere(host) and not connecting:
        elsewhere = _url_to_paste(recipe, address_of(own_address(), port))
        lines.append(f"    or, where Label Studio runs elsewhere or in a container, {elsewhere}")
    if asking := asking_sentence(binding):
        lines.append(f"  {asking}")
    if recipe.publish is not None and not recipe.label_studio.api_key:
        lines.append(_UNTOLD)
    click.echo("\n".join(lines))
    sys.stdout.flush()
    if warning := open_to_others(recipe.server, host):
        click.echo(warning, err=True)


def _later(recipe: Recipe) -> str:
    selectors = dict.fromkeys(
        f"{selector} -> {model.adapter}" for model in recipe.models for selector in model.selectors
    )
    return f"binds when Label Studio tells its labeling config: {', '.join(selectors)}"


def _url_to_paste(recipe: Recipe, url: str) -> str:
    """The backend's URL for Label Studio. Secrets are shown to a person at a terminal, never to a log."""
    server = recipe.server
    shown = sys.stdout.isatty()
    if server.secret_path:
        url += f"/{server.secret_path}" if shown else "/[server.secret_path]"
    if server.username and server.password:
        url += f"  (username {server.username}, and the recipe's password, under Basic authentication)"
        if not server.secret_path:
            url += (
                "\n    annotation webhooks come without them unless `lsml connect` connects; by hand put both into the URL, "
                "http://USERNAME:PASSWORD@..., or set server.secret_path"
            )
    return url


def _lock(directory: Path) -> BaseFileLock:
    """Held as long as this process lives: two supervisors on one data directory would fight over it."""
    from filelock import FileLock, Timeout

    lock = FileLock(directory / "run.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(
            f"{directory}: another `lsml run` uses this data directory; stop that one, or name another with --data-dir"
        ) from None
    return lock


def _free_port(host: str) -> int:
    import socket

    family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
    with socket.create_server((host, 0), family=family) as probe:
        number: int = probe.getsockname()[1]
    return number
