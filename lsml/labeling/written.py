"""Predicted tasks as a file: JSON, which Label Studio imports, JSON lines, or a table for people and programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_Json = Mapping[str, Any]  # a task, a prediction, a region
_PLAIN = {
    "choices": "choices",
    "rating": "rating",
    "number": "number",
    "datetime": "datetime",
    "textarea": "text",
}  # a region's type -> its value's key


def predictions_text(tasks: Sequence[_Json], path: Path) -> str:
    """Return tasks with `data` and `predictions` as the name of the file asks: `.jsonl` a task in a line, `.csv` a table,
    else JSON.
    """
    if path.suffix.lower() == ".csv":
        return _table(tasks)
    if path.suffix.lower() == ".jsonl":
        return "".join(json.dumps(task) + "\n" for task in tasks)
    return json.dumps(tasks, indent=1)


def _table(tasks: Sequence[_Json]) -> str:
    """Return a table with a row for each task: its id, its data, a column for each control, the score and the version.

    A column that answers has the control's name, or `<name>_predicted` where a field of the data has it. A single label,
    number or text is written plainly, anything else as JSON.
    """
    fields = list(dict.fromkeys(name for task in tasks for name in task["data"]))
    answers = dict.fromkeys(region["from_name"] for task in tasks for region in _regions(task))
    names = {name: f"{name}_predicted" if name in fields else name for name in answers}
    with_ids = ["id"] if "id" not in fields and any("id" in task for task in tasks) else []
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*with_ids, *fields, *names.values(), "score", "model_version"])
    for task in tasks:
        prediction: _Json = next(iter(task["predictions"]), {})
        found = {name: [region for region in _regions(task) if region["from_name"] == name] for name in names}
        row = [task.get("id", "")] if with_ids else []
        row += [_cell(task["data"].get(name, "")) for name in fields]
        row += [_cell_of(regions) for regions in found.values()]
        writer.writerow([*row, prediction.get("score", ""), prediction.get("model_version", "")])
    return out.getvalue()


def _regions(task: _Json) -> list[_Json]:
    return [region for prediction in task["predictions"] for region in prediction["result"]]


def _cell_of(regions: Sequence[_Json]) -> object:
    """Return what the regions of one control say, as `read_export` reads it in a table."""
    if not regions:
        return ""
    if len(regions) == 1 and (key := _PLAIN.get(regions[0]["type"])):
        value = regions[0]["value"][key]
        if not isinstance(value, list):
            return value
        if len(value) == 1 and isinstance(value[0], str):
            return value[0]
    around = ("original_width", "original_height", "image_rotation")
    return json.dumps([region["value"] | {key: region[key] for key in around if key in region} for region in regions])


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, (dict, list)) else value
