"""The texts of regions: `<TextArea perRegion="true">` beside the tool that draws them.

A region and its text are two regions with the same id. The text's repeats the place: `{"x", ..., "text": ["as written"]}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsml.controls.base import Region
from lsml.labeling import ControlTag
from lsml.labeling.remarks import Reason, Remark
from lsml.wording import JSON

TYPE = "textarea"


def takes(text_tag: ControlTag, labels: Sequence[str]) -> bool:
    """Return True if people see the tag for a region with these labels, as `whenLabelValue` may limit it to some."""
    wanted = [set(condition.values) for condition in text_tag.conditions if condition.when == "region-selected"]
    return all(not values or values & set(labels) for values in wanted)


def text_region(region: Region, text_tag: ControlTag, place: Mapping[str, object], text: str) -> Region:
    """Return the region that holds the text of another region, which is at `place`."""
    return region | {"from_name": text_tag.name, "type": TYPE, "value": {**place, "text": [text]}}


def with_texts(regions: Sequence[Region]) -> tuple[list[Region], list[Remark]]:
    """Return the other regions, each with the text of its id in its `value`, and a remark on each invalid text.

    Several texts of a region are joined as lines.
    """
    texts: dict[str, list[str]] = {}
    remarks: list[Remark] = []
    others: list[Region] = []
    for region in regions:
        if not isinstance(region, Mapping) or region.get("type") != TYPE:
            others.append(region)
            continue
        value = region.get("value")
        given = value.get("text") if isinstance(value, dict) else None
        for text in given if isinstance(given, list) else [given]:
            if isinstance(text, str):
                texts.setdefault(str(region.get("id")), []).append(text)
            else:
                remarks.append(Remark(Reason.NO_TEXT, JSON.shown(text)))
    return [_with_text(region, texts) for region in others], remarks


def _with_text(region: Region, texts: Mapping[str, list[str]]) -> Region:
    value = region.get("value") if isinstance(region, Mapping) else None
    found = texts.get(str(region.get("id"))) if isinstance(value, dict) else None
    return region if found is None or value is None else {**region, "value": {**value, "text": found}}


def text_of(value: Mapping[str, object]) -> str | None:
    """Return the text in a region's `value`; None where it has none."""
    given = value.get("text")
    texts = [text for text in (given if isinstance(given, list) else [given]) if isinstance(text, str) and text]
    return "\n".join(texts) or None


def text_problem(region: Region, text_tag: ControlTag) -> str | None:
    """Return the error in a region that holds another region's text, except in its place; or None."""
    value = region.get("value")
    if region.get("type") != TYPE or not isinstance(value, dict):
        return f'{text_tag.selector}: expected a region of type "{TYPE}" with a value'
    given = value.get("text")
    if not isinstance(given, list) or len(given) != 1 or not isinstance(given[0], str) or not given[0]:
        return f"{text_tag.selector}: value.text is {JSON.shown(given)}; expected a list with one text"
    return None
