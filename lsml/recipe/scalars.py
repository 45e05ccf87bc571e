"""Nodes as plain data: scalars of YAML 1.2's core schema, with `${NAME}` from the environment.

https://yaml.org/spec/1.2.2/#103-core-schema: `No`, `On`, `12:30` and dates are texts, 012 is twelve, 0o14 also.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping as Environment
from typing import Any, Final, NamedTuple

from lsml.recipe.environment import UnreadableVariable, variable
from lsml.recipe.nodes import Flaw, Mapping, Node, Scalar, Sequence

Path = tuple[str | int, ...]

_INT: Final = re.compile(r"[-+]?[0-9]{1,300}\Z")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE: Final = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_VARIABLE: Final = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")
_ABSENT: Final = object()
# The keys that restrict access. An empty variable must not silently remove the restriction.
_GUARDS: Final = (("server", "username"), ("server", "password"), ("server", "secret_path"))


class Location(NamedTuple):
    """The location of a value: line and column of its key (or of itself, in a list), and its node. `from_environment`: never
    show it.
    """

    line: int
    column: int
    node: Node
    from_environment: bool
    text: str | None  # a scalar's text, after substitution
    file: str | None = None  # None for the recipe


class Data(NamedTuple):
    """Plain data, and the location of each of its values by path. A value with an error is replaced by a placeholder."""

    value: dict[str, Any]
    locations: dict[Path, Location]
    flaws: list[Flaw]


def read_data(root: Mapping, environ: Environment[str, str]) -> Data:
    """Return the recipe as dicts, lists and scalars, without its `x-` keys and without values that the environment leaves
    empty.
    """
    reader = _ScalarReader(environ)
    value = reader.mapping((), root)
    reader.locations[()] = Location(root.line, root.column, root, from_environment=False, text=None)
    return Data(value, reader.locations, reader.flaws)


def dotted(path: Path) -> str:
    """Return a path as messages name it: `tags.Choices[0].options`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


class _ScalarReader:
    def __init__(self, environ: Environment[str, str]) -> None:
        self._environ = environ
        self.locations: dict[Path, Location] = {}
        self.flaws: list[Flaw] = []

    def mapping(self, path: Path, node: Mapping) -> dict[str, object]:
        result = {}
        for key, child in node.entries.items():
            if not path and key.startswith("x-"):
                continue
            value = self._value((*path, key), child, node.locations[key])
            if value is not _ABSENT:
                result[key] = value
        return result

    def _value(self, path: Path, node: Node, location: tuple[int, int]) -> Any:
        if isinstance(node, Scalar):
            return self._scalar(path, node, location)
        self.locations[path] = Location(*location, node, from_environment=False, text=None)
        if isinstance(node, Mapping):
            return self.mapping(path, node)
        assert isinstance(node, Sequence)
        items: list[object] = []
        for item in node.items:
            # A value that the environment leaves empty takes no index.
            value = self._value((*path, len(items)), item, (item.line, item.column))
            if value is not _ABSENT:
                items.append(value)
        return items

    def _scalar(self, path: Path, node: Scalar, location: tuple[int, int]) -> Any:
        text, substituted = node.text, False
        # XML is not substituted: `$text` and `${...}` are Label Studio's there.
        if not (path == ("labeling_config",) and "<" in text):
            text, substituted = self._substituted(path, text, location)
        if substituted and not text:
            if path in _GUARDS and ":-" not in node.text:
                self._flaw(
                    path, location, f"{node.text} is empty, so everybody would have access; set it, or remove the key"
                )
            return _ABSENT
        self.locations[path] = Location(*location, node, substituted, text)
        try:
            text.encode()
        except UnicodeEncodeError:
            self._flaw(path, location, "half of a surrogate pair, which is not a character; remove it")
            return "?"
        if not node.plain:
            return text
        value = _typed(text)
        if isinstance(value, float) and not math.isfinite(value):
            self._flaw(path, location, "expected a finite number")
        return value

    def _substituted(self, path: Path, text: str, location: tuple[int, int]) -> tuple[str, bool]:
        """Return the text with its variables filled in, and True if there were any."""
        found = False

        def fill(match: re.Match[str]) -> str:
            nonlocal found
            if match[0] == "$${":
                return "${"
            found = True
            name, default = match["name"], match["default"]
            if name is None:
                self._flaw(path, location, "`${` without a name and `}`; write `${NAME}`, or `$${` for a literal `${`")
                return "?"
            try:
                value = variable(self._environ, name)
            except UnreadableVariable as error:
                self._flaw(path, location, str(error))
                return "?"
            if default is not None:
                return value or default
            if value is None:
                self._flaw(path, location, f"the environment has no {name}; set it, or write `${{{name}:-default}}`")
                return "?"
            return value

        return (_VARIABLE.sub(fill, text), found) if "${" in text else (text, False)

    def _flaw(self, path: Path, location: tuple[int, int], message: str) -> None:
        self.flaws.append(Flaw(*location, message, dotted(path)))


def _typed(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    if re.match(r"0o[0-7]{1,300}\Z", text) or re.match(r"0x[0-9a-fA-F]{1,300}\Z", text):
        return int(text, 0)
    if _FLOAT.match(text):
        number = float(text)
        # JSON Schema counts 1e3 as an integer, so a port may be written so.
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if _NOT_FINITE.match(text):
        return math.inf
    return text
