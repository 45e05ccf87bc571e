"""A YAML text as nodes with line and column. Nothing is typed or substituted, and no object is built.

PyYAML only splits the text into events here. Its own loader silently keeps the last of two equal keys, recurses as
deep as the text does, and expands aliases without a limit. Its parser in Python is used, not libyaml: the same message
on every machine counts for more than speed in a file of a page or two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

import yaml

if TYPE_CHECKING:
    from yaml.error import Mark


MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 50
MAX_NODES: Final = 100_000  # with every alias expanded

_MERGE: Final = "<<"


class Flaw(Exception):
    """An error in the text: it cannot be read any further, or one part of it is wrong. Line and column count from 1."""

    def __init__(self, line: int, column: int, message: str, key: str = "") -> None:
        self.line, self.column, self.message, self.key = line, column, message, key
        super().__init__(message)


class Node:
    """A scalar, a mapping or a list. `size` counts the node and all nodes below it, with aliases expanded."""

    __slots__ = ("column", "depth", "line", "size")

    def __init__(self, mark: Mark) -> None:
        self.line, self.column = mark.line + 1, mark.column + 1
        self.size = 1
        self.depth = 1


class Scalar(Node):
    """A text as written. Only a plain one (without quotes, not a block) may become a number, a boolean or null."""

    __slots__ = ("plain", "style", "text")

    def __init__(self, mark: Mark, text: str, style: str | None) -> None:
        super().__init__(mark)
        self.text, self.style, self.plain = text, style, style is None


class Sequence(Node):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, mark: Mark) -> None:
        super().__init__(mark)
        self.items: list[Node] = []


class Mapping(Node):
    """Keys as written. `locations` holds each key's own line and column."""

    __slots__ = ("entries", "locations", "merged", "pending")

    def __init__(self, mark: Mark) -> None:
        super().__init__(mark)
        self.entries: dict[str, Node] = {}
        self.locations: dict[str, tuple[int, int]] = {}
        self.pending: Scalar | None = None
        self.merged: list[Mapping] = []


def read_nodes(text: str) -> tuple[Mapping, list[Flaw]]:
    """Return the root mapping, and the errors that leave the rest readable. Raises Flaw for any other error."""
    builder = _Builder()
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        raise Flaw(line, column, f"a control character (U+{ord(text[error.position]):04X}); remove it") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_flaw(error, text) from None
    except (ValueError, OverflowError):  # "\U00110000": PyYAML hands the number to chr()
        raise Flaw(1, 1, "an escape such as `\\U00110000` is not a character; correct it") from None
    root = builder.root
    if root is None or (isinstance(root, Scalar) and root.plain and root.text in ("", "~", "null")):
        raise Flaw(1, 1, "empty; a recipe starts with `lsml: 1`")
    if not isinstance(root, Mapping):
        kind = "a list" if isinstance(root, Sequence) else "a text"
        glued = _glued(root.text.splitlines(), 1) if isinstance(root, Scalar) and root.plain else None
        raise glued or Flaw(root.line, root.column, f"expected keys and values, starting with `lsml: 1`, got {kind}")
    return root, builder.flaws


def _events(text: str) -> Iterator[yaml.Event]:
    loader: Any = yaml.SafeLoader(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


class _Builder:
    """A builder of nodes from events. It has its own stack, so that a deep text cannot exhaust Python's."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.flaws: list[Flaw] = []
        self._open: list[tuple[Node, str | None]] = []  # the collections around the next event, and their anchors
        self._anchors: dict[str | None, Node] = {}
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        mark = cast("Mark", event.start_mark)  # each event of a text has one
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise Flaw(mark.line + 1, mark.column + 1, "a second document starts here; a recipe is one document")
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._named(event, mark), mark)
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event, mark)
            scalar = Scalar(mark, event.value, event.style)
            if event.anchor:
                self._anchors[event.anchor] = scalar
            self._add(scalar, mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._refuse_tag(event, mark)
            if len(self._open) >= MAX_DEPTH:
                raise Flaw(mark.line + 1, mark.column + 1, f"more than {MAX_DEPTH} levels deep; a recipe needs five")
            opened = Mapping(mark) if isinstance(event, yaml.MappingStartEvent) else Sequence(mark)
            self._open.append((opened, event.anchor))
            # An alias to an open collection would make a circle.
            self._anchors.pop(event.anchor, None)
        elif isinstance(event, yaml.CollectionEndEvent):
            node, anchor = self._open.pop()
            if isinstance(node, Mapping):
                self._merge(node)
            if anchor:
                self._anchors[anchor] = node
            self._add(node, mark)

    def _named(self, event: yaml.AliasEvent, mark: Mark) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            line, column = mark.line + 1, mark.column + 1
            if any(anchor == event.anchor for _, anchor in self._open):
                raise Flaw(line, column, f"`*{event.anchor}` is inside its own value; move it out")
            raise Flaw(
                line,
                column,
                f"`*{event.anchor}` has no anchor above it; write `&{event.anchor}` before the value",
            )
        return node

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, mark: Mark) -> None:
        if event.tag is not None:
            tag = re.sub(r"^tag:yaml\.org,2002:", "!!", event.tag)[:40]
            raise Flaw(mark.line + 1, mark.column + 1, f"a recipe has no YAML tags, got `{tag}`; remove it")

    def _add(self, node: Node, mark: Mark) -> None:
        if not self._open:
            self.root = node
            return
        parent, _ = self._open[-1]
        line, column = mark.line + 1, mark.column + 1
        if isinstance(parent, Sequence):
            parent.items.append(node)
            self._grow(parent, node, line, column)
        elif isinstance(parent, Mapping):
            if parent.pending is None:
                if not isinstance(node, Scalar):
                    raise Flaw(
                        line, column, "a key must be a text, got a list or a mapping; did you forget the quotes?"
                    )
                # A key that is an alias has its own location, not its anchor's.
                key = Scalar(mark, node.text, node.style)
                parent.pending = key
                return
            key, parent.pending = parent.pending, None
            self._grow(parent, node, line, column)
            if key.plain and key.text == _MERGE:
                self._note_merge(parent, node, key)
            elif key.text in parent.entries:
                first = parent.locations[key.text][0]
                self.flaws.append(
                    Flaw(key.line, key.column, f"given twice, first on line {first}; keep one", self._path(key.text))
                )
            else:
                parent.entries[key.text] = node
                parent.locations[key.text] = (key.line, key.column)

    def _path(self, last: str) -> str:
        names = [node.pending.text for node, _ in self._open if isinstance(node, Mapping) and node.pending is not None]
        return ".".join([*names, last])

    def _grow(self, parent: Node, child: Node, line: int, column: int) -> None:
        parent.size += child.size
        parent.depth = max(parent.depth, child.depth + 1)
        if parent.size > MAX_NODES:
            raise Flaw(line, column, f"more than {MAX_NODES} values once its aliases are expanded; use fewer")
        if parent.depth + len(self._open) > MAX_DEPTH + 1:
            raise Flaw(line, column, f"more than {MAX_DEPTH} levels deep once its aliases are expanded")

    def _note_merge(self, parent: Mapping, node: Node, key: Scalar) -> None:
        sources = node.items if isinstance(node, Sequence) else [node]
        for source in sources:
            if not isinstance(source, Mapping):
                raise Flaw(
                    key.line, key.column, "`<<` merges only mappings; give it the `*name` of one, or a list of these"
                )
            parent.merged.append(source)

    def _merge(self, node: Mapping) -> None:
        """Merge the mappings that `<<` names: a key of the mapping itself wins, then the first of those."""
        for source in node.merged:
            for key, value in source.entries.items():
                if key not in node.entries:
                    node.entries[key] = value
                    node.locations[key] = source.locations[key]


def _syntax_flaw(error: yaml.MarkedYAMLError, text: str) -> Flaw:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    row = lines[line - 1] if line <= len(lines) else ""
    here = row[column - 1 : column]
    problem = error.problem or "it cannot be read"
    if here == "\t" or "'\\t'" in problem or (row[:column].strip(" ") and not row[:column].strip()):
        return Flaw(line, column, "a tab; YAML indents with spaces, so replace it")
    begin = error.context_mark
    if begin is not None and "quoted scalar" in (error.context or "") and "end of stream" in problem:
        return Flaw(begin.line + 1, begin.column + 1, "an open quote; close it")
    if re.search("mapping values|expected (.:.|<)", problem):
        glued = _glued(lines, begin.line + 1 if begin is not None and "simple key" in (error.context or "") else line)
        if glued is not None:
            return glued
    if "expected ',' or" in problem and here == "{" and row[column - 2 : column - 1] == "$":
        return Flaw(line, column - 1, 'inside {...} or [...], `${NAME}` needs quotes: "${NAME}"')
    for pattern, sentence in _SYNTAX:
        if re.search(pattern, f"{error.context or ''} {problem}"):
            return Flaw(line, column, sentence)
    return Flaw(line, column, f"not YAML: {problem}; correct it here or on the line above")


def _glued(lines: list[str], line: int) -> Flaw | None:
    """Return the error for a `key:value` without a space, on the line of a YAML error or on the last line above it."""
    above = [number for number in range(1, line) if lines[number - 1].strip() and lines[number - 1].lstrip()[0] != "#"]
    for number in (line, *above[-1:]):
        match = _GLUED.match(lines[number - 1]) if number <= len(lines) else None
        if match:
            key, column = match["key"], match.start("key") + 1
            return Flaw(number, column, f"no space after the colon of `{key}:`; write `{key}: ` and then the value")
    return None


_GLUED: Final = re.compile(r"\s*(?:- )?(?P<key>[A-Za-z_][\w-]{0,40}):(?!//)[^\s:'\"][^\s]*\s*(?:#.*)?\Z")
_SYNTAX: Final = (
    ("mapping values are not allowed", "a second `: ` on one line; put the text in quotes, or start a new line"),
    ("could not find expected ':'", "a key without `:`; write `key: value`"),
    ("expected <block end>", "this line is not aligned with the lines above; align it"),
    ("unexpected end of stream|<stream end>", "an open quote or bracket; close it"),
    ("expected ',' or", "a `,` or a closing bracket is missing before this"),
    ("unknown escape character", "an unknown escape after `\\`; use single quotes, or write `\\\\`"),
    ("cannot start any token", "a value cannot start with this character; put the text in quotes"),
    ("undefined tag handle", "a recipe has no YAML tags; put the text in quotes"),
)
