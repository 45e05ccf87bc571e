"""Scores as a field of the tasks' own data, for editions of Label Studio without uncertainty sampling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from lsml.errors import StudioAway, StudioError
from lsml.publishing.patience import Patience
from lsml.studio.predictions import OpenTask, ProjectPredictions


def write_scores(
    predictions: ProjectPredictions,
    patience: Patience,
    field: str,
    predicted: Iterable[tuple[OpenTask, Mapping[str, Any]]],
) -> None:
    """Write each prediction's score into its task's data, where it differs.

    A value that is no number is not lsml's and is kept. A task that was deleted meanwhile is left out. Raises
    StudioError where Label Studio refuses.
    """
    for task, prediction in predicted:
        held, score = task.data.get(field), prediction.get("score")
        ours = held is None or (isinstance(held, int | float) and not isinstance(held, bool))
        if score is None or not ours or held == (shown := round(score, 4)):
            continue
        data = {**task.data, field: shown}
        try:
            patience.ask(partial(predictions.write_data, task.id, data))
        except StudioAway:
            raise
        except StudioError:
            if patience.ask(partial(predictions.existing, [task.id])):
                raise
