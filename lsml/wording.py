"""A stranger's value in words, for the sentences that people read, and which names come near one that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class Wording(NamedTuple):
    """How values are told: the marks around a text, how much of it, and what keys with values are called."""

    marks: str = '"'
    longest: int = 60
    mapping: str = "an object"

    def shown(self, value: object) -> str:
        """A value: itself where it is a text, a number or yes or no, else its kind; short and on one line."""
        if isinstance(value, str):
            line = "".join(character if character.isprintable() else " " for character in value)
            short = line if len(line) <= self.longest else f"{line[: self.longest - 3]}..."
            return f"{self.marks}{short}{self.marks}"
        if isinstance(value, float):
            return repr(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value) if abs(value) < 10**15 else "a very large number"
        return self.kind(value)

    def kind(self, value: object) -> str:
        """The kind of a value alone, which tells nothing of what a text or a number says."""
        if value is None:
            return "nothing"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return "a number"
        if isinstance(value, str):
            return "text"
        return "a list" if isinstance(value, list | tuple) else self.mapping


JSON = Wording()
YAML = Wording(marks="`", longest=40, mapping="settings (keys and values)")


def near(name: str, others: Iterable[str]) -> list[str]:
    """At most three of the others that a name may mean, whatever its capitals: those written alike, the likest first, then
    those that hold it, or that it holds."""
    folded = {other.casefold(): other for other in others}
    sought = name.casefold()
    close = difflib.get_close_matches(sought, folded, n=3, cutoff=0.5)
    close += [one for one in folded if one not in close and (one in sought or sought in one)]
    return [folded[one] for one in close[:3]]


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first names, and how many more there are: `a, b and 3 more`."""
    them = list(names)
    return ", ".join(them[:most]) + (f" and {len(them) - most} more" if len(them) > most else "")
