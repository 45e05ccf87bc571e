"""The meaning of a prediction's score, by which Label Studio sorts tasks."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

ScoreKind = Literal["confidence", "margin", "entropy"]


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The score by which Label Studio sorts tasks."""

    by: Annotated[ScoreKind, Meta(description="The measure of a model's certainty for one tag; low is uncertain.")] = (
        "confidence"
    )
    of: Annotated[
        str | None,
        Meta(description="A selector, such as `Choices#topic`, of the tags that count; by default every tag."),
    ] = None

    def counts(self, tag: str, name: str) -> bool:
        """Return True if the answers of a control tag count."""
        return self.of in (None, tag, f"{tag}#{name}")
