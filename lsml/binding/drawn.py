"""Sets of images as tasks: what others drew in a COCO file or a YOLO folder, as regions of the bound controls."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lsml.binding.bind import Binding
from lsml.binding.model import BoundModel
from lsml.controls import Control
from lsml.errors import RequestError
from lsml.labeling.annotated import many
from lsml.labeling.exports import Export
from lsml.labeling.image_sets import DrawnObject, ImageSet, read_image_set
from lsml.labeling.view import View
from lsml.values import Box, Polygon, Value, kind_of
from lsml.wording import listed


def read_drawn(path: Path, binding: Binding, *, answers: bool) -> Export | None:
    """Return the tasks of a COCO file, of a YOLO folder, or without answers of a folder of images; None where it is none.

    Classes become labels as those of a pretrained model do: by their names, and by `labels` of the recipe. Raises
    RequestError where the recipe binds nothing that takes them.
    """
    found = read_image_set(path)
    if found is None or (answers and all(objects is None for objects in found.images.values())):
        return None
    models = [
        model for model in binding.models if model.object_tag.tag == "Image" and model.object_tag.value.startswith("$")
    ]
    drawing = [
        (model, control) for model in models for control in model.controls if control.value_type in (Box, Polygon)
    ]
    if not models or (answers and not drawing):
        wanted = "is for boxes or outlines on an Image" if answers else "looks at an Image"
        raise RequestError(f"{path}: is {found.kind}, and the recipe has no control tag that {wanted}")
    field = models[0].object_tag.value[1:]
    used: Counter[str] = Counter()
    known = {name for model, control in drawing for name in _meanings(model, control)}
    drawn = [one.name for objects in found.images.values() for one in objects or ()]
    strange = Counter(name for name in drawn if name.casefold() not in known)
    tasks: list[dict[str, object]] = []
    for image, objects in found.images.items():
        task: dict[str, object] = {"data": {field: _named(image, path)}}
        if answers and objects is not None:
            result = [
                {key: part for key, part in region.items() if key != "score"}
                for model, control in drawing
                for region in control.encode(_values(objects, model, control, used), model.object_tag.name, View(None))
            ]
            task["annotations"] = [{"result": result}]
        tasks.append(task)
    return Export(tasks, _notes(path, found, used, strange) if answers else (f"{path}: {many(len(tasks), 'image')}",))


def _named(image: Path, path: Path) -> str:
    """Return the name by which a task has the image: from the folder of the set, where it is below that."""
    relative = os.path.relpath(image, path.parent)
    return str(image.resolve()) if relative.startswith("..") else Path(relative).as_posix()


def _meanings(model: BoundModel, control: Control) -> dict[str, str]:
    """Return the labels of a control by the class names that mean them, casefolded."""
    return model.classes.translation.get(kind_of(control.value_type), {})


def _values(objects: Sequence[DrawnObject], model: BoundModel, control: Control, used: Counter[str]) -> list[Value]:
    """Return the objects as values of a control, with its labels; without those whose class means none."""
    names = _meanings(model, control)
    values: list[Value] = []
    for one in objects:
        label = names.get(one.name.casefold())
        if label is None:
            continue
        x, y, width, height = one.box
        if control.value_type is Box and width > 0 and height > 0:
            values.append(Box(label=label, x=x, y=y, width=width, height=height))
        elif control.value_type is Polygon:
            values += [Polygon(label=label, points=outline) for outline in one.outlines]
    used[control.control_tag.selector] += len(values)
    return values


def _notes(path: Path, found: ImageSet, used: Counter[str], strange: Counter[str]) -> tuple[str, ...]:
    """Return what was understood, and what was left out."""
    drawn = sum(objects is not None for objects in found.images.values())
    read = ", ".join(f"{many(count, 'region')} of {selector}" for selector, count in used.items())
    notes = [f"{path}: read as {found.kind}: {many(drawn, 'annotated image')}, {read}"]
    if drawn < len(found.images):
        notes.append(
            f"{path}: not annotated, because they have no file of labels: {many(len(found.images) - drawn, 'image')}"
        )
    if strange:
        told = listed(f"{name} ({count})" for name, count in strange.most_common())
        notes.append(
            f"{path}: left out, because these classes match no label: {told}; map them under `labels` of the recipe"
        )
    notes += [f"{path}: {many(count, 'object')} left out: each {reason}" for reason, count in found.left_out.items()]
    return tuple(notes)
