"""The regions of other control tags that a model needs: their tags, the ones in a task, and the parts that an adapter reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lsml.adapters.base import Adapter, Data, PageRegion, Prompted
from lsml.binding.prompts import control_of
from lsml.controls import CONTROLS
from lsml.controls.base import Control, Region, about
from lsml.controls.regions import RegionControl
from lsml.controls.relations import Relations
from lsml.labeling import ControlTag, LabelingConfig, ObjectTag
from lsml.labeling.needed import parts_by_id, regions_in
from lsml.labeling.objects import Corners, Fetch, Picture, Times, read_object
from lsml.labeling.series import Series
from lsml.labeling.view import View, whole_number
from lsml.recipe import Model
from lsml.values import Box, Ellipse, Interval, KeyPoint, Marked, Mask, Polygon, Relation, Shape, Span, Track, Value
from lsml.wording import near

if TYPE_CHECKING:
    from lsml.binding.model import BoundModel

Parts = list[Region]  # of one region; the first one has its place


def needed_controls(spec: Model, models: Iterable[BoundModel]) -> tuple[Control, ...]:
    """Return the controls of other bound models whose regions a model needs."""
    found = {
        control.control_tag.name: control
        for model in models
        for control in model.controls
        if any(one.claims(control.control_tag.tag, control.control_tag.name) for one in spec.needs)
    }
    return tuple(found.values())


def why_not_needed(spec: Model, config: LabelingConfig) -> str:
    """Return why a model gets no regions, as a part of a sentence."""
    wanted = ", ".join(f"`{selector}`" for selector in spec.needs)
    if any(one.claims(tag.tag, tag.name) for tag in config.controls for one in spec.needs):
        return f"it needs the regions of {wanted}, which has no model here"
    marking = [tag.selector for tag in config.controls if marks_regions(tag)]
    close = [one for selector in spec.needs for one in near(str(selector), marking)]
    advice = f"did you mean `{close[0]}`?" if close else f"it has {', '.join(marking) or 'no tag with regions'}"
    return f"it needs the regions of {wanted}, which the labeling config lacks; {advice}"


def marks_regions(tag: ControlTag) -> bool:
    """Return True if people mark regions with a tag."""
    control_class = CONTROLS.get(tag.tag)
    return control_class is not None and issubclass(control_class, RegionControl) and control_class.marks


def relates(controls: Iterable[Control | type[Control]]) -> bool:
    """Return True if controls ask about the regions of a task together, and not about each."""
    return any(control.value_type is Relation for control in controls)


def why_alone(control_tag: ControlTag, adapter_class: type[Adapter], config: LabelingConfig) -> str:
    """Return a sentence for a tag with `perRegion` whose model has no `needs`. It names the tag to write there, if there
    is one.
    """
    relating = control_tag.tag == Relations.tag
    asked = f"{control_tag.selector} {'joins regions' if relating else 'is for each region (perRegion)'}"
    reads = joins if relating else reader_of
    for tag in config.controls:
        shared = [config.objects[name] for name in tag.to_names if name in config.objects]
        if not relating:
            shared = [one for one in shared if one.name in control_tag.to_names]
        if marks_regions(tag) and any(reads(adapter_class, one, control_of(tag, config)) for one in shared):
            return f"{asked}; name the tag of the regions under `needs`, such as `needs: {tag.selector}`"
    if relating:
        return f"{asked}, and {adapter_class.name} reads none of those in the labeling config"
    return f"{asked}, and its adapters predict for the whole task"


def region_object(
    control_tag: ControlTag, adapter_class: type[Adapter], config: LabelingConfig, needed: Sequence[Control]
) -> tuple[ObjectTag | None, str]:
    """Return (the object of a control's needed regions, ""); or (None, why the adapter cannot read them)."""
    name = control_tag.selector
    relating = control_tag.tag == Relations.tag
    if not (control_tag.per_region or relating or adapter_class.takes_prompts):
        return (
            None,
            f'{name} is for the whole task, and `needs` is for regions; add perRegion="true" to the tag, or remove '
            "`needs`",
        )
    why = ""
    for tool in needed:
        for to_name in tool.control_tag.to_names:
            object_tag = config.objects.get(to_name)
            if object_tag is None or (to_name not in control_tag.to_names and not relating):
                why = why or f"{name} and {tool.control_tag.selector} are not for the same object tag"
            elif object_tag.repeater is not None or control_tag.repeater is not None:
                why = (
                    f"{name} is inside a Repeater, whose copies `needs` cannot distinguish; take it out of the Repeater"
                )
            elif not (
                joins(adapter_class, object_tag, tool) if relating else reader_of(adapter_class, object_tag, tool)
            ):
                reads = ", ".join(sorted(adapter_class.consumes))
                what = f"{adapter_class.name} cannot read the regions of {tool.control_tag.selector}"
                why = f"{name}: {what} on {object_tag.tag}#{object_tag.name}; it reads {reads}"
            else:
                return object_tag, ""
    return None, why


def groups(tool: Control, result: Sequence[object]) -> dict[str, Parts]:
    """Return the parts of each region of a control in a result, by id: first the control's own, then its labels and texts."""
    own = [region for region in result if isinstance(region, dict) and region.get("from_name") in tool.names]
    found = parts_by_id(own)
    ordered = {
        id: sorted(parts, key=lambda part: part.get("from_name") != tool.config_name) for id, parts in found.items()
    }
    return {id: parts for id, parts in ordered.items() if _is_place(tool, parts[0])}


def _is_place(tool: Control, region: Region) -> bool:
    return region.get("from_name") == tool.config_name and isinstance(region.get("value"), dict)


def needed_regions(needed: Sequence[Control], data: Mapping[str, object]) -> list[tuple[Control, Parts]] | None:
    """Return (control, its region) for each needed region in a task's data, in order; None if the data has no list of
    regions.
    """
    found: list[tuple[Control, Parts]] = []
    for tool in needed:
        regions = regions_in(data, tool.config_name)
        if regions is None:
            return None
        found += [(tool, parts) for parts in groups(tool, [part for one in regions.values() for part in one]).values()]
    return found


def copies_about(
    controls: Sequence[Control], regions: Sequence[tuple[Control, Parts]]
) -> list[tuple[Control, Control]]:
    """Return (control, its copy for a region) for each region that annotators answer with it."""
    return [
        (control, about(control, parts[0]))
        for control in controls
        for tool, parts in regions
        if _is_asked(control, tool, parts)
    ]


def _is_asked(control: Control, tool: Control, parts: Parts) -> bool:
    """Return True if annotators see a control while a region is selected; `whenTagName` and `whenLabelValue` can restrict
    that.
    """
    labels = {
        label
        for part in parts
        for key, held in part["value"].items()
        if key.endswith("labels") and isinstance(held, list)
        for label in held
    }
    return all(
        condition.tag_name in (None, *tool.names) and (not condition.values or bool(labels & set(condition.values)))
        for condition in control.control_tag.conditions
        if condition.when == "region-selected"
    )


# (the regions of one page, its view, the margin around each, the fetcher of files) -> an adapter's input for each region
Reader = Callable[[Sequence[Value], View, int, Fetch], Sequence[Data]]


def reader_of(adapter_class: type[Adapter], object_tag: ObjectTag, tool: Control) -> Reader | None:
    """Return the function by which an adapter reads the regions of a control on an object; None if it cannot."""
    if tool.value_type is Span and object_tag.tag in adapter_class.consumes:
        return _texts
    if tool.value_type is Interval and object_tag.tag in adapter_class.consumes and object_tag.tag != "Video":
        return _windows if object_tag.tag == "TimeSeries" else _stretches
    if adapter_class.reads_regions:
        return _page_regions if object_tag.tag == "Image" and tool.value_type in (Box, Polygon) else None
    if (
        issubclass(tool.value_type, Shape)
        and tool.value_type not in (KeyPoint, Track)
        and "Image" in adapter_class.consumes
    ):
        return _crops if object_tag.tag == "Image" else None
    return None


def joins(adapter_class: type[Adapter], object_tag: ObjectTag, tool: Control) -> bool:
    """Return True if an adapter can read all regions of a control on an object together."""
    placed = tool.value_type is Span or (
        issubclass(tool.value_type, Shape) and tool.value_type not in (KeyPoint, Track)
    )
    return placed and object_tag.tag in adapter_class.consumes


def _read_together(
    needed: Sequence[Control], object_tag: ObjectTag, task: Mapping[str, object], fetch: Fetch
) -> View | None:
    """Return a view of the valid regions in a task's data, on all of its pages; None without any. Raises Unreadable or
    FetchError.
    """
    data = task.get("data")
    regions = needed_regions(needed, data) if isinstance(data, Mapping) else None
    if not regions:
        return None
    found: dict[str, Value] = {}
    text = ""
    for page in read_object(object_tag, task, fetch):
        text = page.document.text if page.document is not None else ""
        found.update((parts[0]["id"], value) for _, parts, value in _on_page(regions, page))
    return View(Marked(text, tuple(found), tuple(found.values()))) if found else None


def answer_together(adapter_class: type[Adapter], controls: Sequence[Control]) -> bool:
    """Return True if all needed regions of a task get one answer, and not each its own."""
    return relates(controls) or adapter_class.takes_prompts


def _read_prompted(
    needed: Sequence[Control], object_tag: ObjectTag, task: Mapping[str, object], fetch: Fetch
) -> Iterator[View]:
    """Yield a view of each page with the regions there as prompts. Without any, a person may still ask."""
    data = task.get("data")
    regions = needed_regions(needed, data) if isinstance(data, Mapping) else None
    for page in read_object(object_tag, task, fetch):
        prompts = [value for _, _, value in _on_page(regions or (), page)]
        yield msgspec.structs.replace(page, data=Prompted(page.data, tuple(prompts)))


def _on_page(regions: Iterable[tuple[Control, Parts]], page: View) -> list[tuple[Control, Parts, Value]]:
    """Return the valid regions of a page, each with its value."""
    here: list[tuple[Control, Parts, Value]] = []
    for tool, parts in regions:
        if (whole_number(parts[0].get("item_index")) or 0) == (page.item or 0):
            here += [(tool, parts, value) for value in (tool.decode(parts, page).values or ())[:1]]
    return here


def read_regions(
    adapter_class: type[Adapter],
    controls: Sequence[Control],
    needed: Sequence[Control],
    object_tag: ObjectTag,
    around: int,
    task: Mapping[str, object],
    fetch: Fetch,
) -> Iterator[tuple[tuple[Control, ...], View]]:
    """Yield (the copies of controls for it, an adapter's view of it) for each valid region in a task's data.

    Controls that ask about all regions together get one view of them, and adapters that take prompts one of each page.
    Raises Unreadable or FetchError.
    """
    if relates(controls):
        marked = _read_together(needed, object_tag, task, fetch)
        if marked is not None:
            yield tuple(controls), marked
        return
    if adapter_class.takes_prompts:
        for page in _read_prompted(needed, object_tag, task, fetch):
            yield tuple(controls), page
        return
    data = task.get("data")
    regions = needed_regions(needed, data) if isinstance(data, Mapping) else None
    if not regions:
        return
    read = reader_of(adapter_class, object_tag, needed[0])
    assert read is not None, f"{adapter_class.name} was bound to regions that it cannot read"
    for page in read_object(object_tag, task, fetch):
        here = _on_page(regions, page)
        seen = read([value for _, _, value in here], page, around, fetch)
        for (tool, parts, _), what in zip(here, seen, strict=True):
            asking = tuple(copy for _, copy in copies_about(controls, [(tool, parts)]))
            if asking:
                yield asking, View(what, item=page.item)


def _texts(values: Sequence[Value], on: View, around: int, _fetch: Fetch) -> list[str]:
    """Return the text of each span, with up to `around` whole words on either side."""
    assert on.document is not None
    return [_with_words(on.document.text, value, around) for value in values if isinstance(value, Span)]


def _page_regions(values: Sequence[Value], _on: View, _around: int, _fetch: Fetch) -> list[PageRegion]:
    """Return each region together with the others of its page, as boxes with their texts."""
    boxes = tuple(_as_box(value) for value in values if isinstance(value, Shape))
    return [PageRegion(boxes, index) for index in range(len(boxes))]


def _as_box(shape: Shape) -> Box:
    from lsml.values.coverage import bounds

    if isinstance(shape, Box):
        return shape
    assert isinstance(shape, Polygon)
    left, top, right, bottom = bounds(shape)
    return Box(
        label=shape.label, x=left, y=top, width=right - left, height=bottom - top, aspect=shape.aspect, text=shape.text
    )


def _crops(values: Sequence[Value], on: View, around: int, fetch: Fetch) -> list[Path]:
    """Return the image inside each shape, rotated upright, with a margin of `around` percent of its sides."""
    assert on.size is not None and isinstance(on.data, Path)
    shapes = [value for value in values if isinstance(value, Shape)]
    return fetch.crops(Picture(on.data, on.size), [_corners(shape, on, around / 100) for shape in shapes])


def _stretches(values: Sequence[Value], on: View, around: int, fetch: Fetch) -> list[Path]:
    """Return the audio of each segment of a recording, with a margin of `around` percent of its length."""
    assert isinstance(on.data, Path)
    return fetch.stretches(on.data, [_times(value, around / 100) for value in values if isinstance(value, Interval)])


def _windows(values: Sequence[Value], on: View, around: int, _fetch: Fetch) -> list[Series]:
    """Return each segment of a series, with a margin of `around` percent of its length."""
    assert isinstance(on.data, Series)
    ends = [_times(value, around / 100) for value in values if isinstance(value, Interval)]
    return [msgspec.structs.replace(on.data, begin=begin, end=end) for begin, end in ends]


def _times(stretch: Interval, margin: float) -> Times:
    more = margin * (stretch.end - stretch.start)
    return stretch.start - more, stretch.end + more


def _corners(shape: Shape, on: View, margin: float) -> Corners:
    """Return the corners, in pixels and inside the image, of a box or of the upright box around another shape."""
    from lsml.values.coverage import bounds
    from lsml.values.geometry import box_corners

    assert on.size is not None
    if isinstance(shape, Box):
        box = (shape.x, shape.y, shape.width, shape.height, shape.rotation)
    else:
        assert isinstance(shape, Polygon | Ellipse | Mask)
        left, top, right, bottom = bounds(shape)
        box = (left, top, right - left, bottom - top, 0.0)
    corners = box_corners([box], on.aspect)[0]
    wide, high = corners[1] - corners[0], corners[3] - corners[0]
    grown = corners.copy()
    for index, (along, down) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1))):
        grown[index] += margin * (along * wide + down * high)
    pixels = grown.clip(0.0, 1.0) if box[4] == 0.0 else grown
    return tuple((float(x) * on.size[0], float(y) * on.size[1]) for x, y in pixels)


def _with_words(text: str, span: Span, around: int) -> str:
    before = list(re.finditer(r"\S+", text[: span.start]))[-around:] if around else []
    after = list(re.finditer(r"\S+", text[span.end :]))[:around] if around else []
    start = before[0].start() if before else span.start
    end = span.end + after[-1].end() if after else span.end
    return text[start:end]
