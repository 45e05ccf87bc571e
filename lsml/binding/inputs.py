"""Several object tags and fields of a task, joined as one input: a text, or the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lsml.adapters.base import Adapter
from lsml.labeling import LabelingConfig, ObjectTag, resolve_value
from lsml.labeling.documents import PlainText
from lsml.labeling.objects import JOINABLE, Fetch, Unreadable, needs_fetch, read_object
from lsml.labeling.variables import as_text
from lsml.labeling.view import View


class Part(NamedTuple):
    """One of a model's `inputs`: an object tag, by its name, or with a `$` a field of the task."""

    name: str
    object_tag: ObjectTag | None = None

    @property
    def content_settings(self) -> tuple[str, ...]:
        """The settings that decide its content."""
        tag = self.object_tag
        if tag is None:
            return (self.name,)
        return (self.name, tag.tag, tag.value, tag.attributes.get("valueType", ""), tag.attributes.get("textKey", ""))

    @property
    def shown(self) -> str:
        """Its name for people: Text#title ($title), $customer_tier."""
        tag = self.object_tag
        return self.name if tag is None else f"{tag.tag}#{tag.name} ({tag.value})"


def reads_columns(adapter_class: type[Adapter]) -> bool:
    """Return True if an adapter reads columns, by name; else its inputs are joined as one text."""
    return "Table" in adapter_class.consumes


def parts_of(names: Sequence[str], config: LabelingConfig) -> tuple[tuple[Part, ...], str]:
    """Return (parts that `inputs` names, reason why there are none); the reason is a part of a sentence, empty for valid
    parts.
    """
    parts = []
    for name in names:
        if name.startswith("$"):
            parts.append(Part(name))
            continue
        tag = config.objects.get(name)
        if tag is None:
            shown = ", ".join(config.objects) or "no object tag"
            return (
                (),
                f"`inputs` names {name}, but the labeling config shows {shown}; write `${name}` for a field of the task",
            )
        if tag.tag not in JOINABLE:
            return (), f"`inputs` names {tag.tag}#{name}, but only {', '.join(sorted(JOINABLE))} can be joined"
        if tag.repeater is not None:
            return (), f"`inputs` names {tag.tag}#{name}, which is in a Repeater; name fields of the task instead"
        parts.append(Part(name, tag))
    return tuple(parts), ""


def parts_need_fetch(parts: Sequence[Part]) -> bool:
    """Return True if reading them takes a file from elsewhere."""
    return any(part.object_tag is not None and needs_fetch(part.object_tag) for part in parts)


def read_parts(parts: Sequence[Part], *, columns: bool, task: Mapping[str, object], fetch: Fetch) -> View:
    """Return a task's data for the parts: a dict of `columns`, or the texts joined by blank lines.

    A part that is missing or empty is left out; a missing column is None. Raises Unreadable where all are missing, and
    FetchError.
    """
    data = task.get("data")
    if not isinstance(data, Mapping):
        raise Unreadable("no data", 'the task has no data; expected {"data": {...}}')
    held = {part.name: _read(part, task, data, fetch) for part in parts}
    if all(value is None for value in held.values()):
        present = ", ".join(sorted(map(str, data))[:10]) or "nothing"
        raise Unreadable("no data", f"{', '.join(held)}: missing or empty in the task's data, which has {present}")
    if columns:
        return View({column: cell for name, value in held.items() for column, cell in _columns(name, value)})
    text = "\n\n".join(as_text(value) for value in held.values() if value is not None)
    return View(text, document=PlainText(text))


def _read(part: Part, task: Mapping[str, object], data: Mapping[str, object], fetch: Fetch) -> Any:
    """Return the content of one part; None where it is missing or empty."""
    try:
        held = read_object(part.object_tag, task, fetch)[0].data if part.object_tag else resolve_value(part.name, data)
    except KeyError:
        return None
    except Unreadable as error:
        if error.reason in ("no data", "empty"):
            return None
        raise
    return None if isinstance(held, str) and not held.strip() else held


def _columns(name: str, value: object) -> list[tuple[str, object]]:
    """Return one column, or one for each field of an object; names are without the `$`."""
    name = name.removeprefix("$")
    return (
        [(f"{name}.{field}", cell) for field, cell in value.items()] if isinstance(value, Mapping) else [(name, value)]
    )
