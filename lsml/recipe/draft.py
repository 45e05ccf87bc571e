"""A recipe while it is read: its plain data, the location of each key, and every problem found so far."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lsml.adapters.base import Adapter, option_facts
from lsml.errors import Problem, RecipeError
from lsml.recipe.nodes import Flaw
from lsml.recipe.scalars import Data, Location, dotted
from lsml.recipe.scalars import Path as KeyPath

_SECRETS: Final = frozenset(
    {("label_studio", "api_key"), ("label_studio", "url"), ("server", "password"), ("server", "secret_path")}
)


class Draft:
    """The plain data of a recipe while it is checked. `adapters`: the classes of the adapters that it names, by name.
    `pinned`: the folders of locked models, by the names that options have for them.
    """

    def __init__(
        self, path: Path, environ: Mapping[str, str], data: Data, pinned: Mapping[str, Path] | None = None
    ) -> None:
        self.path, self.environ, self.data, self.pinned = path, environ, data, pinned or {}
        self.problems: dict[tuple[int, int, str], list[str]] = {}
        self.files: dict[tuple[int, int, str], str] = {}  # the files of problems outside of the recipe
        self.flawed: set[str] = set()
        self.warnings: list[Problem] = []
        self.adapters: dict[str, type[Adapter]] = {}

    def flaw(self, flaw: Flaw) -> None:
        """Note an error of the YAML itself at a key; no other problem is reported for that key."""
        self.problems[(flaw.line, flaw.column, flaw.key)] = [flaw.message]
        self.flawed.add(flaw.key)

    def position(self, path: KeyPath) -> tuple[int, int]:
        """Return line and column of a key; for a missing key, of the nearest one around it."""
        return self._location(path)[:2]

    def _location(self, path: KeyPath) -> Location:
        while path not in self.data.locations:
            path = path[:-1]
        return self.data.locations[path]

    def add(self, path: KeyPath, message: str, *, also: bool = False) -> None:
        """Note a problem. `also`: even where the key has one already, as a key and its value may both be wrong."""
        # `ngrams[0]` and `ngrams[1]` are reported as one key; a model of a list is reported by its number.
        named = path
        while named and isinstance(named[-1], int) and len(named) > 3 and named[-2] != "models":
            named = named[:-1]
        key = dotted(named)
        if not any(key == flawed or key.startswith((f"{flawed}.", f"{flawed}[")) for flawed in self.flawed):
            location = self._location(path)
            where = (location.line, location.column, key)
            found = self.problems.setdefault(where, [])
            if location.file is not None:
                self.files[where] = location.file
            if also or not found:
                found.append(message)

    def wrong(self, path: KeyPath) -> bool:
        """Return True if a problem was found at or below a path, or at the path's parent."""
        key = dotted(path)
        return any(known == key or known.startswith((f"{key}.", f"{key}[")) for _, _, known in self.problems)

    def stop(self) -> None:
        """Raise RecipeError with all problems, if there are any."""
        if self.problems:
            raise RecipeError(
                [
                    Problem(*where, message, self.files.get(where, str(self.path)))
                    for where, messages in self.problems.items()
                    for message in messages
                ]
            )

    def hidden(self, path: KeyPath) -> bool:
        """Return True if the value of a key may not be shown: a secret, or a value from the environment."""
        location = self.data.locations.get(path)
        if location is not None and location.from_environment:
            return True
        if path in _SECRETS or (path[:2] == ("server", "users") and path[3:] == ("password",)):
            return True
        if "options" in path:
            at = path.index("options")
            adapter = self.at((*path[:at], "adapter"))
            if isinstance(adapter, str) and adapter in self.adapters:
                return bool(set(path[at + 1 : at + 2]) & set(secret_options(self.adapters[adapter])))
        return False

    def at(self, path: KeyPath) -> Any:
        """Return the plain value of a key; None where there is none."""
        value: Any = self.data.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def possible(self, path: KeyPath) -> bool:
        """Return True if the path that a key names could exist; else note a problem."""
        given = self.at(path)
        if not isinstance(given, str) or self.wrong(path):
            return True
        try:
            if "\0" not in given:
                (self.path.parent / Path(given).expanduser()).exists()
                return True
            why = "not a path"
        except (OSError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or "not a path"
        self.add(path, f"cannot be a path: {why}; a relative path starts at the recipe's folder")
        return False

    def warn_of_secret(self, path: KeyPath, variable: str) -> None:
        """Warn of a secret in the file itself, and name the environment variable that should hold it."""
        message = (
            f"a secret in the file; write `${{{variable}}}` and set this variable in the environment, so that you "
            "can share the recipe"
        )
        file = self._location(path).file or str(self.path)
        self.warnings.append(Problem(*self.position(path), dotted(path), message, file))


def secret_options(adapter: type[Adapter]) -> tuple[str, ...]:
    """Return the names of an adapter's options that hold secrets."""
    return tuple(name for name, meta in option_facts(adapter.Options).items() if meta.get("decides") == "secret")
