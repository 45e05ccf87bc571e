"""`lsml run`: a small supervisor with two children, the web server and the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from lsml.cli.children import ready_file, was_ready
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
)
from lsml.errors import StoreError

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from lsml.recipe import Recipe

_STEADY_S = 5.0  # a child that lived so long restarts at once when it dies, others after growing pauses
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 60.0
_MOST_FAILURES = 4  # starts in a row after which a child never was ready for work; with one more, lsml gives up
# For the children to finish: a person who pressed Ctrl-C waits no longer than five seconds, Docker kills after ten.
_STOP_S, _STOP_AT_CTRL_C_S = 9.0, 4.7
_UNTOLD = (
    "  no token of Label Studio is set, so predictions are published only where the one that it sends works: "
    "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY (in Label Studio, Account & Settings > Personal Access Token makes one)"
)
_FINAL_CODES = (2,)  # a mistake in the recipe does not go away by trying again


class _Child:
    """One process that is kept alive."""

    def __init__(self, name: str, command: list[str], ready: Path) -> None:
        self.name = name
        self._command = command
        self._ready = ready
        self._failures = 0
        self._quick_ends = 0
        self._start_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def start(self) -> None:
        self._started = time.monotonic()
        # A process group of its own: Ctrl-C reaches the supervisor alone, which then stops the children in order.
        # Our end of the pipe closes with us, however we end, and the child ends with it.
        self.process = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)

    def keep(self) -> int | None:
        """Restart it if it died; an exit code if it is not worth trying again."""
        if self.process is None:
            if time.monotonic() >= self._start_at:
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        pid, self.process = self.process.pid, None
        steady = time.monotonic() - self._started >= _STEADY_S
        self._quick_ends = 0 if steady else self._quick_ends + 1
        self._failures = 0 if steady or was_ready(self._ready, pid) else self._failures + 1
        if code in _FINAL_CODES or self._failures > _MOST_FAILURES:
            often = "" if code in _FINAL_CODES else " again and again"
            click.echo(f"lsml: the {self.name} ended{often} ({_ending(code)}); giving up", err=True)
            return max(1, code)
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (self._quick_ends - 1)) if self._quick_ends else 0.0
        click.echo(f"lsml: the {self.name} ended ({_ending(code)}); starting it again", err=True)
        self._start_at = time.monotonic() + pause_s
        return None

    def ask_to_stop(self, at_ctrl_c: bool) -> None:
        if self.process is not None and self.process.poll() is None:
            if at_ctrl_c and os.name == "posix":
                self.process.send_signal(signal.SIGINT)
            else:
                self.process.terminate()

    def wait(self, deadline: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@click.command("run", short_help="Serve a recipe and learn in the background.")
@recipe_argument
@address_options
@data_dir_option
@log_options
def command(
    recipe_path: Path, host: str | None, port: int | None, data_dir: Path | None, log_level: str, debug: bool
) -> None:
    """Serve RECIPE to Label Studio and learn from every annotation, until Ctrl-C."""
    from lsml.recipe import hold_recipe
    from lsml.server.serve import check_port

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
    server = _Child("server", [*python, "serve", str(recipe_path), "--host", host, "--port", str(port), *common],
                    ready_file(directory, "serve"))  # fmt: skip
    worker = _Child("worker", [*python, "work", str(recipe_path), *common], ready_file(directory, "work"))
    stopping = threading.Event()
    at_ctrl_c = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal at_ctrl_c
        at_ctrl_c = number == signal.SIGINT
        stopping.set()

    signals = [signal.SIGINT, signal.SIGTERM]
    if os.name == "posix" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)  # the terminal was closed; `nohup` has it ignored
    for number in signals:
        signal.signal(number, stop)
    server.start()
    _greet(recipe, host, port, directory)
    worker.start()
    code = None
    try:
        while code is None and not stopping.wait(0.1):
            code = next((ended for child in (server, worker) if (ended := child.keep()) is not None), None)
    finally:
        deadline = time.monotonic() + (_STOP_AT_CTRL_C_S if at_ctrl_c else _STOP_S)
        for child in (server, worker):
            child.ask_to_stop(at_ctrl_c)
        for child in (server, worker):
            child.wait(deadline)
        lock.release()
    if stopping.is_set():
        click.echo("lsml: stopped", err=True)
    sys.exit(code or 0)


def _greet(recipe: Recipe, host: str, port: int, directory: Path) -> None:
    """Print what a person needs now: the address, what is bound, where the data lives, how to connect, whether something will
    be published; and a warning where others can reach it, too."""
    from lsml.server import open_to_others
    from lsml.studio.addresses import address_of, is_everywhere, own_address

    binding = bind_config(recipe, None)
    url = address_of("127.0.0.1" if is_everywhere(host) else host, port)
    lines = [f"lsml: {recipe.name} is on {url}", f"  {bound(binding) if recipe.labeling_config else _later(recipe)}"]
    lines += [f"  {line}" for line in shortfall(binding)]
    lines += [
        f"  data: {directory.resolve()}",
        "  connect Label Studio: in the project, Settings > Model > Connect Model, and paste",
        f"    {_url_to_paste(recipe, url)}",
    ]
    if is_everywhere(host):
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
                "\n    annotation webhooks come without them: put both into the URL, http://USERNAME:PASSWORD@..., "
                "or set server.secret_path"
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


def _ending(code: int) -> str:
    if code < 0 and os.name == "posix":
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
