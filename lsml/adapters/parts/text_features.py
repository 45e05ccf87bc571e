"""TF-IDF of word and character n-grams: what both text adapters see of a text.

Fitted by scikit-learn's TfidfVectorizer. Transforming is done here, to the same numbers: for one text, the library's
checks cost several times its arithmetic.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from lsml.adapters.base import TRAINING
from lsml.errors import NotEnoughData

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix

_WORD = re.compile(r"(?u)\b\w\w+\b")  # TfidfVectorizer's own
_REMEMBERED = 1 << 14  # words, some kilobytes each at worst
_LONGEST = 64  # characters of a word worth remembering; Chinese has no spaces between words


class TextOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How texts are read; each text adapter adds how it learns."""

    ngrams: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=3)], Annotated[int, Meta(ge=1, le=3)]],
        Meta(description="Shortest and longest run of words that is looked at: [low, high].", extra=TRAINING),
    ] = (1, 2)
    characters: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=6)], Annotated[int, Meta(ge=1, le=6)]] | None,
        Meta(
            description="The same for characters within a word, which forgives typing errors and endings; null for none.",
            extra=TRAINING,
        ),
    ] = (1, 4)
    lowercase: Annotated[bool, Meta(description="Whether capitals count as small letters.", extra=TRAINING)] = True
    max_features: Annotated[
        int,
        Meta(
            ge=100,
            le=5_000_000,
            description="Most word and most character n-grams kept, commonest first.",
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


def _word_ngrams(block: Block, look_up: Callable[[str], int | None]) -> Callable[[str], list[int]]:
    """Text -> the columns of its runs of words, as TfidfVectorizer cuts them."""

    def columns(text: str) -> list[int]:
        words = _WORD.findall(text)
        terms = list(words) if block.low == 1 else []
        for size in range(max(2, block.low), min(block.high, len(words)) + 1):
            terms += [" ".join(words[start : start + size]) for start in range(len(words) - size + 1)]
        return [column for column in map(look_up, terms) if column is not None]

    return columns


def _character_ngrams(block: Block, look_up: Callable[[str], int | None]) -> Callable[[str], list[int]]:
    """Text -> the columns of its runs of characters within words, as TfidfVectorizer's char_wb cuts them.

    A text is mostly words that were seen before, so those of a word are remembered.
    """

    def of_word(word: str) -> list[int]:
        padded = f" {word} "
        terms: list[str] = []
        for size in range(block.low, block.high + 1):
            terms += [padded[start : start + size] for start in range(max(1, len(padded) - size + 1))]
            if len(padded) <= size:
                break  # a short word counts once
        return [column for column in map(look_up, terms) if column is not None]

    remembered = lru_cache(_REMEMBERED)(of_word)

    def columns(text: str) -> list[int]:
        found: list[int] = []
        for word in text.split():
            found += remembered(word) if len(word) <= _LONGEST else of_word(word)
        return found

    return columns


class TextFeatures:
    """Texts -> rows of a sparse matrix, (texts, features), each block of n-grams normalised to length 1."""

    def __init__(self, blocks: Sequence[Block], lowercase: bool, max_features: int) -> None:
        self._blocks = list(blocks)
        self._lowercase = lowercase
        self._max_features = max_features
        # Of each block: its terms in column order, text -> columns, idf. Columns count through all blocks.
        self._fitted: list[tuple[list[str], Callable[[str], list[int]], np.ndarray[Any, Any]]] = []
        self._idf: np.ndarray[Any, Any]  # (width,)
        self.width = 0

    @classmethod
    def of_options(cls, options: TextOptions) -> TextFeatures:
        """Features that are yet to be fitted, as a recipe asks for them."""
        blocks = [Block("word", *options.ngrams)]
        if options.characters is not None:
            blocks.append(Block("char_wb", *options.characters))
        return cls(blocks, options.lowercase, options.max_features)

    def fit_transform(self, texts: Callable[[], Iterable[str]]) -> csr_matrix:
        """Learn the vocabulary, and transform. `texts` is called once for each block, so that no copy is held here."""
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
            raise NotEnoughData("the texts hold no words to learn from")
        return hstack(parts, format="csr")

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        """Rows for texts; a text without a known n-gram has an empty row."""
        import numpy as np
        from scipy.sparse import csr_matrix

        columns: list[int] = []
        counts: list[int] = []
        ends = [0]  # of stretches: a text has one for each block
        for text in texts:
            read = text.lower() if self._lowercase else text
            for _, look_up, _ in self._fitted:
                found = Counter(look_up(read))
                columns += found
                counts += found.values()
                ends.append(len(columns))
        indices, stretches = np.array(columns, dtype=np.int32), np.array(ends, dtype=np.int32)
        weights = (1.0 + np.log(np.array(counts, dtype=np.float64))) * self._idf[indices]
        stretch = np.repeat(np.arange(len(ends) - 1), np.diff(stretches))
        lengths = np.sqrt(np.bincount(stretch, weights=weights * weights, minlength=len(ends) - 1))
        rows = stretches[:: len(self._fitted)]
        return csr_matrix((weights / lengths[stretch], indices, rows), shape=(len(texts), self.width))

    def state(self) -> dict[str, Any]:
        """Arrays and numbers from which `restore` makes the same features."""
        import numpy as np

        blocks = []
        for block, (terms, _, idf) in zip(self._blocks, self._fitted, strict=True):
            # One array of bytes: a dict of a hundred thousand terms takes skops seconds to read.
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
    def restore(cls, state: dict[str, Any]) -> TextFeatures:
        """The features that `state` described. Raises KeyError or ValueError where it is something else."""
        blocks = [Block(str(b["analyzer"]), int(b["low"]), int(b["high"])) for b in state["blocks"]]
        features = cls(blocks, bool(state["lowercase"]), 1)
        for block, saved in zip(blocks, state["blocks"], strict=True):
            terms = saved["terms"].tobytes().decode("utf-8", "surrogatepass").split("\n")
            if saved["idf"].shape != (len(terms),):
                raise ValueError("vocabulary and weights differ in length")
            features._add(block, terms, saved["idf"])
        return features

    def _add(self, block: Block, terms: list[str], idf: np.ndarray[Any, Any]) -> None:
        """Take in a block that was fitted."""
        import numpy as np

        look_up = {term: column for column, term in enumerate(terms, self.width)}.get
        ngrams = _word_ngrams if block.analyzer == "word" else _character_ngrams
        self._fitted.append((terms, ngrams(block, look_up), idf))
        self._idf = np.concatenate([fitted[2] for fitted in self._fitted])
        self.width += len(terms)

    def _vectorizer(self, block: Block) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(
            analyzer=block.analyzer,
            ngram_range=(block.low, block.high),
            lowercase=self._lowercase,
            max_features=self._max_features,
            sublinear_tf=True,
        )
