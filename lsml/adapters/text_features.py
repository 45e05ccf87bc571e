"""TF-IDF of word and character n-grams: what both text adapters see of a text.

Fitted by scikit-learn's TfidfVectorizer. Transforming is done here, to the same numbers: for one text, the library's
checks cost several times its arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsml.errors import NotEnoughData, VersionError

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix

FILE = "model.skops"
_FORMAT = 1


@dataclass(frozen=True)
class Block:
    """One kind of n-grams: `analyzer` word or char_wb, lengths from `low` to `high`."""

    analyzer: str
    low: int
    high: int


class TextFeatures:
    """Texts -> rows of a sparse matrix, (texts, features), each block of n-grams normalised to length 1."""

    def __init__(self, blocks: Sequence[Block], lowercase: bool, max_features: int) -> None:
        self._blocks = list(blocks)
        self._lowercase = lowercase
        self._max_features = max_features
        self._fitted: list[tuple[Callable[[str], list[str]], dict[str, int], list[float]]] = []
        self.width = 0

    def fit_transform(self, texts: Callable[[], Iterable[str]]) -> csr_matrix:
        """Learn the vocabulary, and transform. `texts` is called once for each block, so that no copy is held here."""
        from scipy.sparse import hstack

        parts = []
        blocks, self._blocks, self._fitted = self._blocks, [], []
        for block in blocks:
            vectorizer = self._vectorizer(block)
            try:
                parts.append(vectorizer.fit_transform(texts()))
            except ValueError as error:
                if "empty vocabulary" not in str(error):
                    raise
                continue  # texts without a single word can still have characters
            vocabulary = {term: int(column) for term, column in vectorizer.vocabulary_.items()}
            self._fitted.append((vectorizer.build_analyzer(), vocabulary, vectorizer.idf_.tolist()))
            self._blocks.append(block)
        if not parts:
            raise NotEnoughData("the texts hold no words to learn from")
        self.width = sum(part.shape[1] for part in parts)
        return hstack(parts, format="csr")

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        """Rows for texts; a text without a known n-gram has an empty row."""
        import numpy as np
        from scipy.sparse import csr_matrix

        columns: list[int] = []
        values: list[float] = []
        ends = [0]
        for text in texts:
            offset = 0
            for analyze, vocabulary, idf in self._fitted:
                counts: dict[int, int] = {}
                for term in analyze(text):
                    column = vocabulary.get(term)
                    if column is not None:
                        counts[column] = counts.get(column, 0) + 1
                ordered = sorted(counts)
                weights = [(1.0 + math.log(counts[column])) * idf[column] for column in ordered]
                length = math.sqrt(math.fsum(weight * weight for weight in weights))
                columns += [offset + column for column in ordered]
                values += [weight / length for weight in weights]
                offset += len(idf)
            ends.append(len(columns))
        indices = np.array(columns, dtype=np.int32)
        shape = (len(texts), self.width)
        return csr_matrix((np.array(values, dtype=np.float64), indices, np.array(ends, dtype=np.int32)), shape=shape)

    def state(self) -> dict[str, Any]:
        """Arrays and numbers from which `restore` makes the same features."""
        import numpy as np

        blocks = []
        for block, (_, vocabulary, idf) in zip(self._blocks, self._fitted, strict=True):
            terms = sorted(vocabulary, key=vocabulary.__getitem__)
            # One array of bytes: a dict of a hundred thousand terms takes skops seconds to read.
            joined = "\n".join(terms).encode("utf-8", "surrogatepass")
            blocks.append(
                {
                    "analyzer": block.analyzer,
                    "low": block.low,
                    "high": block.high,
                    "terms": np.frombuffer(joined, dtype=np.uint8),
                    "idf": np.array(idf, dtype=np.float64),
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
            idf = saved["idf"].tolist()
            if len(terms) != len(idf):
                raise ValueError("vocabulary and weights differ in length")
            vocabulary = {term: column for column, term in enumerate(terms)}
            features._fitted.append((features._vectorizer(block).build_analyzer(), vocabulary, idf))
            features.width += len(idf)
        return features

    def _vectorizer(self, block: Block) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(
            analyzer=block.analyzer,
            ngram_range=(block.low, block.high),
            lowercase=self._lowercase,
            max_features=self._max_features,
            sublinear_tf=True,
        )


def save_state(directory: Path, state: dict[str, Any]) -> None:
    """Write plain arrays, lists and numbers with skops: nothing in the file can run."""
    import skops.io

    skops.io.dump({"format": _FORMAT, **state}, directory / FILE)


def load_state(directory: Path, adapter: str) -> dict[str, Any]:
    """What `save_state` wrote. Raises VersionError where the file is missing, damaged, or holds more than data."""
    import skops.io

    path = directory / FILE
    try:
        # Nothing is trusted beyond what skops itself holds harmless.
        state = skops.io.load(path, trusted=[])
    except Exception as error:
        # skops raises whatever zipfile, json and numpy do; any of it means that this is not what was saved.
        raise VersionError(
            f"{path}: {adapter} cannot read it: {type(error).__name__}; restore it, or train anew"
        ) from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise VersionError(f"{path}: was not saved by this version of {adapter}; train anew")
    return state


def as_array(values: Any) -> np.ndarray[Any, Any]:
    """A contiguous array of floats."""
    import numpy as np

    return np.ascontiguousarray(values, dtype=np.float64)
