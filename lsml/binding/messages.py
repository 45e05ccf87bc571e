"""The messages of a chat, of which people answer controls one by one (perRegion)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsml.adapters.base import Adapter
from lsml.controls.base import ChatMessage, Control, on_message
from lsml.labeling import ControlTag, LabelingConfig, ObjectTag
from lsml.labeling.objects import said_by
from lsml.labeling.view import View


def asks_messages(control_tag: ControlTag, object_tag: ObjectTag) -> bool:
    """Return True if people answer a control for each message of a chat."""
    return control_tag.per_region and object_tag.tag == "Chat" and object_tag.repeater is None


def chat_of(control_tag: ControlTag, config: LabelingConfig, adapter_class: type[Adapter]) -> ObjectTag | None:
    """Return the chat about whose messages people answer a control, if the adapter reads it; or None."""
    objects = [config.objects[name] for name in control_tag.to_names if name in config.objects]
    read = "Chat" in adapter_class.consumes and not adapter_class.reads_tasks
    return next((one for one in objects if read and asks_messages(control_tag, one)), None)


def by_message(control: Control, object_tag: ObjectTag, data: Mapping[str, object]) -> list[Control]:
    """Return the copies of a control for the messages in a task's data about which people see it."""
    return [copy for _, copy in _asked(control, object_tag, data)]


def message_views(
    controls: Sequence[Control], object_tag: ObjectTag, data: Mapping[str, object]
) -> list[tuple[tuple[Control, ...], View]]:
    """Return (the copies of controls that ask about it, a view of it) for each message of a chat."""
    found: dict[int, list[Control]] = {}
    texts: dict[int, str] = {}
    for control in controls:
        for message, copy in _asked(control, object_tag, data):
            found.setdefault(message.number, []).append(copy)
            texts[message.number] = message.text
    return [(tuple(copies), View(texts[number])) for number, copies in sorted(found.items())]


def _asked(control: Control, object_tag: ObjectTag, data: Mapping[str, object]) -> list[tuple[ChatMessage, Control]]:
    shown = data.get(object_tag.field) if object_tag.field is not None else None
    roles = [set(one.roles) for one in control.control_tag.conditions if one.when == "region-selected" and one.roles]
    asked = []
    for number, (role, text, message) in said_by(shown):
        if all(role in some for some in roles):
            about = ChatMessage(control.config_name, object_tag.name, number, text, message)
            asked.append((about, on_message(control, about)))
    return asked
