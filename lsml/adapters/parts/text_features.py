"""TF-IDF of word and character n-grams: the features of several text adapters.

Fitted by scikit-learn's TfidfVectorizer. They are transformed here, to the same numbers, as for one text the library's
checks take several times as long as its arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import TRAINING
from lsml.adapters.parts.vocabulary import Alphabet, Vocabulary, cut, word_terms
from lsml.errors import NotEnoughData

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

    from lsml.adapters.parts.state import State
    from lsml.arrays import Array

_REMEMBERED = 1 << 14  # cached words, at most a kilobyte each
_LONGEST = 64  # the most characters of a cached word; Chinese has no spaces between words
_TOGETHER = 1 << 20  # characters of texts whose n-grams are counted together: at most about 100 MiB


class TextOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of text features; each text adapter adds its own."""

    ngrams: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=3)], Annotated[int, Meta(ge=1, le=3)]],
        Meta(description="The lengths of word n-grams: [low, high].", extra=TRAINING),
    ] = (1, 2)
    characters: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=6)], Annotated[int, Meta(ge=1, le=6)]] | None,
        Meta(
            description="The lengths of character n-grams in words, which tolerate typing errors and endings; null for none.",
            extra=TRAINING,
        ),
    ] = (1, 4)
    lowercase: Annotated[bool, Meta(description="`true` ignores case.", extra=TRAINING)] = True
    max_features: Annotated[
        int,
        Meta(
            ge=100,
            le=5_000_000,
            description="The most word n-grams and the most character n-grams; the most frequent are kept.",
            extra=TRAINING,
        ),
    ] = 100_000

    def __post_init__(self) -> None:
        for name, bounds in (("ngrams", self.ngrams), ("characters", self.characters)):
            if bounds is not None and bounds[0] > bounds[1]:
                raise ValueError(f"{name}: expected [low, high], got [{bounds[0]}, {bounds[1]}]")


@dataclass(frozen=True)
class Block:
    """One kind of n-grams: `analyzer` word or char_wb, lengths from `low` to `high`."""

    analyzer: str
    low: int
    high: int


class Found(NamedTuple):
    """The n-grams found in texts: for each the index of its text, and its column, in any order and with repetitions."""

    texts: Array
    columns: Array


class _Words:
    """The word n-grams of a block: texts -> their columns, tokenised as TfidfVectorizer does."""

    def __init__(self, terms: Sequence[str], first: int) -> None:
        """Make the table. `first`: the column of the first of `terms`; the others follow."""
        import numpy as np

        self._numbers, units = word_terms(terms)
        self._vocabulary = Vocabulary(units, np.arange(first, first + len(terms)), len(self._numbers))

    def columns(self, texts: Sequence[str]) -> Found:
        """Return the columns of every known n-gram, by text."""
        import numpy as np

        # No word contains a line break, and each text is between two.
        joined = "\n".join(["", *texts, ""])
        words, begins = cut(joined)
        numbers = np.fromiter(map(self._numbers.get, words, repeat(0)), dtype=np.int64, count=len(words))
        ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1)
        sizes = np.diff(begins.searchsorted(ends), prepend=0)  # words of each text
        every = np.arange(len(texts))
        # Each text is followed by a unit that is in no n-gram.
        units = np.zeros(len(words) + len(texts), dtype=np.int64)
        units[np.arange(len(words)) + every.repeat(sizes)] = numbers
        starts, columns = self._vocabulary.runs(units)
        return Found(every.repeat(sizes + 1)[starts], columns)


class _Characters:
    """The character n-grams of a block, tokenised as TfidfVectorizer's char_wb does.

    Most words of a text were seen before, so the columns of words are cached.
    """

    def __init__(self, terms: Sequence[str], first: int) -> None:
        """Make the table. `first`: the column of the first of `terms`; the others follow."""
        import numpy as np

        self._alphabet = Alphabet(terms)
        self._vocabulary = Vocabulary(
            self._alphabet.terms(terms), np.arange(first, first + len(terms)), self._alphabet.size
        )
        self._remembered: dict[str, bytes] = {}  # word -> its columns, int32

    def columns(self, texts: Sequence[str]) -> Found:
        """Return the columns of every known n-gram, by text."""
        import numpy as np

        words = [text.split() for text in texts]
        known = self._remembered
        new = list({word for of_text in words for word in of_text if word not in known})
        if new:
            known = {**known, **self._of_words(new)}
            kept = {word: columns for word, columns in known.items() if len(word) <= _LONGEST}
            self._remembered = kept if len(kept) <= _REMEMBERED else {}
        of_texts = [b"".join(map(known.__getitem__, of_text)) for of_text in words]
        lengths = np.fromiter(map(len, of_texts), dtype=np.int64, count=len(of_texts)) // 4
        columns = np.frombuffer(b"".join(of_texts), dtype=np.int32)
        return Found(np.repeat(np.arange(len(texts)), lengths), columns)

    def _of_words(self, words: Sequence[str]) -> dict[str, bytes]:
        """Return the columns of each word."""
        import numpy as np

        # Between two words are two spaces, which no n-gram contains: spaces are only at its ends.
        joined = f" {'  '.join(words)} "
        starts, columns = self._vocabulary.runs(np.append(self._alphabet.units(joined), 0))
        ends = np.cumsum(np.fromiter(map(len, words), dtype=np.int64, count=len(words)) + 2)
        of_word = ends.searchsorted(starts, "right")
        order = of_word.argsort(kind="stable")
        bounds = of_word[order].searchsorted(np.arange(len(words) + 1)).tolist()
        packed = columns[order].astype(np.int32)
        return {word: packed[start:end].tobytes() for word, (start, end) in zip(words, pairwise(bounds), strict=True)}


class TextFeatures:
    """Texts -> rows of a sparse matrix, (texts, features), each block of n-grams normalised to length 1."""

    def __init__(self, blocks: Sequence[Block], *, lowercase: bool, max_features: int) -> None:
        self._blocks = list(blocks)
        self._lowercase = lowercase
        self._max_features = max_features
        # For each block: its terms in column order, their table, idf. Columns are numbered through all blocks.
        self._fitted: list[tuple[list[str], _Words | _Characters, Array]] = []
        self._starts: Array  # (blocks,), the first column of each
        self._idf: Array  # (width,)
        self.width = 0

    @classmethod
    def of_options(cls, options: TextOptions) -> TextFeatures:
        """Return features with a recipe's options, not fitted yet."""
        blocks = [Block("word", *options.ngrams)]
        if options.characters is not None:
            blocks.append(Block("char_wb", *options.characters))
        return cls(blocks, lowercase=options.lowercase, max_features=options.max_features)

    def fit_transform(self, texts: Callable[[], Iterable[str]]) -> csr_matrix:
        """Learn the vocabulary, and return the transformed texts. `texts` is called once for each block; no copy is held.

        Raises NotEnoughData if the texts have no feature.
        """
        from scipy.sparse import hstack

        parts = []
        blocks, self._blocks, self._fitted, self.width = self._blocks, [], [], 0
        for block in blocks:
            vectorizer = self._vectorizer(block)
            try:
                parts.append(vectorizer.fit_transform(texts()))
            except ValueError as error:
                if "empty vocabulary" not in str(error):
                    raise
                continue  # texts without a single word can still have characters
            self._blocks.append(block)
            self._add(block, vectorizer.get_feature_names_out().tolist(), vectorizer.idf_)
        if not parts:
            raise NotEnoughData("the texts have no words to train on")
        return hstack(parts, format="csr")

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        """Return rows for texts; a text without a known n-gram has an empty row."""
        from scipy.sparse import vstack

        parts = [self._rows(texts[start:end]) for start, end in _stretches(texts)]
        return parts[0] if len(parts) == 1 else vstack(parts, format="csr")

    def _rows(self, texts: Sequence[str]) -> csr_matrix:
        """Return rows for texts that are counted together."""
        import numpy as np
        from scipy.sparse import csr_matrix

        read = [text.lower() for text in texts] if self._lowercase else texts
        parts = [ngrams.columns(read) for _, ngrams, _ in self._fitted]
        # Text and column in one number: sorting puts equal ones together, and rows in order. Short numbers sort faster.
        bits = self.width.bit_length()
        kind = np.int32 if len(texts) << bits < 1 << 31 else np.int64
        cells: Array = np.concatenate(
            [part.texts << bits | part.columns for part in parts], dtype=kind, casting="same_kind"
        )
        cells.sort()
        last = np.empty(len(cells), dtype=bool)  # True for the last of equal ones
        last[-1:] = True
        np.not_equal(cells[1:], cells[:-1], out=last[:-1])
        ends = np.flatnonzero(last)
        counts = ends.copy()
        counts[1:] -= ends[:-1]
        counts[:1] += 1
        cells = cells.take(ends)
        columns = cells & ((1 << bits) - 1)
        logarithms = 1.0 + np.log(np.arange(1, counts.max(initial=0) + 1))  # counts are few, and most are 1
        weights = logarithms.take(counts - 1) * self._idf.take(columns)
        # A segment is one block of one text, which is normalised together.
        firsts = (np.arange(len(texts))[:, None] << bits | self._starts).ravel()
        begins = cells.searchsorted(firsts.astype(kind, copy=False))
        stretch = np.arange(len(begins)).repeat(np.diff(begins, append=len(cells)))
        # For an empty segment it is the number after it, which nothing is divided by.
        squares = np.add.reduceat(np.append(weights * weights, 0.0), begins)
        weights /= np.sqrt(squares)[stretch]
        borders = np.append(begins[:: len(parts)], len(cells)).astype(np.int32)
        indices = columns.astype(np.int32, copy=False)  # what scipy would otherwise compute
        return csr_matrix((weights, indices, borders), shape=(len(texts), self.width))

    def state(self) -> State:
        """Return arrays and numbers from which `restore` makes the same features."""
        import numpy as np

        blocks = []
        for block, (terms, _, idf) in zip(self._blocks, self._fitted, strict=True):
            # One array of bytes, as skops takes seconds to read a dict of a hundred thousand terms.
            joined = "\n".join(terms).encode("utf-8", "surrogatepass")
            blocks.append(
                {
                    "analyzer": block.analyzer,
                    "low": block.low,
                    "high": block.high,
                    "terms": np.frombuffer(joined, dtype=np.uint8),
                    "idf": idf,
                }
            )
        return {"lowercase": self._lowercase, "blocks": blocks}

    @classmethod
    def restore(cls, state: State) -> TextFeatures:
        """Return the features of a `state`. Raises KeyError or ValueError for anything else."""
        blocks = [Block(str(b["analyzer"]), int(b["low"]), int(b["high"])) for b in state["blocks"]]
        features = cls(blocks, lowercase=bool(state["lowercase"]), max_features=1)
        for block, saved in zip(blocks, state["blocks"], strict=True):
            terms = saved["terms"].tobytes().decode("utf-8", "surrogatepass").split("\n")
            if saved["idf"].shape != (len(terms),):
                raise ValueError("vocabulary and weights differ in length")
            features._add(block, terms, saved["idf"])
        return features

    def _add(self, block: Block, terms: list[str], idf: Array) -> None:
        """Add a fitted block."""
        import numpy as np

        ngrams = _Words if block.analyzer == "word" else _Characters
        self._fitted.append((terms, ngrams(terms, self.width), idf))
        self._starts = np.cumsum([0, *(len(fitted[0]) for fitted in self._fitted[:-1])])
        self._idf = np.concatenate([fitted[2] for fitted in self._fitted])
        self.width += len(terms)

    def _vectorizer(self, block: Block) -> TfidfVectorizer:
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(
            analyzer=block.analyzer,
            ngram_range=(block.low, block.high),
            lowercase=self._lowercase,
            max_features=self._max_features,
            sublinear_tf=True,
        )


def text_rows(options: TextOptions, texts: Sequence[str]) -> csr_matrix | None:
    """Return features (texts, features) of texts alone, without any learnt model; None where they hold no words."""
    try:
        return TextFeatures.of_options(options).fit_transform(lambda: texts)
    except NotEnoughData:
        return None


def _stretches(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield start and end of texts that are counted together; at least one stretch."""
    start = size = 0
    for index, text in enumerate(texts):
        if size and size + len(text) > _TOGETHER:
            yield start, index
            start, size = index, 0
        size += len(text)
    yield start, len(texts)
