"""The check whether Label Studio accepts a task in an imported file. It refuses the whole file for one bad task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from lsml.errors import RequestError
from lsml.labeling.objects import UNDEFINED
from lsml.labeling.tags import ControlTag, LabelingConfig, ObjectTag
from lsml.wording import JSON

# The types of a field, by the tag whose `value` names it, as in label_studio/tasks/validation.py; for other tags a text.
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "Text": (str, int, float, list),
    "Image": (str, list),
    **dict.fromkeys(("Paragraphs", "Chat", "List", "Ranker"), (list, str)),
    **dict.fromkeys(("Table", "TimeSeries"), (dict, list, str)),
    "Taxonomy": (str, list, type(None)),
    "Choices": (str, list),
}


def import_refusal(data: object, config: LabelingConfig) -> str | None:
    """Return the reason why Label Studio would refuse a task with this data, in a sentence; None if it accepts it.

    As in Label Studio, the field that the `value` of a tag names (the first one, if several) must exist and have a type
    that the tag takes. A `valueList` is not checked.
    """
    if not isinstance(data, Mapping):
        return f"its data is {JSON.kind(data)}; expected an object with the fields that the labeling config shows"
    fields = shown_fields(config)
    given = dict(data)
    if UNDEFINED in given and fields:
        given.setdefault(next(iter(fields)), given.pop(UNDEFINED))
    for field, (shown_by, name) in fields.items():
        listed = "[" in field
        steps = field.partition("[")[0].split(".")
        value: object = given
        for step in steps:
            if not isinstance(value, Mapping) or step not in value:
                return f"its data has no {'.'.join(steps)}, which {shown_by}#{name} shows"
            value = value[step]
        allowed = (list,) if listed else _TYPES.get(shown_by, (str, list) if shown_by.endswith("Labels") else (str,))
        if not isinstance(value, allowed):
            return f"{'.'.join(steps)}, which {shown_by}#{name} shows, is {JSON.kind(value)}"
    return None


def shown_fields(config: LabelingConfig) -> dict[str, tuple[str, str]]:
    """Return the fields of a task's data that the config's tags show, each with the tag and the name of one that shows it."""
    fields: dict[str, tuple[str, str]] = {}
    tags: list[ObjectTag | ControlTag] = [*config.objects.values(), *config.controls]
    for tag in tags:
        template = tag.attributes.get("value", "")
        found = re.match(r"\$(.+)", template) or re.search(r"\$(\w+)", template)
        if found and fields.get(found[1], ("",))[0] != "Video":
            fields[found[1]] = (tag.tag, tag.name)
    return fields


def only_field(where: str, config: LabelingConfig) -> str:
    """Return the one field that the config shows. Raises RequestError where it shows several, or none."""
    fields = list(shown_fields(config))
    if len(fields) != 1:
        shown = f"several fields of a task ({', '.join(fields)})" if fields else "no field of a task"
        raise RequestError(
            f"{where}: the labeling config shows {shown}, so it is unclear which field the lines hold; use a table "
            "or JSON with a column or key for each"
        )
    return fields[0]
