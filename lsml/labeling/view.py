"""The view of one object tag in one task: the data for an adapter, and what a control tag needs to write regions."""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from lsml.labeling.clock import Clock
from lsml.labeling.remarks import Misread, Reason

_NEARBY = 50  # the most code points between a span's offsets and the place where its text is found
# Characters that are ignored in comparing texts: white space, which editors fold and write as `\\n`, and invisible ones.
_BLANK = re.compile(r"(?:\s|\\[nrt]|[\0\u200b\ufeff])+")


class Located(NamedTuple):
    """A region's place in a text: code points, end exclusive. `by_text`: its own text decided the place, not its offsets."""

    start: int
    end: int
    by_text: bool = False


class Document(ABC):
    """A text with spans. `text` is the adapter's data; spans count its code points, end exclusive."""

    text: str

    @abstractmethod
    def region_value(self, start: int, end: int) -> dict[str, object]:
        """Return the keys of a region's `value` for a span: its place, and its text."""

    def locate(self, value: Mapping[str, object]) -> Located:
        """Return the place of a region's `value`. Raises Misread where it has none in this text.

        Offsets that contradict the region's own text are tried in the other ways in which programs count (UTF-16 units,
        a CRLF as one). After that, the text is taken from nearby if it occurs there once.
        """
        told = self._told(value)
        said = value.get("text")
        own = said if isinstance(said, str) and said and _BLANK.fullmatch(said) is None else None
        if told is not None and (own is None or self._says(told, own)):
            return Located(*told)
        if own is not None:
            for start, end in self._otherwise(value, own):
                if 0 <= start < end <= len(self.text) and _folded(self.text[start:end]) == _folded(own):
                    return Located(start, end, by_text=True)
        if told is None:
            raise Misread(Reason.BEYOND_TEXT)
        raise Misread(Reason.CONTRADICTS_TEXT, "a different text")

    @abstractmethod
    def _told(self, value: Mapping[str, object]) -> tuple[int, int] | None:
        """Return the span at the offsets of a `value`; None beyond the text. Raises Misread where they are missing or out
        of order.
        """

    @abstractmethod
    def _otherwise(self, value: Mapping[str, object], own: str) -> Iterator[tuple[int, int]]:
        """Yield spans that may hold the text `own`, likeliest first; some may be outside of the text."""

    def _says(self, span: tuple[int, int], own: str) -> bool:
        """Return True if a span holds the region's own text."""
        held = self.text[slice(*span)]
        return held == own or _folded(held) == _folded(own)

    def _nearby(self, own: str, start: int) -> Iterator[tuple[int, int]]:
        """Yield the one place near `start` that holds a text; nothing where there are several."""
        words = [re.escape(word) for word in _BLANK.split(own) if word]
        begin = max(0, start - _NEARBY)
        window = self.text[begin : start + _NEARBY + 2 * len(own)]
        found = re.finditer(r"(?=(" + r"\s+".join(words) + r"))", window)
        places = [(begin + match.start(1), begin + match.end(1)) for match in found]
        near = [place for place in places if abs(place[0] - start) <= _NEARBY]
        if len(near) == 1:
            yield near[0]


def _folded(text: str) -> str:
    """Return a text without white space and without marks on letters, both of which editors and offsets may count
    differently.

    A selection that ends between a letter and its mark makes such a difference.
    """
    if text.isascii():
        return _BLANK.sub("", text)
    apart = unicodedata.normalize("NFD", _BLANK.sub("", text))
    return "".join(c for c in apart if not unicodedata.category(c).startswith("M") and c != "\u200d")


def whole_number(given: object) -> int | None:
    """Return a whole number from 0 on, also from a text or a float; None for anything else."""
    if isinstance(given, str) and given.isascii() and len(given) < 20:
        text = given.strip()
        given = int(text) if text.isdigit() else None
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    return given if type(given) is int and 0 <= given < 2**53 else None


@dataclass(frozen=True)
class Film:
    """A video's frame rate, which is the tag's and not the file's, and its length in seconds."""

    frame_rate: float
    duration_s: float

    @property
    def frames(self) -> int:
        """The number of frames that Label Studio counts, from 1."""
        return max(1, round(self.duration_s * self.frame_rate))


class View(msgspec.Struct, frozen=True):
    """One page of an object tag in a task. `data` is for the adapter: a str for texts, a Path for media (images upright),
    a Series for time series.

    `size`: (width, height) of the upright image or of a frame, in pixels. `item`: the page of a list of images, from 0;
    None where there is no list. `document`: for texts. `film`: for videos. `clock`: for time series.
    """

    data: object
    size: tuple[int, int] | None = None
    item: int | None = None
    document: Document | None = None
    film: Film | None = None
    clock: Clock | None = None

    @property
    def aspect(self) -> float:
        """Width over height; 1 where there is no size."""
        return self.size[0] / self.size[1] if self.size else 1.0
