"""What a prediction's score means, by which Label Studio sorts tasks."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

ScoreKind = Literal["confidence", "margin", "entropy"]


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Label Studio sorts tasks by."""

    by: Annotated[ScoreKind, Meta(description="How sure a model is of one tag; low is uncertain.")] = "confidence"
    of: Annotated[
        str | None,
        Meta(
            description="A selector, such as `Choices#topic`: the tags whose answers count; left out, those of every tag."
        ),
    ] = None

    def counts(self, tag: str, name: str) -> bool:
        """True if the answers of a control tag count."""
        return self.of in (None, tag, f"{tag}#{name}")
