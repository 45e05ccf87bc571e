"""Values of unknown origin in messages for people, and names similar to a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class Wording(NamedTuple):
    """The form of values in messages: the marks around a text, its most characters, and the name of objects."""

    marks: str = '"'
    longest: int = 60
    mapping: str = "an object"

    def shown(self, value: object) -> str:
        """Return a text, a number or a boolean itself, shortened and on one line; for other values their kind."""
        if isinstance(value, str):
            return f"{self.marks}{one_line(value, self.longest)}{self.marks}"
        if isinstance(value, float):
            return repr(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value) if abs(value) < 10**15 else "a very large number"
        return self.kind(value)

    def kind(self, value: object) -> str:
        """Return the kind of a value, without its content."""
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


def one_line(text: str, longest: int = 60) -> str:
    """Return a text of unknown origin on one line, cut to `longest` characters, without any that is not printable."""
    line = "".join(character if character.isprintable() else " " for character in text[: longest + 1])
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def near(name: str, others: Iterable[str]) -> list[str]:
    """Return at most three of the others that are similar to a name, ignoring capitals: the most similar spellings first,
    then those that contain it or that it contains.
    """
    folded = {other.casefold(): other for other in others}
    sought = name.casefold()
    close = difflib.get_close_matches(sought, folded, n=3, cutoff=0.5)
    close += [one for one in folded if one not in close and (one in sought or sought in one)]
    return [folded[one] for one in close[:3]]


def about(seconds: float) -> str:
    """Return a time in round words: `about 40 s`, `about 3 min`, `about 2 h`."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} s"


def listed(names: Iterable[str], most: int = 5) -> str:
    """Return the first names, and the number of the others: `a, b and 3 more`."""
    them = list(names)
    return ", ".join(them[:most]) + (f" and {len(them) - most} more" if len(them) > most else "")
