"""Paths into JSON, a subset of JSONPath: `results.items[*].label`, `channels[0].text`, `$`."""

from __future__ import annotations

import re
from typing import Any, Final

PATTERN: Final = r"^\$?(\.?[^.\[\]$\s]+|\[\d+\]|\[\*\])*$"
_STEP: Final = re.compile(r"\[(\d+|\*)\]|([^.\[\]$\s]+)")


def found_at(path: str, reply: object) -> list[object]:
    """Return everything at a path; `[*]` is every element of a list, and a missing key is no error."""
    found = [reply]
    for index, name in _STEP.findall(path):
        if name:
            found = [one[name] for one in found if isinstance(one, dict) and name in one]
        elif index == "*":
            found = [item for one in found if isinstance(one, list) for item in one]
        else:
            found = [one[int(index)] for one in found if isinstance(one, list) and int(index) < len(one)]
    return found


def first_at(path: str, reply: object) -> Any:
    """Return the first value at a path, or None."""
    return next(iter(found_at(path, reply)), None)
