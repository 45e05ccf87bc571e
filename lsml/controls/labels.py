"""`<Labels>`: parts of a text, of a page or of a dialogue, each with a label."""

from __future__ import annotations

from typing import ClassVar

from lsml.controls.spans import SpanControl


class Labels(SpanControl):
    """`{"start": 0, "end": 3, "text": "abc", "labels": ["PER"]}` on a Text; on other tags as their document writes it."""

    tag: ClassVar[str] = "Labels"
    objects: ClassVar[frozenset[str] | None] = frozenset({"Text", "HyperText", "Paragraphs"})
