"""The view of a task for a model that is another ML backend: the task itself, and the way to read the regions of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from lsml.adapters.base import BackendTask, ReadRegions
from lsml.binding.prompts import regions_of
from lsml.controls.regions import region_score
from lsml.labeling.needed import without_regions
from lsml.labeling.remarks import Reason, lost
from lsml.values import Shape, Value

if TYPE_CHECKING:
    from lsml.binding.model import Reading

_SENT: Final = ("id", "meta", "project", "inner_id", "file_upload")  # beside the data


def as_backend_tasks(readings: Sequence[Reading], task: Mapping[str, object], labeling_config: str) -> list[Reading]:
    """Return readings of a task whose data is the task itself, without what people answered."""
    sent = {name: task[name] for name in _SENT if name in task}
    data = task["data"]
    assert isinstance(data, Mapping), "it was read"
    sent |= {"data": without_regions(data), "annotations": [], "predictions": []}
    return [
        msgspec.structs.replace(
            reading,
            view=msgspec.structs.replace(
                reading.view, data=BackendTask(sent, labeling_config, partial(_values, reading))
            ),
        )
        for reading in readings
    ]


def _values(reading: Reading, result: Sequence[object]) -> ReadRegions:
    """Return the values of a result for the controls of a reading, and why regions were left out."""
    left = [
        str(Reason.OTHER_CONTROL if isinstance(region, dict) else Reason.NO_REGION)
        for region in result
        if not isinstance(region, dict) or not any(control.owns(region) for control in reading.controls)
    ]
    by_control: dict[str, list[Value]] = {}
    for control in reading.controls:
        own = regions_of(control, result)
        decoded = control.decode(own, reading.view)
        # Answers of people have no score, so not every control reads it.
        score = region_score(own[0]) if len(own) == 1 else None
        by_control[control.config_name] = [
            msgspec.structs.replace(value, score=score) if value.score is None else value
            for value in decoded.values or ()
            if not isinstance(value, Shape) or value.item == (reading.view.item or 0)
        ]
        left += [str(remark.reason) for remark in decoded.remarks if lost([remark])]
    return by_control, left
