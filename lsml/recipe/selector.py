"""The selectors by which a recipe names control tags: all of a kind, or exactly one."""

from __future__ import annotations

import msgspec


class Selector(msgspec.Struct, frozen=True):
    """A selector of control tags: every `<Choices>`, or with a name exactly one."""

    tag: str
    name: str | None = None

    def claims(self, tag: str, name: str) -> bool:
        """Return True if it names a control of this tag and name."""
        return self.tag == tag and self.name in (None, name)

    def __str__(self) -> str:
        return self.tag if self.name is None else f"{self.tag}#{self.name}"
