"""The compared objects of a Pairwise, read together as items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from lsml.adapters.base import Adapter
from lsml.binding.inputs import Part
from lsml.controls import control_class
from lsml.controls.pairwise import SIDES
from lsml.labeling import ControlTag, LabelingConfig, ObjectTag
from lsml.labeling.items import Items
from lsml.labeling.objects import Fetch, read_object
from lsml.labeling.view import View


def compared_object(
    control_tag: ControlTag,
    adapter_class: type[Adapter],
    options: msgspec.Struct,
    config: LabelingConfig,
    *,
    joined: bool,
) -> tuple[ObjectTag | None, str]:
    """Return (the first of the objects that a tag compares, ""); or (None, why the adapter cannot read them, in a sentence).

    `joined`: the recipe gives it other data, by `inputs` or `needs`.
    """
    name = control_tag.selector
    kind = control_class(control_tag, config.objects)
    assert kind is not None
    if not kind.compares:
        return None, f"{name} is for one object, and {adapter_class.name} compares several"
    if not adapter_class.compares:
        return (
            None,
            f"{name} compares {' and '.join(control_tag.to_names)}, and {adapter_class.name} reads one at a time",
        )
    if joined:
        return None, f"{name}: {adapter_class.name} reads what the tag compares; remove `inputs` and `needs`"
    objects = [config.objects[to_name] for to_name in control_tag.to_names if to_name in config.objects]
    if len(objects) < len(control_tag.to_names):
        offered = ", ".join(f"{tag.tag}#{tag.name}" for tag in config.objects.values()) or "no object tag"
        return None, f"{name}: toName names {', '.join(control_tag.to_names)}, and the labeling config shows {offered}"
    for object_tag in objects:
        if object_tag.tag not in adapter_class.consumes or (kind.objects and object_tag.tag not in kind.objects):
            reads = ", ".join(sorted(adapter_class.consumes))
            return None, f"{name} compares {object_tag.tag}#{object_tag.name}, and {adapter_class.name} reads {reads}"
        if control_tag.repeater is not None or object_tag.repeater is not None:
            return None, f"{name} is inside a Repeater, whose copies {adapter_class.name} cannot distinguish"
    if len({object_tag.tag == "Image" for object_tag in objects}) > 1:
        return None, f"{name} compares an image with a text, which no adapter can"
    refusal = adapter_class.refusal(options, control_tag, objects[0])
    return (None, refusal) if refusal else (objects[0], "")


def compared(control_tag: ControlTag, config: LabelingConfig) -> tuple[Part, ...]:
    """Return the objects that a tag compares; none for a tag that compares what is in one object."""
    names = control_tag.to_names if len(control_tag.to_names) > 1 else ()
    return tuple(Part(name, config.objects[name]) for name in names)


def read_compared(parts: Sequence[Part], task: Mapping[str, object], fetch: Fetch) -> View:
    """Return a task's items: the texts or images of both sides; of a list of images the first. Raises Unreadable
    where one is missing, and FetchError.
    """
    sides = [read_object(part.object_tag, task, fetch)[0].data for part in parts if part.object_tag is not None]
    shown = tuple(map(str, sides))
    return View(Items(SIDES, paths=shown) if all(isinstance(side, Path) for side in sides) else Items(SIDES, shown))
