"""`$variables` and Repeaters of a labeling config, resolved with one task's data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lsml.labeling.tags import ControlTag, ObjectTag, Repeater

_WHOLE = re.compile(r"\$([^\s,$]+)")
_REFERENCE = re.compile(r"\$([^\W\d]\w*(?:\[\d+\]|\.\w+)*)")
_STEP = re.compile(r"[^.\[\]]+")


def resolve_value(template: str, data: Mapping[str, object]) -> Any:
    """Return a tag's `value` for a task: `$text`, `$a.b`, `$items[0].text`, `Hello $name`, or literal text.

    A key of the data that is spelt like the whole reference comes first. A value that is one reference keeps its type;
    inside a text it becomes text. Raises KeyError with the name that is missing in the data.
    """
    # A key may hold spaces and anything else.
    if template.startswith("$") and template[1:] in data:
        return data[template[1:]]
    whole = _WHOLE.fullmatch(template)
    reference = _REFERENCE.fullmatch(template)
    if reference:
        return _look_up(reference[1], data)
    try:
        text, found = _REFERENCE.subn(lambda match: as_text(_look_up(match[1], data)), template)
    except KeyError:
        if whole:
            raise KeyError(whole[1]) from None
        raise
    if whole and not found:
        raise KeyError(whole[1])
    return text


def _look_up(name: str, data: Mapping[str, object]) -> Any:
    if name in data:
        return data[name]
    value: object = data
    for step in _STEP.findall(name):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise KeyError(name)
    return value


def as_text(value: object) -> str:
    """Return a value of a task's data as part of a text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def instances(
    control: ControlTag, object_tag: ObjectTag, data: Mapping[str, object]
) -> list[tuple[ControlTag, ObjectTag]]:
    """Return the copies of a control and its object for a task: one pair for each element of a Repeater's `on`, in order.

    The index replaces the flag in names, values, attributes and conditions. Labels stay the same, for a model knows
    them before the task. Without a Repeater, there is one pair, unchanged. Raises KeyError with the name of `on`, where
    the data has no list of that name.
    """
    if control.repeater is None:
        return [(control, object_tag)]
    return [
        (_control_instance(control, flags), _object_instance(object_tag, flags))
        for flags in _indices(control.repeater, data)
    ]


def _indices(repeater: Repeater, data: Mapping[str, object]) -> list[dict[str, str]]:
    """Return the value of each flag, once for each instance."""
    found = []
    for around in _indices(repeater.outer, data) if repeater.outer else [{}]:
        on = _replaced(repeater.on, around)
        elements = resolve_value(on, data)
        if not isinstance(elements, list):
            raise KeyError(on.removeprefix("$"))
        found += [{**around, repeater.index_flag: str(index)} for index in range(len(elements))]
    return found


def _replaced(text: str, flags: Mapping[str, str]) -> str:
    for flag, index in flags.items():
        text = text.replace(flag, index)
    return text


def _control_instance(control: ControlTag, flags: Mapping[str, str]) -> ControlTag:
    return msgspec.structs.replace(
        control,
        name=_replaced(control.name, flags),
        to_names=tuple(_replaced(name, flags) for name in control.to_names),
        attributes={name: _replaced(value, flags) for name, value in control.attributes.items()},
        options_value=None if control.options_value is None else _replaced(control.options_value, flags),
        conditions=tuple(
            msgspec.structs.replace(
                condition, tag_name=None if condition.tag_name is None else _replaced(condition.tag_name, flags)
            )
            for condition in control.conditions
        ),
        repeater=None,
    )


def _object_instance(object_tag: ObjectTag, flags: Mapping[str, str]) -> ObjectTag:
    return msgspec.structs.replace(
        object_tag,
        name=_replaced(object_tag.name, flags),
        value=_replaced(object_tag.value, flags),
        attributes={name: _replaced(value, flags) for name, value in object_tag.attributes.items()},
        repeater=None,
    )
