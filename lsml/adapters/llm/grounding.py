"""The places of a model's quotes in a text: exact, else ignoring capitals and spaces, else approximate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_LONGEST: Final = 300  # the most characters of a quote for an approximate search
_SECONDS: Final = 1.0


def ground(text: str, quotes: Sequence[tuple[str, str]], least: float) -> list[tuple[int, int] | None]:
    """Return the place of each quote with its label: code points (start, end), or None where the text does not hold it.

    A quote is searched from the end of the one before, as a model gives them in order, then from the beginning. No
    place is returned twice for one label. `least`: the least share of a quote's characters that must match.
    """
    places: list[tuple[int, int] | None] = []
    taken: set[tuple[int, int, str]] = set()
    after = 0
    for quote, label in quotes:
        found = None
        for matches in (_exact, _loose, _near):
            found = next(
                (
                    place
                    for begin in dict.fromkeys((after, 0))
                    for place in matches(text, quote.strip(), begin, least)
                    if (*place, label) not in taken
                ),
                None,
            )
            if found is not None:
                taken.add((*found, label))
                after = found[1]
                break
        places.append(found)
    return places


def _exact(text: str, quote: str, begin: int, _least: float) -> list[tuple[int, int]]:
    if not quote:
        return []
    return [match.span() for match in re.compile(re.escape(quote)).finditer(text, begin)]


def _loose(text: str, quote: str, begin: int, least: float) -> list[tuple[int, int]]:
    words = quote.split()
    if not words or least > 1 - 1e-9:
        return []
    pattern = re.compile(r"\s+".join(map(re.escape, words)), re.IGNORECASE)
    return [match.span() for match in pattern.finditer(text, begin)]


def _near(text: str, quote: str, begin: int, least: float) -> list[tuple[int, int]]:
    """Return the best approximate places; empty where the search takes too long."""
    errors = int(len(quote) * (1 - least))
    if not errors or len(quote) > _LONGEST:
        return []
    import regex

    # A quote's first and last character must match, so that the place neither begins nor ends beside it.
    inner = regex.escape(quote[1:-1], special_only=True)
    first, last = (regex.escape(character, special_only=True) for character in (quote[0], quote[-1]))
    pattern = regex.compile(f"{first}(?:{inner}){{e<={errors}}}{last}", regex.ENHANCEMATCH | regex.IGNORECASE)
    try:
        match = pattern.search(text, begin, timeout=_SECONDS, concurrent=True)
    except TimeoutError:
        return []
    return [match.span()] if match and match.end() > match.start() else []
