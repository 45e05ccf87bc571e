"""What one object tag shows in one task: what an adapter sees of it, and what a control tag needs to write regions on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Document(ABC):
    """A text that can be pointed at. `text` is what the adapter sees; spans count its code points, end exclusive."""

    text: str

    @abstractmethod
    def place(self, start: int, end: int) -> dict[str, Any]:
        """The keys of a region's `value` that say where the span is, and what it says."""

    @abstractmethod
    def span(self, value: Mapping[str, Any]) -> tuple[int, int] | None:
        """Where a region's `value` points to; None where it points at nothing of this text."""


@dataclass(frozen=True)
class Film:
    """How a video counts: Label Studio's frames per second, of the tag and not of the file; and how long it is."""

    frame_rate: float
    duration_s: float

    @property
    def frames(self) -> int:
        """How many frames Label Studio counts; they are numbered from 1."""
        return max(1, round(self.duration_s * self.frame_rate))


@dataclass(frozen=True)
class View:
    """`data` is what an adapter sees: a str for texts, the path of a file for media, images upright.

    `size`: (width, height) of the upright image or of a frame, in pixels. `item`: the page of a list of images, from 0;
    None where there is no list. `document`: for texts. `film`: for videos.
    """

    data: Any
    size: tuple[int, int] | None = None
    item: int | None = None
    document: Document | None = None
    film: Film | None = None

    @property
    def aspect(self) -> float:
        """Width over height; 1 where there is no size."""
        return self.size[0] / self.size[1] if self.size else 1.0
