"""N-grams of units (words, characters) -> their columns, by array operations: a trie whose levels are hash tables."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lsml.arrays import Array

_SPREAD: Final = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, a usual multiplier for hashing
_ROOM: Final = 4  # buckets for each key; with fewer, more keys would collide


class _IndexTable:
    """Different numbers -> their indices, for many at a time. The result is exact, as keys are compared."""

    def __init__(self, keys: Array) -> None:
        import numpy as np

        bits = (_ROOM * len(keys)).bit_length()
        self._shift = np.uint64(64 - bits)
        buckets = self._buckets(keys)
        order = np.argsort(buckets, kind="stable")
        sizes = np.bincount(buckets, minlength=1 << bits)
        self._longest = int(sizes.max(initial=0))
        self._crowded = sizes > 1
        self._starts = np.cumsum(sizes) - sizes
        # A bucket is read up to the size of the largest one, so there are unused keys after the last one.
        self._keys = np.append(keys[order], np.full(self._longest + 1, -1))
        self._indices = np.append(order, np.full(self._longest + 1, -1))

    def find(self, keys: Array) -> Array:
        """Return the index of each of `keys` (n,) in the table, -1 where it is not there."""
        import numpy as np

        buckets = self._buckets(keys)
        at = self._starts[buckets]
        found: Array = np.where(self._keys[at] == keys, self._indices[at], -1)
        if self._longest > 1:
            left = np.flatnonzero((found < 0) & self._crowded[buckets])
            for step in range(1, self._longest):
                if not len(left):
                    break
                next_at = at[left] + step
                hit = self._keys[next_at] == keys[left]
                found[left[hit]] = self._indices[next_at[hit]]
                left = left[~hit]
        return found

    def _buckets(self, keys: Array) -> Array:
        import numpy as np

        return ((keys.view(np.uint64) * _SPREAD) >> self._shift).view(np.int64)


class Vocabulary:
    """The n-grams that have a column.

    Units are numbered from 1; 0 stands for a unit that is in no n-gram.
    """

    def __init__(self, terms: Array, columns: Array, units: int) -> None:
        """Make the table. `terms` (terms, longest): the units of each, padded with 0. `columns` (terms,): its column.
        `units`: their number.
        """
        import numpy as np

        self._units = units + 1
        lengths = np.count_nonzero(terms, axis=1)
        of_one = lengths == 1
        # By level, which is a length: the column of each node, -1 for a node that is only a prefix.
        self._columns = [np.full(self._units, -1)]
        self._columns[0][terms[of_one, 0]] = columns[of_one]
        self._tables: list[_IndexTable] = []
        nodes = terms[:, 0].astype(np.int64)
        for level in range(1, terms.shape[1]):
            longer = lengths > level
            keys, indices = np.unique(nodes[longer] * self._units + terms[longer, level], return_inverse=True)
            nodes[longer] = indices
            self._tables.append(_IndexTable(keys))
            ends = lengths == level + 1
            self._columns.append(np.full(len(keys), -1))
            self._columns[-1][nodes[ends]] = columns[ends]

    def runs(self, units: Array) -> tuple[Array, Array]:
        """Return the start of each n-gram with a column in `units` (n,), and its column; shorter ones first, each length
        in order.

        The last unit must be 0.
        """
        import numpy as np

        starts = np.flatnonzero(units)
        found = self._columns[0][units[starts]]
        known = found >= 0
        all_starts, all_columns = [starts[known]], [found[known]]
        nodes = units[starts]
        for level, (table, columns) in enumerate(zip(self._tables, self._columns[1:], strict=True), 1):
            after = units[starts + level]
            nodes = table.find(nodes * self._units + after)
            kept = nodes >= 0
            starts, nodes = starts[kept], nodes[kept]
            found = columns[nodes]
            known = found >= 0
            all_starts.append(starts[known])
            all_columns.append(found[known])
        return np.concatenate(all_starts), np.concatenate(all_columns)


def word_terms(terms: Sequence[str]) -> tuple[dict[str, int], Array]:
    """Return the number of each word from 1, and the units of each n-gram of words, which are separated by one space."""
    import numpy as np

    words = " ".join(terms).split(" ")
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words), 1)}
    lengths = np.fromiter((term.count(" ") + 1 for term in terms), dtype=np.int64, count=len(terms))
    flat = np.fromiter(map(numbers.__getitem__, words), dtype=np.int64, count=len(words))
    return numbers, _in_rows(flat, lengths)


def cut(text: str) -> tuple[list[str], Array]:
    r"""Return the words of a text, and the start of each, (words,), as TfidfVectorizer finds them: `(?u)\b\w\w+\b`.

    The text must neither begin nor end with a word.
    """
    import numpy as np

    points = code_points(text)
    within = _in_words(int(points.max()).bit_length()).take(points)
    borders = np.flatnonzero(within[1:] != within[:-1]) + 1
    begins, ends = borders[::2], borders[1::2]
    long = ends - begins > 1
    within[begins[~long]] = False  # a single letter is no word
    blank = np.uint32(ord(" "))
    spaced = (points - blank) * within + blank  # `where` takes four times as long, as nothing foretells its branches
    return spaced.tobytes().decode("utf-32-le", "surrogatepass").split(), begins[long]


@cache
def _in_words(bits: int) -> Array:
    """Return whether each code point below 2**bits belongs to words."""
    import numpy as np

    found = np.zeros(1 << bits, dtype=bool)
    every = np.arange(min(1 << bits, sys.maxunicode + 1), dtype=np.uint32)
    for letters in re.finditer(r"\w+", every.tobytes().decode("utf-32-le", "surrogatepass")):
        found[slice(*letters.span())] = True
    return found


class Alphabet:
    """Characters that are in a vocabulary, numbered from 1 by their code points."""

    def __init__(self, terms: Sequence[str]) -> None:
        import numpy as np

        known = np.unique(code_points("".join(terms)))
        self.size = len(known)
        self._numbers = np.zeros(int(known[-1]) + 2 if len(known) else 1, dtype=np.int64)
        self._numbers[known] = np.arange(1, len(known) + 1)

    def units(self, text: str) -> Array:
        """Return the number of each character, 0 for one that is not in the vocabulary."""
        import numpy as np

        # Characters above the highest known one share the last entry, which is 0.
        units: Array = self._numbers[np.minimum(code_points(text), len(self._numbers) - 1)]
        return units

    def terms(self, terms: Sequence[str]) -> Array:
        """Return the units of each term, (terms, longest), padded with 0."""
        import numpy as np

        lengths = np.fromiter(map(len, terms), dtype=np.int64, count=len(terms))
        return _in_rows(self.units("".join(terms)), lengths)


def _in_rows(units: Array, lengths: Array) -> Array:
    """Return the units of consecutive terms, (units,), as rows, (terms, longest), padded with 0."""
    import numpy as np

    rows = np.zeros((len(lengths), int(lengths.max(initial=1))), dtype=np.int64)
    rows[np.arange(rows.shape[1]) < lengths[:, None]] = units
    return rows


def code_points(text: str) -> Array:
    """Return the code points of a text, (characters,), lone surrogates included."""
    import numpy as np

    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
