"""Paths into JSON, a subset of JSONPath: `results.items[*].label`, `channels[0].text`, `$`."""

from __future__ import annotations

import re
from typing import Any, Final

PATTERN: Final = r"^\$?(\.?[^.\[\]$\s]+|\[\d+\]|\[\*\])*$"
_STEP: Final = re.compile(r"\[(\d+|\*)\]|([^.\[\]$\s]+)")


def found_at(path: str, reply: object) -> list[object]:
    """Return everything at a path; `[*]` is every element of a list, and a missing key is no error."""
    places = [reply]
    for index, name in _STEP.findall(path):
        if name:
            places = [place[name] for place in places if isinstance(place, dict) and name in place]
        elif index == "*":
            places = [item for place in places if isinstance(place, list) for item in place]
        else:
            places = [place[int(index)] for place in places if isinstance(place, list) and int(index) < len(place)]
    return places


def first_at(path: str, reply: object) -> Any:
    """Return the first value at a path, or None."""
    return next(iter(found_at(path, reply)), None)
