"""Whether Label Studio takes a task when a file is imported: one that it refuses costs all tasks of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from lsml.labeling.objects import UNDEFINED, kind_of_json
from lsml.labeling.tags import ControlTag, LabelingConfig, ObjectTag

# What a field may be for the tag whose `value` names it, by label_studio/tasks/validation.py; elsewhere a text.
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "Text": (str, int, float, list),
    "Image": (str, list),
    **dict.fromkeys(("Paragraphs", "Chat", "List", "Ranker"), (list, str)),
    **dict.fromkeys(("Table", "TimeSeries"), (dict, list, str)),
    "Taxonomy": (str, list, type(None)),
    "Choices": (str, list),
}


def import_refusal(data: Mapping[str, Any], config: LabelingConfig) -> str | None:
    """Why Label Studio would refuse a task with this data, and with it the whole file, in a sentence; or None.

    As it does: the field that the `value` of a tag names, of several the first, must be there, and of a type that the tag
    takes. A `valueList` is not looked at.
    """
    fields = shown_fields(config)
    given = dict(data)
    if UNDEFINED in given and fields:
        given.setdefault(next(iter(fields)), given.pop(UNDEFINED))
    for field, (shown_by, name) in fields.items():
        listed = "[" in field
        steps = field.partition("[")[0].split(".")
        value: Any = given
        for step in steps:
            if not isinstance(value, Mapping) or step not in value:
                return f"its data has no {'.'.join(steps)}, which {shown_by}#{name} shows"
            value = value[step]
        allowed = (list,) if listed else _TYPES.get(shown_by, (str, list) if shown_by.endswith("Labels") else (str,))
        if not isinstance(value, allowed):
            return f"{'.'.join(steps)}, which {shown_by}#{name} shows, is {kind_of_json(value)}"
    return None


def shown_fields(config: LabelingConfig) -> dict[str, tuple[str, str]]:
    """The fields of a task's data that the config's tags show, each with one of these: its tag, and its name."""
    fields: dict[str, tuple[str, str]] = {}
    tags: list[ObjectTag | ControlTag] = [*config.objects.values(), *config.controls]
    for tag in tags:
        template = tag.attributes.get("value", "")
        found = re.match(r"\$(.+)", template) or re.search(r"\$(\w+)", template)
        if found and fields.get(found[1], ("",))[0] != "Video":
            fields[found[1]] = (tag.tag, tag.name)
    return fields
