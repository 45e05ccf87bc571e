"""The common part of adapters that find spans: tokens and words in any script, and overlapping spans."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from lsml.values import Span, Value

# Thai, Lao, Burmese, Khmer, kana and Han are written without spaces, so each character is a token.
_ALONE: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)

_TOGETHER: Final = "\x1f"  # separates labels of one place; XML, and so a labeling config, cannot hold it

_Place = TypeVar("_Place")


class Token(NamedTuple):
    """A word, a number or a symbol of a text: code points from `start` up to `end`."""

    text: str
    start: int
    end: int


@lru_cache(maxsize=1)
def _marks() -> str:
    """Return the combining characters, as `re` has no class for them."""
    marks = "".join(chr(point) for point in range(0x300, 0x10000) if unicodedata.category(chr(point)) in ("Mn", "Mc"))
    return f"{marks}\u200c\u200d"


@lru_cache(maxsize=1)
def _token() -> re.Pattern[str]:
    word = rf"(?:(?![{_ALONE}])[^\W\d_][{_marks()}]*)+"
    return re.compile(rf"[{_ALONE}][{_marks()}]*|{word}|\d+|[^\w\s][{_marks()}\ufe0f]*|_")


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    return re.compile(rf"(?:(?![{_ALONE}])\w[{_marks()}]*)+|\S[{_marks()}\ufe0f]*")


def tokens(text: str, start: int = 0, end: int | None = None) -> list[Token]:
    """Return the tokens of text[start:end], in order, without white space. Letters and digits are separate."""
    found = _token().finditer(text, start, len(text) if end is None else end)
    return [Token(match.group(), match.start(), match.end()) for match in found]


@lru_cache(maxsize=1)
def _single() -> re.Pattern[str]:
    return re.compile(f"[{_ALONE}]")


def stands_alone(character: str) -> bool:
    """Return True if a character is of a script without spaces between words."""
    return _single().match(character) is not None


def is_mark(character: str) -> bool:
    """Return True if a character belongs to the one before it: accents, vowel signs, joiners."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me") or character in "\u200c\u200d"


def word_bounds(text: str) -> tuple[list[int], list[int]]:
    """Return the starts and the ends of words: runs of letters, digits and underscores, and single symbols."""
    spans = [match.span() for match in _word().finditer(text)]
    return [start for start, _ in spans], [end for _, end in spans]


def apart(
    places: Iterable[_Place],
    span: Callable[[_Place], tuple[int, int]],
    length: int,
    held: Iterable[tuple[int, int]] = (),
) -> list[_Place]:
    """Return places in a text of `length` that share no character with an earlier one, nor with a place in `held`.

    `span`: returns the (start, end) of a place.
    """
    taken = bytearray(length)
    for start, end in held:
        taken[start:end] = b"\1" * (end - start)
    kept = []
    for place in places:
        start, end = span(place)
        if taken.find(1, start, end) < 0:
            taken[start:end] = b"\1" * (end - start)
            kept.append(place)
    return kept


# The effect of `outermost` for annotators, in words that follow an adapter's name.
PASSED_OVER: Final = "is trained only on the longest of overlapping or nested spans, and finds none inside another"


def outermost(values: Sequence[Value], allowed: set[str] | None) -> list[Span]:
    """Return spans with allowed labels that do not overlap, in order: of overlapping ones the longest.

    Spans at one place become one, with a label made of all of theirs, which `parted` separates again.
    """
    places: dict[tuple[int, int], set[str]] = {}
    for value in values:
        if isinstance(value, Span) and (allowed is None or value.label in allowed):
            places.setdefault((value.start, value.end), set()).add(value.label)
    spans = [Span(*place, _TOGETHER.join(sorted(labels))) for place, labels in places.items()]
    longest = sorted(spans, key=lambda one: (one.start - one.end, one.start, one.label))
    kept = apart(longest, lambda one: (one.start, one.end), max((one.end for one in spans), default=0))
    return sorted(kept, key=lambda one: one.start)


def parted(span: Span) -> list[Span]:
    """Return a span with a combined label as one span for each of its labels, all with its score."""
    return [Span(span.start, span.end, label, span.score) for label in span.label.split(_TOGETHER)]


def inner(values: Sequence[Value], kept: Sequence[Span], allowed: set[str] | None) -> list[Span]:
    """Return the spans with allowed labels that `outermost` left out, in order and without scores."""
    learnt = {(one.start, one.end, one.label) for span in kept for one in parted(span)}
    told = {
        (value.start, value.end, value.label)
        for value in values
        if isinstance(value, Span) and (allowed is None or value.label in allowed)
    }
    return [Span(*place) for place in sorted(told - learnt)]


def notes_of(inner_spans: int) -> tuple[str, ...]:
    """Return the note for a version's card about spans that were not learnt."""
    if not inner_spans:
        return ()
    return (f"{inner_spans} spans overlap longer ones and were not used for training: it finds none inside another",)
