"""The controls that can show an adapter's values, and the views of its data that they need."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lsml.adapters.base import Adapter, Data, PageRegion, Target
from lsml.controls import CONTROLS, controls_of, suits
from lsml.controls.pairwise import SIDES
from lsml.labeling import ControlTag, Label
from lsml.labeling.documents import Dialogue, PlainText
from lsml.labeling.items import Items
from lsml.labeling.series import Series
from lsml.labeling.view import Film, View
from lsml.values import Interval, Marked, Mask, Moment, Number, Track, Value, kind_of, label_of

if TYPE_CHECKING:
    from lsml.controls.base import Control


def view_of(data: Data, control: Control) -> View:
    """Return the view of a case's data for a control. A text is a dialogue of one utterance where the control needs one."""
    if isinstance(data, Mapping | Marked | PageRegion | Items):
        return View(data)
    if isinstance(data, Series):
        return View(data, clock=data.clock)
    if not isinstance(data, Path):
        return View(
            data, document=Dialogue([data]) if control.objects == frozenset({"Paragraphs"}) else PlainText(data)
        )
    if (mimetypes.guess_type(data)[0] or "").startswith("audio/"):
        return View(data)
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(data) as image:
            return View(data, size=image.size)
    except UnidentifiedImageError:
        return _view_of_video(data)


def _view_of_video(path: Path) -> View:
    """Return the view of a video. The tag's frame rate is the file's."""
    import cv2

    video = cv2.VideoCapture(str(path))
    try:
        rate, frames = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
        size = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    finally:
        video.release()
    assert rate > 0 and frames > 0, f"{path.name} is neither a picture nor a video that OpenCV reads"
    return View(path, size=size, film=Film(rate, frames / rate))


def controls_for(adapter: type[Adapter], target: Target, values: Sequence[Value]) -> list[Control]:
    """Return a control of each kind that can show the values of an adapter."""
    names = target.labels or tuple(label for value in values if (label := label_of(value)))
    labels = tuple(Label(value=name, path=(name,)) for name in dict.fromkeys(names))
    attributes = {"Choices": {"choice": "multiple" if target.multiple else "single"}}
    comparing = adapter.only_compares or (adapter.compares and target.labels == SIDES)
    made = []
    for control in (control for known in CONTROLS for control in controls_of(known)):
        tag = control.tag
        suiting = suits(control, adapter.produces, adapter.consumes, compares=comparing, only_compares=comparing)
        if not suiting or tag == "Taxonomy":
            continue
        if target.kinds and kind_of(control.value_type) not in target.kinds:
            continue
        texts = ControlTag("TextArea", "texts", ("object",), attributes={"perRegion": "true"})
        text_tag = texts if adapter.transcribes and control.carries_text else None
        if control.companion_tag is not None:
            companion = ControlTag(control.companion_tag, "labels", ("object",), labels)
            made.append(control(ControlTag(tag, "control", ("object",)), companion, text_tag))
        else:
            control_tag = ControlTag(tag, "control", ("object",), labels, attributes.get(tag, {}))
            made.append(control(control_tag, None, text_tag))
    return made


def encodable(control: Control, values: Sequence[Value], on: View) -> list[Value]:
    """Return values as a control can write them: numbers on its range and steps, moments in its parts, masks in the image's
    size, tracks and stretches of a video on frames.
    """
    if any(isinstance(value, Number | Moment | Track) or (on.film and isinstance(value, Interval)) for value in values):
        return list(control.decode(control.encode(values, "object", on), on).values or ())
    return [_resized(value, on.size) if isinstance(value, Mask) and on.size else value for value in values]


def _resized(mask: Mask, size: tuple[int, int]) -> Mask:
    """Return a mask in the size of its image, as the controls write it."""
    from lsml.values.geometry import resized_pixels

    fields = {name: getattr(mask, name) for name in ("score", "item", "group")}
    return Mask.from_pixels(resized_pixels(mask.pixels(), *size), mask.label, **fields)
