"""`<HyperTextLabels>`: parts of a page, or of a text, each with a label."""

from __future__ import annotations

from typing import ClassVar

from lsml.controls.spans import SpanControl


class HyperTextLabels(SpanControl):
    """On a HyperText `{"start": XPath, "end": XPath, "startOffset": 0, "endOffset": 3, "globalOffsets": {"start": 0, "end": 3},
    "text": "abc", "hypertextlabels": ["PER"]}`; on a Text as `Labels`."""

    tag: ClassVar[str] = "HyperTextLabels"
    objects: ClassVar[frozenset[str] | None] = frozenset({"HyperText", "Text"})
