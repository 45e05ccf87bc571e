"""Taxonomy paths as one label, and back."""

from __future__ import annotations

import re
from typing import Final

_SEPARATOR: Final = " / "
# A slash that could be mistaken for a separator, between spaces or the ends of a name. Backslashes before it belong to
# it, so that one more of them marks it and one less restores it.
_LONE_SLASH = re.compile(r"(?<![^ ])(\\*)/(?![^ ])")
_MARKED_SLASH = re.compile(r"(?<![^ ])\\(\\*)/(?![^ ])")


def join_path(path: tuple[str, ...]) -> str:
    r"""Return a taxonomy path as one label, `Animals / Birds / Owl`. `split_path` restores it, whatever the names hold.

    A slash that stands alone in a name is written `\/`. Raises ValueError for a path without names.
    """
    if not path:
        raise ValueError("a path needs at least one name")
    return _SEPARATOR.join(_LONE_SLASH.sub(r"\\\1/", name) for name in path)


def split_path(label: str) -> tuple[str, ...]:
    """Return the taxonomy path that `join_path` wrote as this label."""
    return tuple(_MARKED_SLASH.sub(r"\1/", name) for name in label.split(_SEPARATOR))
