"""`lsml run --reload`: a valid change of the recipe's file reaches the processes that serve it; an invalid one is reported."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lsml.cli.common import OVERRIDE_VARIABLE
from lsml.errors import LsmlError
from lsml.wording import listed

if TYPE_CHECKING:
    from lsml.cli.screen import Screen
    from lsml.cli.supervisor import Child
    from lsml.recipe import Recipe

_EVERY_S = 0.5  # seconds between two checks of the file; a change counts if two checks find the same text
_XML = re.compile(rb"^labeling_config:[ \t]*[\"']?([^\s\"'#]+\.xml)", re.MULTILINE)


class Reloading:
    """A watcher of one recipe's file. `held` is the copy of the accepted text, which the processes read."""

    def __init__(self, recipe: Recipe, held: Path, children: Sequence[Child], screen: Screen) -> None:
        self._path = recipe.path
        self._held = held
        self._recipe = recipe
        self._children = children
        self._screen = screen
        self._known = self._seen = self._digest()
        self._looked = 0.0

    def look(self) -> None:
        """Accept a change that is valid and complete; call it often."""
        now = time.monotonic()
        if now - self._looked < _EVERY_S:
            return
        self._looked = now
        digest, before = self._digest(), self._seen
        self._seen = digest
        if digest is None or digest == self._known or digest != before:
            return
        self._known = digest
        self._take_over()

    def _digest(self) -> str | None:
        """Return a hash of the recipe, the labeling config that it names and its override; None while one is missing."""
        try:
            text = self._path.read_bytes()
            named = _XML.search(text)
            xml = (self._path.parent / named[1].decode()).read_bytes() if named else b""
            laid_over = os.environ.get(OVERRIDE_VARIABLE)
            override = Path(laid_over).read_bytes() if laid_over else b""
        except (OSError, UnicodeDecodeError):
            return None
        return hashlib.sha256(b"\0".join((text, xml, override))).hexdigest()

    def _take_over(self) -> None:
        from lsml.logs import keep_secret
        from lsml.recipe import hold_recipe, load_recipe

        try:
            recipe = load_recipe(self._path)
            keep_secret(recipe.secrets())
            if (recipe.name, recipe.storage) != (self._recipe.name, self._recipe.storage):
                raise LsmlError(
                    f"{self._path}: `name` and `storage` set the data directory; restart lsml to change them"
                )
            hold_recipe(self._path, self._held)
        except LsmlError as error:
            self._screen.say(f"{error}\nlsml: the old recipe stays in use")
            return
        if late := [name for name, now in _of_start(recipe).items() if now != _of_start(self._recipe)[name]]:
            self._screen.say(f"lsml: {listed(late)}: the change takes effect at the next start")
        self._recipe = recipe
        for child in self._children:
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(signal.SIGHUP)
        self._screen.say(f"lsml: {self._path} changed and is in use")


def _of_start(recipe: Recipe) -> dict[str, object]:
    """Return what a server takes from its recipe only once, by its place there."""
    server = recipe.server
    return {
        "server.host": server.host,
        "server.port": server.port,
        "server.processes": server.processes,
        "server.limits.body": server.limits.body_bytes,
        "server.limits.waiting": server.limits.waiting,
    }
