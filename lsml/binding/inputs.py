"""Several object tags and fields of a task as the one thing that an adapter reads: a text, or the columns of a table."""

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
    def facts(self) -> tuple[str, ...]:
        """What decides what it holds."""
        tag = self.object_tag
        if tag is None:
            return (self.name,)
        return (self.name, tag.tag, tag.value, tag.attributes.get("valueType", ""), tag.attributes.get("textKey", ""))

    @property
    def shown(self) -> str:
        """What people call it: Text#title ($title), $customer_tier."""
        tag = self.object_tag
        return self.name if tag is None else f"{tag.tag}#{tag.name} ({tag.value})"


def reads_columns(adapter_class: type[Adapter]) -> bool:
    """True if an adapter is given columns, by name; else what is joined for it is one text."""
    return "Table" in adapter_class.consumes


def parts_of(names: Sequence[str], config: LabelingConfig) -> tuple[tuple[Part, ...], str]:
    """(the parts that `inputs` names, why there are none), the latter a part of a sentence, empty where there are."""
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
                f"`inputs` names {name}, and the labeling config shows {shown}; write `${name}` for a field of the task",
            )
        if tag.tag not in JOINABLE:
            return (), f"`inputs` names {tag.tag}#{name}, and what can be joined is {', '.join(sorted(JOINABLE))}"
        if tag.repeater is not None:
            return (), f"`inputs` names {tag.tag}#{name}, which stands in a Repeater; name fields of the task instead"
        parts.append(Part(name, tag))
    return tuple(parts), ""


def parts_need_fetch(parts: Sequence[Part]) -> bool:
    """True if reading them takes a file from elsewhere."""
    return any(part.object_tag is not None and needs_fetch(part.object_tag) for part in parts)


def read_parts(parts: Sequence[Part], *, columns: bool, task: Mapping[str, object], fetch: Fetch) -> View:
    """What a task has of the parts: a dict of `columns`, or the texts with a blank line between them.

    A part that is missing or empty is left out; of columns it is None. Raises Unreadable where all are, and FetchError.
    """
    data = task.get("data")
    if not isinstance(data, Mapping):
        raise Unreadable("no data", 'the task has no data; expected {"data": {...}}')
    held = {part.name: _read(part, task, data, fetch) for part in parts}
    if all(value is None for value in held.values()):
        present = ", ".join(sorted(map(str, data))[:10]) or "nothing"
        raise Unreadable("no data", f"the task's data has nothing for {', '.join(held)}; it has {present}")
    if columns:
        return View({column: cell for name, value in held.items() for column, cell in _columns(name, value)})
    text = "\n\n".join(as_text(value) for value in held.values() if value is not None)
    return View(text, document=PlainText(text))


def _read(part: Part, task: Mapping[str, object], data: Mapping[str, object], fetch: Fetch) -> Any:
    """What one part holds; None where that is nothing."""
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
    """One column, or one for each field of an object; named without the `$`."""
    name = name.removeprefix("$")
    return (
        [(f"{name}.{field}", cell) for field, cell in value.items()] if isinstance(value, Mapping) else [(name, value)]
    )
