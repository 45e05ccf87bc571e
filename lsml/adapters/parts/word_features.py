"""Features of words for models of sequences: the word, its form, its neighbours, and a lexicon of annotated words."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from lsml.adapters.parts.text_spans import Token, tokens
from lsml.values import Span

_LONGEST: Final = 400  # the most tokens that are tagged at once; longer lines are cut at the ends of sentences
OUTSIDE: Final = "O"
_SMALL: Final = "small"
_CAPITAL: Final = "capital"
_NEW: Final = 3  # of this many texts with spans, at least one is treated as having new names
_ENDS: Final = frozenset(".!?…。！？।")
_REMEMBERED: Final = 1 << 15  # words whose features are cached


class Lexicon:
    """Counts of training texts for each word in lower case: its labels, how often it has none, and how often it has a
    capital inside a sentence, or is in lower case.
    """

    def __init__(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        self.counts = counts
        self._said: dict[str, _Said] = {}

    @classmethod
    def of(cls, texts: Iterable[tuple[str, Sequence[Span]]]) -> Lexicon:
        """Return the counts of all texts."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for text, spans in texts:
            for word, fact in _observed(text, spans):
                counts[word][fact] += 1
        return cls({word: dict(of_word) for word, of_word in counts.items()})

    def without(self, text: str, spans: Sequence[Span]) -> Lexicon:
        """Return the counts of all other texts, as a text must not learn from its own counts."""
        own: dict[str, Counter[str]] = defaultdict(Counter)
        for word, fact in _observed(text, spans):
            own[word][fact] += 1
        return Lexicon(
            {
                word: {fact: count - of_word[fact] for fact, count in self.counts[word].items()}
                for word, of_word in own.items()
            }
        )

    def knows(self, text: str, spans: Sequence[Span]) -> bool:
        """Return True if every word in the spans of a text is annotated in other texts."""
        return all(
            any(fact[0] == "-" and count for fact, count in self.counts.get(word, {}).items())
            for word, fact in _observed(text, spans)
            if fact[0] == "-"
        )

    def less(self, text: str, spans: Sequence[Span]) -> Lexicon:
        """Return the counts without the words in the spans of a text."""
        marked = {word for word, fact in _observed(text, spans) if fact[0] == "-"}
        return Lexicon({word: of_word for word, of_word in self.counts.items() if word not in marked})

    def says(self, word: str) -> _Said:
        """Return features of a word: the share of each label, and its capitals. A new word has none."""
        of_word = self.counts.get(word)
        if not of_word:
            return _NOTHING
        said = self._said.get(word)
        if said is None:
            labels = [(fact, count) for fact, count in sorted(of_word.items()) if count and fact[0] in "O-"]
            total = sum(count for _, count in labels)
            shares = [f"lex={label} {min(3, 4 * count // total)}" for label, count in labels]
            small, capital = of_word.get(_SMALL, 0), of_word.get(_CAPITAL, 0)
            case = "small" if small >= 4 * capital else "capital" if capital >= 4 * small else "mixed"
            if small + capital:
                shares.append(f"case={case}")
            before, after = (tuple(f"{side}{share}" for share in shares) for side in "-+")
            said = self._said[word] = _Said(tuple(shares), before, after, case if small + capital else "")
        return said


def told_by_others(
    texts: Iterable[tuple[str, Sequence[Span]]], lexicon: Lexicon
) -> Iterator[tuple[str, Sequence[Span], Lexicon]]:
    """Yield each text with its spans and the other texts' counts of its words.

    If the same names occur again and again, nothing would teach the model about new ones. Then some texts are read as
    if their names were new.
    """
    marked = new = 0
    for text, spans in texts:
        own = lexicon.without(text, spans)
        if spans and own.knows(text, spans):
            if new * _NEW < marked:
                own, new = own.less(text, spans), new + 1
        else:
            new += bool(spans)
        marked += bool(spans)
        yield text, spans, own


class _Said(NamedTuple):
    """A lexicon's features of a word: for the word itself, for the one after it, and for the one before it."""

    own: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    case: str


_NOTHING: Final = _Said((), (), (), "")


def _observed(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, str]]:
    """Yield (word in lower case, its tag without position, or its capitals) for every word of a text."""
    for stretch in stretches(text):
        for index, (token, tag) in enumerate(zip(stretch, tags_of(stretch, spans), strict=True)):
            word = token.text.lower()
            yield word, tag[1:] or OUTSIDE  # only labels have a "-"
            if token.text[0].islower():
                yield word, _SMALL
            elif index and token.text[0].isupper():
                yield word, _CAPITAL


def stretches(text: str) -> Iterator[list[Token]]:
    """Yield the tokens that are tagged at once: those of a line; of a long line those of some sentences."""
    for line in re.finditer(r"[^\r\n\u2028\u2029]+", text):
        found = tokens(text, line.start(), line.end())
        begin = 0
        while len(found) - begin > _LONGEST:
            window = range(begin + _LONGEST - 1, begin + _LONGEST // 2, -1)
            cut = next((index + 1 for index in window if found[index].text in _ENDS), begin + _LONGEST)
            yield found[begin:cut]
            begin = cut
        if len(found) > begin:
            yield found[begin:]


class _Word(NamedTuple):
    """The features of a word that do not depend on its place: lower case, shape, features, and those for a neighbour."""

    lower: str
    shape: str
    own: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@lru_cache(_REMEMBERED)
def _of_word(word: str) -> _Word:
    lower = word.lower()
    shape = "".join("X" if c.isupper() else "d" if c.isdigit() else "x" if c.isalpha() else c for c in word[:20])
    short = re.sub(r"(.)\1+", r"\1+", shape)
    own = [f"W={word}", f"w={lower}", f"s={short}"]
    if len(shape) < 8:
        own.append(f"S={shape}")
    for size in (1, 2, 3, 4):
        if len(lower) > size:
            own += (f"p={lower[:size]}", f"e={lower[-size:]}")
    return _Word(lower, short, tuple(own), (f"-w={lower}", f"-s={short}"), (f"+w={lower}", f"+s={short}"))


@lru_cache(_REMEMBERED)
def _of_shapes(two_before: str, before: str, shape: str, after: str, two_after: str) -> tuple[str, ...]:
    return (
        f"-s|s={before} {shape}", f"s|+s={shape} {after}", f"-s|s|+s={before} {shape} {after}",
        f"--s|-s|s={two_before} {before} {shape}", f"s|+s|++s={shape} {after} {two_after}",
    )  # fmt: skip


_BEGIN: Final = _Word("", "[", (), ("first",), ())
_END: Final = _Word("", "]", (), (), ("last",))


def features(stretch: Sequence[Token], lexicon: Lexicon) -> list[list[str]]:
    """Return the features of each token: the word, its form, its neighbours, and the lexicon's features of the three."""
    words = [_BEGIN, _BEGIN, *(_of_word(token.text) for token in stretch), _END, _END]
    said_of = [_NOTHING, *(lexicon.says(word.lower) for word in words[2:-2]), _NOTHING]
    lowers = [word.lower for word in words]
    shapes = [word.shape for word in words]
    rows = []
    for index in range(len(stretch)):
        two_before, before, lower, after, two_after = lowers[index : index + 5]
        said = said_of[index + 1]
        rows.append(
            [
                "1", *words[index + 2].own, *words[index + 1].before, *words[index + 3].after,
                f"--w={two_before}", f"-w|w={before} {lower}", f"w|+w={lower} {after}", f"++w={two_after}",
                *_of_shapes(*shapes[index : index + 5]),
                *said.own, *said_of[index].before, *said_of[index + 2].after, f"s|{said.case}={shapes[index + 2]}",
            ]
        )  # fmt: skip
    rows[0].append(f"first|{said_of[1].case}")
    return rows


def tags_of(stretch: Sequence[Token], spans: Sequence[Span]) -> list[str]:
    """Return the tag of each token: it begins a span, is inside one, or outside of all."""
    tags = []
    index = bisect_left(spans, stretch[0].start, key=lambda span: span.end)
    begun = -1
    for token in stretch:
        while index < len(spans) and spans[index].end <= token.start:
            index += 1
        if index == len(spans) or token.end <= spans[index].start:
            tags.append(OUTSIDE)
            continue
        tags.append(f"{'I' if begun == index else 'B'}-{spans[index].label}")
        begun = index
    return tags
