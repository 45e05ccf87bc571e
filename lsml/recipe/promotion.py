"""Which version is served after the first."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Rule = Literal["better", "always", "never"]
Figure = Literal["macro_f1", "accuracy", "span_f1", "segment_f1", "map50", "r2", "character_similarity", "exact_match"]


class Promote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version is served after the first."""

    when: Annotated[
        Rule,
        Meta(description="A version that is better on the same tasks, each, or none but those that a person promotes."),
    ] = "better"
    min_gain: Annotated[
        float, Meta(ge=0, le=1, description="How much better: the metric must rise by more than this.")
    ] = 0
    worst_label_drop: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="A version is not served where the F1 (of shapes the average precision) of a label surely fell by more "
            "than this; 1 lets any label fall.",
        ),
    ] = 0.05
    confidence: Annotated[
        float,
        Meta(
            ge=0.5,
            le=0.999,
            description="How sure a comparison must be: the interval of so much confidence, by a bootstrap over tasks, lies "
            "above `min_gain`. Lower serves new versions sooner, and worse ones more often.",
        ),
    ] = 0.8
    metric: Annotated[
        Figure | None,
        Meta(
            description="What is compared, where a tag has such a metric; left out, and for other tags, each tag's own: "
            "macro_f1 of choices, span_f1, segment_f1, map50 of shapes, r2 of numbers, character_similarity of texts."
        ),
    ] = None
