"""What reaches Label Studio without being asked for: predictions, and those that become annotations."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Publish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How predictions reach Label Studio without being asked for."""

    batch: Annotated[int, Meta(ge=1, le=5000, description="Predictions posted at a time.")] = 500
    order: Annotated[
        Literal["uncertain", "diverse", "id"],
        Meta(
            description="Which tasks come first: among each ten batches those that the version is least sure of; those that "
            "are unsure and unlike each other by the adapter's own features, with their place as the score, by which Label "
            "Studio sorts; or the oldest."
        ),
    ] = "uncertain"
    keep: Annotated[
        int,
        Meta(
            ge=1,
            description="How many versions' predictions stay in Label Studio: the served one's, and those of the newest before "
            "it. Predictions that lsml did not make are never deleted.",
        ),
    ] = 1
    field: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$(?!\n)")] | None,
        Meta(
            description="A field of the tasks' own data that nothing shows, such as `lsml_score`, that gets each prediction's "
            "score, too: the Data Manager sorts by it, also in editions that hide uncertainty sampling. It is one more request "
            "for each task; nothing is learnt from it, and what stands there and is no number stays.",
            extra_json_schema={"errorMessage": "expected a name of letters, digits and `_`, such as lsml_score"},
        ),
    ] = None


class Submit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which predictions become annotations by themselves."""

    above: Annotated[
        float,
        Meta(
            ge=0.5,
            le=1,
            description="The least confidence, calibrated on held-out tasks, of a prediction that is submitted.",
        ),
    ] = 0.98
    audit: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="The share of such tasks, by a hash of their id, that stays with people: their answers tell how often "
            "what was submitted is right, and stop it when that falls below `above`.",
        ),
    ] = 0.05
