"""Mentions of words and phrases: many are searched in a text at once, in any capitals and spaces."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from lsml.adapters.parts.text_spans import apart, word_bounds
from lsml.values import Span, Value

_SPACE: Final = re.compile(r"\s+")
_CERTAIN: Final = 1.0


class Mention(NamedTuple):
    """A phrase to search: `written`, with single spaces, stands for `label`; `score` is the probability of that."""

    written: str
    label: str
    score: float = _CERTAIN


class Hit(NamedTuple):
    """The place of a mention in a text."""

    start: int
    end: int
    mention: Mention


class Folded(NamedTuple):
    """A text with capitals, line breaks and runs of spaces folded, and a map of offsets to the original.

    `steps`: the offsets where the distance to the original changes; `offsets`: the same ones in the original.
    """

    text: str
    original: str
    steps: list[int]
    offsets: list[int]

    def unfolded(self, at: int) -> int | None:
        """Return the offset in the original of `at`; None inside a character that folds to several."""
        step = bisect_right(self.steps, at) - 1
        found = self.offsets[step] + at - self.steps[step]
        if step + 1 < len(self.offsets) and found >= self.offsets[step + 1]:
            return None
        return found


@lru_cache(maxsize=1)
def _uneven() -> re.Pattern[str]:
    """Return a pattern for white space that is no single space, and for characters that fold to several: a sharp s,
    ligatures.
    """
    longer = "".join(chr(point) for point in range(0x10000) if len(chr(point).casefold()) > 1)
    return re.compile(rf"\s\s+|[^\S ]|[{longer}]")


def fold(text: str) -> Folded:
    """Return a text in which two spellings of the same words are equal."""
    parts: list[str] = []
    steps, offsets = [0], [0]
    done = length = 0
    for match in _uneven().finditer(text):
        found = match.group()
        parts += [text[done : match.start()].casefold(), " " if found.isspace() else found.casefold()]
        length += match.start() - done
        # From here on the piece itself, and from its end on the rest.
        for at, offset in ((length, match.start()), (length + len(parts[-1]), match.end())):
            if at > steps[-1]:
                steps.append(at)
                offsets.append(offset)
            else:
                offsets[-1] = offset
        length += len(parts[-1])
        done = match.end()
    parts.append(text[done:].casefold())
    return Folded("".join(parts), text, steps, offsets)


class MentionFinder:
    """Many mentions, which are found in one pass through a text."""

    def __init__(self, mentions: Iterable[Mention], *, whole: bool, case: str) -> None:
        self.mentions = list(dict.fromkeys(mentions))
        self._whole = whole
        self._case = case
        self._by_form: dict[str, list[Mention]] = defaultdict(list)
        lengths: dict[str, set[int]] = defaultdict(set)
        for mention in self.mentions:
            form = fold(mention.written).text
            self._by_form[form].append(mention)
            lengths[form[:2]].add(len(form))
        # The first two characters -> the possible lengths, longest first.
        self._lengths = {head: sorted(some, reverse=True) for head, some in lengths.items()}
        self._single = any(len(head) == 1 for head in lengths)

    def __bool__(self) -> bool:
        return bool(self.mentions)

    def names(self, written: str) -> bool:
        """Return True if one of its mentions would be found in these words alone."""
        return any(self._fits(mention, written) for mention in self._by_form.get(fold(written).text, ()))

    def find(self, folded: Folded) -> list[Hit]:
        """Return every place of every mention, also where they overlap."""
        if not self.mentions:
            return []
        text = folded.text
        starts: Iterable[int] = range(len(text))
        ends = None
        if self._whole:
            starts, bounds = word_bounds(text)
            ends = set(bounds)
        lengths, forms = self._lengths, self._by_form
        hits: list[Hit] = []
        for start in starts:
            tried = lengths.get(text[start : start + 2], ())
            if self._single:
                tried = [*tried, *lengths.get(text[start], ())]
            for length in tried:
                mentions = forms.get(text[start : start + length])
                if mentions and (ends is None or start + length in ends):
                    hits += self._hits(folded, start, start + length, mentions)
        return hits

    def _hits(self, folded: Folded, start: int, end: int, mentions: Sequence[Mention]) -> list[Hit]:
        begin, finish = folded.unfolded(start), folded.unfolded(end)
        if begin is None or finish is None:
            return []
        written = plain(folded.original[begin:finish])
        return [Hit(begin, finish, mention) for mention in mentions if self._fits(mention, written)]

    def _fits(self, mention: Mention, written: str) -> bool:
        """Return True if the capitals of the `written` words fit a mention, as far as they count."""
        if self._case == "ignore" or mention.written == written:
            return True
        if self._case == "match":
            return False
        return mention.written in (mention.written.lower(), mention.written.casefold()) or (
            written == mention.written.upper()
        )


def longest(text: str, hits: Iterable[Hit], held: Iterable[tuple[int, int]] = ()) -> list[Hit]:
    """Return the longest of overlapping hits, of equal ones the first, in order; none that overlaps a place in `held`."""
    order = sorted(hits, key=lambda hit: (hit.start - hit.end, hit.start))
    return sorted(apart(order, lambda hit: (hit.start, hit.end), len(text), held), key=lambda hit: hit.start)


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a place without the white space at its ends, which people easily select, too."""
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def as_spans(hits: Sequence[Hit]) -> list[Value]:
    """Return hits as values with their mentions' scores."""
    return [Span(hit.start, hit.end, hit.mention.label, hit.mention.score) for hit in hits]


def plain(text: str) -> str:
    """Return words with single spaces between them."""
    return _SPACE.sub(" ", text).strip()
