"""The adapters that could answer the controls of a labeling config, without a recipe, and the reasons where none could."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lsml.adapters import all_adapters, builtin_adapters, is_installed
from lsml.adapters.base import Adapter, InteractiveAdapter, TrainableAdapter
from lsml.binding.bind import object_for
from lsml.binding.messages import chat_of
from lsml.binding.needs import marks_regions, relates, why_alone
from lsml.binding.prompts import control_of
from lsml.controls import Control, control_class
from lsml.controls.regions import RegionControl
from lsml.errors import AdapterError
from lsml.labeling import ControlTag, LabelingConfig
from lsml.values import Box


@dataclass(frozen=True)
class Offer:
    """The adapters that could answer one control. Without a `chosen` adapter, `reason` says why no model answers it.

    `chosen`: the adapters of a first recipe, in the order of its list; `others`: other possible adapters, best first.
    `control`: the control, with the tag that names its labels where it is a bare tool.
    """

    control_tag: ControlTag
    chosen: tuple[type[Adapter], ...] = ()
    others: tuple[type[Adapter], ...] = ()
    control: Control | None = None
    reason: str = ""
    # The selectors of the controls whose regions its adapter reads, one at a time.
    needs: tuple[str, ...] = ()
    # The selector of the control with which it shares a key in the recipe, because one model serves both.
    shares: str = ""
    # It needs no model: it holds the labels of another tool, or its regions are prompts for another control's model.
    helps: bool = False


def offers(config: LabelingConfig) -> list[Offer]:
    """Return an offer for each control of a config, in its order. Imports the modules of all adapters, but no library."""
    fitting = {tag.name: could_answer(tag, config) for tag in config.controls}
    by_tag = {name: one.adapters for name, one in fitting.items()}
    typed = _asking_in_words(config, by_tag)
    asking = _asking(config, by_tag) | {prompt for prompts in typed.values() for prompt in prompts}
    tools = {tag.name: control_of(tag, config) for tag in config.controls if fitting[tag.name].adapters}
    named_by: dict[str, list[str]] = {}
    read_in: dict[str, str] = {}  # text tag -> the first tool in whose regions a model reads its texts
    for tool in tools.values():
        if tool.companion:
            named_by.setdefault(tool.companion.name, []).append(tool.control_tag.selector)
        if tool.text_tag and fitting[tool.control_tag.name].adapters[0].transcribes:
            read_in.setdefault(tool.text_tag.name, tool.control_tag.selector)
    found = []
    for tag in config.controls:
        adapters, reason, needs = fitting[tag.name]
        if tag.name in asking:
            why = f"{tag.selector} is a prompt: the model of another control answers its regions"
            found.append(Offer(tag, reason=why, helps=True))
        elif tag.name in read_in:
            why = f"{tag.selector} takes the texts of the regions of {read_in[tag.name]}"
            found.append(Offer(tag, reason=why, helps=True))
        elif (first := _read_elsewhere(tools.get(tag.name), read_in)) is not None:
            found.append(Offer(tag, tuple(adapters[:1]), tuple(adapters[1:]), tools[tag.name], shares=first))
        elif not adapters and tag.name in named_by:
            why = f"{tag.selector} has the labels of {', '.join(named_by[tag.name])}"
            found.append(Offer(tag, reason=why, helps=True))
        elif not adapters:
            found.append(Offer(tag, reason=reason))
        elif needs:
            found.append(Offer(tag, tuple(adapters[:1]), tuple(adapters[1:]), tools[tag.name], needs=needs))
        elif tag.name in typed:
            answering = [adapter for adapter in adapters if _reads_typed(adapter)]
            others = [adapter for adapter in adapters if adapter not in answering[:1]]
            found.append(Offer(tag, tuple(answering[:1]), tuple(others), tools[tag.name]))
        else:
            found.append(_offer(tag, adapters, config, tools[tag.name]))
    return found


class Fitting(NamedTuple):
    """The adapters that can answer a control with their default options, best first; where there is none, the reason in a
    sentence. `needs`: the selectors of the controls whose regions they read.
    """

    adapters: list[type[Adapter]]
    reason: str = ""
    needs: tuple[str, ...] = ()


def could_answer(control_tag: ControlTag, config: LabelingConfig) -> Fitting:
    """Return the adapters that can answer a control."""
    usable = [adapter for adapter in all_adapters().values() if not isinstance(adapter, AdapterError)]
    kind = control_class(control_tag, config.objects)
    giving = [adapter for adapter in usable if kind and kind.value_type in adapter.produces]
    if kind is None or not giving:
        return Fitting(
            [], f"{control_tag.selector}: no adapter supports {control_tag.tag} yet, so only people annotate it"
        )
    refusal = kind.refusal(control_tag)
    if refusal is not None:
        return Fitting([], refusal)
    if control_tag.per_region or relates([kind]):
        asked = _about_messages(control_tag, giving, config)
        return asked if asked.adapters else _about_regions(control_tag, giving, config)
    answers = [(adapter, *object_for(control_tag, adapter, adapter.Options(), config)) for adapter in giving]
    fitting = [adapter for adapter, object_tag, _ in answers if object_tag is not None]
    # A box around a box or click only refines it, so `lsml new` does not propose it.
    fitting = [adapter for adapter in fitting if not (adapter.only_interactive and kind.value_type is Box)]
    # An adapter that reads texts comes first where a tag takes them, and nowhere else.
    texts = bool(fitting) and (kind.holds_text or control_of(control_tag, config).text_tag is not None)
    fitting = [adapter for adapter in fitting if texts or not adapter.transcribes]
    if fitting:
        return Fitting(sorted(fitting, key=lambda adapter: (not adapter.transcribes, _rank(adapter))))
    objects = [config.objects[name] for name in control_tag.to_names if name in config.objects]
    reading = [
        reason for adapter, _, reason in answers if not objects or any(tag.tag in adapter.consumes for tag in objects)
    ]
    if reading:
        return Fitting([], reading[0])
    shown = ", ".join(f"{tag.tag}#{tag.name}" for tag in objects)
    return Fitting(
        [], f"{control_tag.selector}: no adapter supports {control_tag.tag} for {shown} yet, so only people annotate it"
    )


def _about_messages(control_tag: ControlTag, giving: Sequence[type[Adapter]], config: LabelingConfig) -> Fitting:
    """Return the adapters that can answer a control for each message of a chat."""
    fitting = [one for one in giving if chat_of(control_tag, config, one)]
    fitting = [one for one in fitting if object_for(control_tag, one, one.Options(), config)[0] is not None]
    return Fitting(sorted(fitting, key=_rank))


def _about_regions(control_tag: ControlTag, giving: Sequence[type[Adapter]], config: LabelingConfig) -> Fitting:
    """Return the adapters that can answer a control for each region of others, which models answer: the first way in which
    regions are read for all of them, with the adapters that read so.
    """
    asked = {one.tag_name for one in control_tag.conditions if one.when == "region-selected"} - {None}
    fitting = {tag.name: could_answer(tag, config).adapters for tag in config.controls if marks_regions(tag)}
    tools = [control_of(tag, config) for tag in config.controls if _predicts(fitting.get(tag.name, ()))]
    tools = [tool for tool in tools if asked <= set(tool.names)]
    # An adapter for regions with texts is the best choice where texts are read, and the last one elsewhere.
    read = any(tool.text_tag and fitting[tool.control_tag.name][0].transcribes for tool in tools)
    object_tags = {config.objects[name].tag for name in control_tag.to_names if name in config.objects}
    ways: dict[tuple[str, ...], list[type[Adapter]]] = {}
    why = ""
    reading_one = [adapter for adapter in giving if not adapter.only_compares]
    for adapter in sorted(reading_one, key=lambda adapter: (adapter.reads_regions != read, _rank(adapter))):
        options = adapter.Options()
        told = [(tool, *object_for(control_tag, adapter, options, config, needed=[tool])) for tool in tools]
        readable = [(tool, tool.value_type, object_tag) for tool, object_tag, _ in told if object_tag is not None]
        alike = [tool.control_tag.selector for tool, *how in readable if how == [*readable[0][1:]]]
        if alike:
            ways.setdefault(tuple(alike), []).append(adapter)
        if adapter.consumes & object_tags:
            why = why or next((reason for _, _, reason in told if reason), "")
    for needs, adapters in ways.items():
        return Fitting(adapters, needs=needs)
    return Fitting([], why or why_alone(control_tag, giving[0], config))


def _predicts(adapters: Sequence[type[Adapter]]) -> bool:
    """Return True if one of the adapters finds regions by itself."""
    return any(not adapter.only_interactive for adapter in adapters)


def why_unbound(control_tag: ControlTag, reason: str, config: LabelingConfig) -> str:
    """Return the reason why no model answers a control: `reason`, unless no key under `tags` would change that."""
    return could_answer(control_tag, config).reason or reason


def _read_elsewhere(tool: Control | None, read_in: dict[str, str]) -> str | None:
    """Return the other tool in whose regions a model reads the texts of this one, or None."""
    first = read_in.get(tool.text_tag.name) if tool and tool.text_tag else None
    return None if tool is None or first == tool.control_tag.selector else first


def _rank(adapter: type[Adapter]) -> tuple[bool, bool, bool, bool, bool, str]:
    """Return a sort key: adapters without extras first, then installed ones, then those that learn here, then those without
    copyleft.
    """
    return (
        adapter.extra is not None,
        not is_installed(adapter),
        not issubclass(adapter, TrainableAdapter) or adapter.asks_service,
        adapter.copyleft,
        adapter.name not in builtin_adapters(),
        adapter.name,
    )


def _asking(config: LabelingConfig, fitting: dict[str, list[type[Adapter]]]) -> set[str]:
    """Return the names of the smart controls with which a person would ask another control's model."""
    answering = [tag for tag in config.controls if any(adapter.only_interactive for adapter in fitting[tag.name])]
    return {
        tag.name
        for tag in config.controls
        if tag.asks and tag not in answering and any(set(tag.to_names) & set(other.to_names) for other in answering)
    }


def _asking_in_words(config: LabelingConfig, fitting: dict[str, list[type[Adapter]]]) -> dict[str, list[str]]:
    """Return the names of the smart TextAreas in which a person would ask about a control's object, by the control's name."""
    prompts = [tag for tag in config.controls if tag.tag == "TextArea" and tag.asks]
    return {
        tag.name: asked
        for tag in config.controls
        if tag not in prompts and not tag.per_region and any(map(_reads_typed, fitting[tag.name]))
        and (asked := [one.name for one in prompts if set(one.to_names) & set(tag.to_names)])
    }  # fmt: skip


def _reads_typed(adapter: type[Adapter]) -> bool:
    return issubclass(adapter, InteractiveAdapter) and adapter.reads_typed


def _offer(tag: ControlTag, adapters: Sequence[type[Adapter]], config: LabelingConfig, control: Control) -> Offer:
    """Return an offer. Where a person can ask, an interactive adapter comes first; beside it one for batches, if it needs
    no extra.
    """
    smart = any(other.asks and set(other.to_names) & set(tag.to_names) for other in config.controls)
    interactive = [adapter for adapter in adapters if issubclass(adapter, InteractiveAdapter)]
    # For prompts, an adapter that is only interactive is the best choice.
    asks = smart and isinstance(control, RegionControl)
    asked = sorted(interactive, key=lambda adapter: not adapter.only_interactive)[:1] if asks else []
    batch = [adapter for adapter in adapters if not adapter.only_interactive and adapter not in asked][:1]
    chosen = asked + [adapter for adapter in batch if not asked or adapter.extra is None]
    others = [adapter for adapter in adapters if adapter not in chosen and (smart or not adapter.only_interactive)]
    if not chosen:
        answers = f"{tag.selector}: {adapters[0].name} answers prompts"
        why = f'{answers}, but no control sends any; add smart="true" to a RectangleLabels or KeyPointLabels'
        return Offer(tag, reason=why)
    return Offer(tag, tuple(chosen), tuple(others), control)
