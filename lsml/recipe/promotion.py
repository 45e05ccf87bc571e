"""The rule for promoting versions after the first."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Rule = Literal["better", "always", "never"]
Figure = Literal["macro_f1", "accuracy", "span_f1", "segment_f1", "map50", "r2", "character_similarity", "exact_match"]


class Promote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rule for promoting versions after the first."""

    when: Annotated[
        Rule,
        Meta(
            description=(
                "better: a version that is better on the same tasks; always: every version; never: only by hand."
            )
        ),
    ] = "better"
    min_gain: Annotated[float, Meta(ge=0, le=1, description="The metric must rise by more than this.")] = 0
    worst_label_drop: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="A version is not promoted if the F1 of a label (for shapes the average precision) certainly "
            "dropped by more than this; 1 allows any drop.",
        ),
    ] = 0.05
    confidence: Annotated[
        float,
        Meta(
            ge=0.5,
            le=0.999,
            description="The confidence of a comparison: the interval at this level, by a bootstrap over tasks, must "
            "be above `min_gain`. A lower value promotes new versions sooner, also worse ones.",
        ),
    ] = 0.8
    metric: Annotated[
        Figure | None,
        Meta(
            description="The metric that is compared, for tags that have it. By default, and for other tags, each tag's own: "
            "macro_f1 for choices, span_f1, segment_f1, map50 for shapes, r2 for numbers, character_similarity for texts."
        ),
    ] = None
