"""What text tags show, as texts that can be pointed at: the one place where Label Studio's offsets become ours.

Label Studio's editor counts code points, as Python does, and a line break of a text as one for each `\\n` and `\\r`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lsml.shown import Document


class PlainText(Document):
    """What `<Text>` shows. `saves_text`: whether regions say what they hold, which the tag's `saveTextResult` decides.

    A NUL is dropped, as the browser does: it is no part of what is shown, and offsets do not count it.
    """

    def __init__(self, text: str, saves_text: bool = True) -> None:
        self.text = text.replace("\0", "")
        self._saves_text = saves_text

    def place(self, start: int, end: int) -> dict[str, Any]:
        """`start` and `end` as they are."""
        place: dict[str, Any] = {"start": start, "end": end}
        if self._saves_text:
            place["text"] = self.text[start:end]
        return place

    def span(self, value: Mapping[str, Any]) -> tuple[int, int] | None:
        """Its `start` and `end`, where they are whole numbers and in the text."""
        return _within(self.text, value.get("start"), value.get("end"))


def _within(text: str, start: Any, end: Any) -> tuple[int, int] | None:
    """A stranger's offsets, where they are whole numbers and point at something."""
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        return None
    return start, end
