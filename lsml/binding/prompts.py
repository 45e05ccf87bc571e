"""The controls with which a person asks a model by drawing, and the controls that decode the drawn regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lsml.adapters.base import Adapter, InteractiveAdapter
from lsml.controls import control_class
from lsml.controls.base import Control, Region
from lsml.labeling import ControlTag, LabelingConfig, ObjectTag

if TYPE_CHECKING:
    from lsml.binding.model import BoundModel


def asking_controls(models: Sequence[BoundModel], config: LabelingConfig) -> tuple[list[ControlTag], list[str]]:
    """Return the smart controls whose regions an interactive adapter answers, and warnings.

    There is a warning for each interactive adapter without such a control, and for each smart control whose regions
    Label Studio sends to no model.
    """
    prompts: list[ControlTag] = []
    warnings = []
    for model in models:
        if not issubclass(model.adapter_class, InteractiveAdapter):
            continue
        here = model.object_tag.name
        smart = [tag for tag in config.controls if tag.smart and here in tag.to_names]
        asking = [tag for tag in smart if tag.asks]
        prompts += asking
        warnings += [_silence(tag) for tag in smart if not tag.asks]
        if model.adapter_class.only_interactive and not asking and not model.needs:
            warnings.append(
                f"{model.spec.adapter} answers prompts, but no control of {model.object_tag.tag}#{here} sends any; "
                f'add smart="true" to a {_askable(model.object_tag)} of it'
            )
    return list({tag.name: tag for tag in prompts}.values()), warnings


def _askable(object_tag: ObjectTag) -> str:
    """Return the control tags whose regions Label Studio sends to a model."""
    return "VideoRectangle" if object_tag.tag == "Video" else "RectangleLabels or KeyPointLabels"


def is_typed_prompt(tag: ControlTag, adapter_class: type[Adapter]) -> bool:
    """Return True if people type prompts to an adapter into a tag."""
    reads = issubclass(adapter_class, InteractiveAdapter) and adapter_class.reads_typed
    return reads and tag.tag == "TextArea" and tag.asks


def _silence(tag: ControlTag) -> str:
    return (
        f'{tag.selector} is smart, but Label Studio sends no regions of {tag.tag} to a model; write smart="false" '
        'here, and smart="true" in a RectangleLabels or KeyPointLabels'
    )


def control_of(control_tag: ControlTag, config: LabelingConfig) -> Control:
    """Return the control of a tag, with the tag that names its labels if it is a bare tool, and the first tag for the
    texts of its regions.
    """
    kind = control_class(control_tag, config.objects)
    assert kind is not None, f"{control_tag.selector} has no control"
    companions = (
        other
        for other in config.controls
        if other.tag == kind.companion_tag and set(other.to_names) & set(control_tag.to_names)
    )
    companion = next(companions, None)
    texts = (tag for tag in config.controls if kind.carries_text and _takes_texts(tag, control_tag, companion))
    return kind(control_tag, companion, next(texts, None))


def _takes_texts(tag: ControlTag, drawing: ControlTag, companion: ControlTag | None) -> bool:
    """Return True if a tag asks people for the text in each region that they draw with another one."""
    if tag.tag != "TextArea" or not tag.per_region or tag.repeater != drawing.repeater:
        return False
    asked = {condition.tag_name for condition in tag.conditions if condition.when == "region-selected"}
    naming = {None, drawing.name, companion.name if companion else None}
    return bool(set(tag.to_names) & set(drawing.to_names)) and asked <= naming


def regions_of(control: Control, result: Sequence[object]) -> list[Region]:
    """Return the regions of a result that a control decodes; if it asks about a region, only those about that one."""
    return [region for region in result if isinstance(region, dict) and control.owns(region)]
