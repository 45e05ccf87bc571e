"""Predictions that reach Label Studio automatically, and those that become annotations."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Publish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The publishing of predictions: how they reach Label Studio automatically."""

    batch: Annotated[int, Meta(ge=1, le=5000, description="Predictions posted at a time.")] = 500
    order: Annotated[
        Literal["uncertain", "diverse", "id"],
        Meta(
            description="The order of tasks. uncertain: in each ten batches, the least certain first; diverse: first "
            "those that are uncertain and unlike each other by the adapter's features, with their rank as "
            "the score, by which Label Studio sorts; id: the oldest first. Before the first training, "
            "`diverse` writes the rank into `field`, if there is one: the most typical task of each "
            "cluster first."
        ),
    ] = "uncertain"
    keep: Annotated[
        int,
        Meta(
            ge=1,
            description="The number of versions whose predictions stay in Label Studio: the served one, and the newest before "
            "it. Predictions that lsml did not make are never deleted.",
        ),
    ] = 1
    field: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$(?!\n)")] | None,
        Meta(
            description="An unused field of the tasks' data, such as `lsml_score`, that gets each prediction's score, "
            "too. The Data Manager can sort by it, also in editions without uncertainty sampling. It "
            "takes one more request for each task. Models do not read the field. A value that is not a "
            "number is kept.",
            extra_json_schema={"errorMessage": "expected a name of letters, digits and `_`, such as lsml_score"},
        ),
    ] = None

    @property
    def orders_beginning(self) -> bool:
        """True if tasks get their rank before the first training."""
        return self.order == "diverse" and self.field is not None


class Submit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predictions that become annotations automatically."""

    above: Annotated[
        float,
        Meta(
            ge=0.5,
            le=1,
            description="The least confidence of a submitted prediction, calibrated on held-out tasks.",
        ),
    ] = 0.98
    audit: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="The share of these tasks, by a hash of their id, that people annotate. It measures the "
            "precision of submitted predictions; if that falls below `above`, submitting stops.",
        ),
    ] = 0.05
