"""The tasks that are kept to judge models, and whether people who annotate them see predictions."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

SHARE: Final[Any] = Meta(ge=0, le=0.5, extra_json_schema={"errorMessage": "expected a share between 0 and 0.5"})


class Holdout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tasks that are kept to judge models."""

    origin: Annotated[
        Literal["share", "ground_truth"],
        Meta(
            description="share: a share of all tasks. ground_truth: the tasks with an annotation that somebody marked "
            "as ground truth; models are evaluated on them and not trained on them."
        ),
    ] = msgspec.field(default="share", name="from")

    share: Annotated[
        Annotated[float, SHARE],
        Meta(description="The share of tasks in the validation set, by a hash of the task's id; 0 keeps none."),
    ] = 0.2
    blind: Annotated[
        bool,
        Meta(
            description="Hides predictions for these tasks from people: none is published, and Label Studio gets none "
            "when it asks. So metrics are not too high because people accepted the model's mistakes."
        ),
    ] = False

    def holds(self, task: str, *, ground_truth: bool = False) -> bool:
        """Return True if a task is kept, by its id, or because it holds a ground truth."""
        return ground_truth if self.origin == "ground_truth" else share_of(task) < self.share


def share_of(task: str) -> float:
    """Return a task id's number in [0, 1), by a hash: the same on every machine and in every run."""
    return int.from_bytes(hashlib.sha256(task.encode("utf-8", "surrogatepass")).digest()[:6], "big") / 2**48
