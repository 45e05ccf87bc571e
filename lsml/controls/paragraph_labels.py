"""`<ParagraphLabels>`: parts of a dialogue, each with a label."""

from __future__ import annotations

from typing import ClassVar

from lsml.controls.spans import SpanControl


class ParagraphLabels(SpanControl):
    """`{"start": "0", "end": "1", "startOffset": 0, "endOffset": 3, "text": "abc", "paragraphlabels": ["PER"]}`: `start`
    and `end` are paragraphs, from 0.
    """

    tag: ClassVar[str] = "ParagraphLabels"
    objects: ClassVar[frozenset[str] | None] = frozenset({"Paragraphs"})
    plain: ClassVar[bool] = False
