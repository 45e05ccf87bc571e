"""One adapter with its controls and its object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from lsml.adapters.base import Adapter, Question, Target, TrainableAdapter
from lsml.binding.auto import Answering, Auto
from lsml.binding.backend_tasks import as_backend_tasks
from lsml.binding.class_names import ClassNames
from lsml.binding.comparing import read_compared
from lsml.binding.digests import digest, options_of, portable, prediction_options
from lsml.binding.inputs import Part, parts_need_fetch, read_parts, reads_columns
from lsml.binding.messages import asks_messages, by_message, message_views
from lsml.binding.needs import answer_together, copies_about, needed_regions, read_regions
from lsml.controls.base import Control, Threshold, on_page
from lsml.controls.number import Number
from lsml.labeling import AnnotatedTask, ObjectTag, instances
from lsml.labeling.objects import Fetch, Form, Unreadable, needs_fetch, read_object
from lsml.labeling.tags import Condition
from lsml.labeling.view import View
from lsml.recipe import Model, Training
from lsml.values import kind_of


class Reading(msgspec.Struct, frozen=True):
    """One model's view of a task: usually one for each task; several for the copies of a Repeater, the pages of a list of
    images, or regions.
    """

    controls: tuple[Control, ...]
    object_tag: ObjectTag
    view: View


@dataclass(frozen=True)
class BoundModel:
    """One adapter with its controls and its object, or the `inputs` or needed regions that replace it.

    `key` names the model in version folders and cards. `fingerprint` changes when a learnt model no longer fits: a
    control was renamed, its object shows other data, or the adapter changed.
    """

    key: str
    spec: Model
    adapter_class: type[Adapter]
    controls: tuple[Control, ...]
    object_tag: ObjectTag
    inputs: tuple[Part, ...] = ()
    needs: tuple[Control, ...] = ()
    labeling_config: str = ""

    @property
    def copied(self) -> bool:
        """True if its controls stand several times in one task, each with its own answer: for a Repeater, regions or pages."""
        about_each = bool(self.needs) and not answer_together(self.adapter_class, self.controls)
        by_page = any(_is_by_page(control, self.object_tag) for control in self.controls)
        return about_each or by_page or self.asks_messages or self.object_tag.repeater is not None

    @property
    def asks_messages(self) -> bool:
        """True if its controls are for each message of a chat. Controls of one model agree in this."""
        return not self.needs and asks_messages(self.controls[0].control_tag, self.object_tag)

    @property
    def trainable(self) -> bool:
        """True if it is trained under this recipe."""
        return self.training is not None

    @property
    def training(self) -> Training | None:
        """The training settings, or None if it is never trained."""
        return self.spec.training if issubclass(self.adapter_class, TrainableAdapter) else None

    @property
    def learns(self) -> bool:
        """True if the adapter can be trained at all; `lsml train` trains it even with `training: false`."""
        return issubclass(self.adapter_class, TrainableAdapter)

    @cached_property
    def target(self) -> Target:
        """The target of its adapter."""
        return target_of(self.controls, self.spec.descriptions)

    @cached_property
    def fingerprint(self) -> str:
        """The hash of the controls, the object and the adapter; see the class."""
        controls = [control.control_tag.selector for control in self.controls]
        return digest([self.spec.adapter, controls, self._data_settings, self.target.multiple, *self._needed_regions])

    @property
    def _needed_regions(self) -> list[object]:
        """The regions that it reads, and how; empty if it needs none."""
        return [[tool.control_tag.selector for tool in self.needs], self.spec.around] if self.needs else []

    @property
    def _data_settings(self) -> tuple[str, ...]:
        """The settings of its object that decide the data; a version that was trained on other data does not fit."""
        if self.inputs:
            return tuple(setting for part in self.inputs for setting in part.content_settings)
        attributes = self.object_tag.attributes
        return (
            self.object_tag.tag,
            self.object_tag.value,
            attributes.get("valueType", ""),
            attributes.get("textKey", ""),
            *self.object_tag.channels,
            *(attributes[name] for name in ("timeColumn", "timeFormat", "sep") if name in attributes),
        )

    @cached_property
    def options_digest(self) -> str:
        """The hash of all options, and of the settings that select the training tasks."""
        training = self.training
        learning: list[object] | None = None
        if training is not None:
            held_out = training.held_out
            kept = held_out.share if held_out.origin == "share" else held_out.origin
            learning = [kept, training.learn_from.several, *training.learn_from.settings()]
        # Descriptions of labels only decide predictions.
        wanted = {name: getattr(self.target, name) for name in ("labels", "multiple", "open", "kinds")}
        return digest([options_of(self.spec, portable), learning, wanted, *([self.spec.was] if self.spec.was else [])])[
            :16
        ]

    @property
    def shown(self) -> str:
        """Its inputs for people: Text#title ($title), $customer_tier."""
        shown = ", ".join(part.shown for part in self.inputs or (Part(self.object_tag.name, self.object_tag),))
        tools = ", ".join(tool.control_tag.selector for tool in self.needs)
        return f"the regions of {tools} on {shown}" if tools else shown

    @property
    def reads(self) -> tuple[ObjectTag, ...]:
        """The object tags that it reads; a field of the task without a tag counts as one of a Text."""
        if not self.inputs:
            return (self.object_tag,)
        return tuple(part.object_tag or ObjectTag("Text", part.name, part.name) for part in self.inputs)

    @property
    def fields(self) -> str:
        """The fields of a task that it reads: $title, $customer_tier."""
        return ", ".join(tag.value for tag in self.reads)

    @property
    def needs_fetch(self) -> bool:
        """True if reading a task takes a file from elsewhere."""
        return parts_need_fetch(self.inputs) if self.inputs else needs_fetch(self.object_tag)

    def new_adapter(self) -> Adapter:
        """Return the starting point: a pretrained or untrained adapter."""
        adapter = self.adapter_class(self.spec.options, self.target)
        if isinstance(adapter, Auto):
            adapter.judge_by([Answering(control, self.threshold(control)) for control in self.controls])
        return adapter

    def threshold(self, control: Control) -> Threshold:
        """Return the least score that counts, by label of `control`."""
        return _threshold(self.spec, control)

    @cached_property
    def floor(self) -> float:
        """The least score that counts for any label of its controls, even if only for the certainty."""
        return min(tool.suspected * min(map(self.threshold(tool), (*tool.labels, ""))) for tool in self.controls)

    @cached_property
    def classes(self) -> ClassNames:
        """The translation of the adapter's own class names."""
        return ClassNames(self.spec, self.adapter_class, self.controls, self.target)

    def read(self, task: Mapping[str, object], fetch: Fetch) -> list[Reading]:
        """Return the adapter's views of a task. Raises Unreadable or FetchError, with a sentence."""
        seen = _readings(self, task, fetch)
        return as_backend_tasks(seen, task, self.labeling_config) if self.adapter_class.reads_tasks else seen

    def copies(self, data: Mapping[str, object]) -> list[tuple[Control, Control]]:
        """Return (control, its copy in this task) for each copy of a Repeater, needed region or page; without these, each
        control twice.
        """
        regions = needed_regions(self.needs, data) if self.copied and self.needs else None
        if regions is not None:
            return copies_about(self.controls, regions)
        if self.asks_messages:
            return [(control, copy) for control in self.controls for copy in by_message(control, self.object_tag, data)]
        if self.object_tag.repeater is None:
            return [(control, copy) for control in self.controls for copy in _by_page(control, self.object_tag, data)]
        return [(control, copy) for control in self.controls for copy, _ in _copies(control, self.object_tag, data)]

    @property
    def reads_view(self) -> bool:
        """True if one of its controls needs the view to decode regions."""
        return any(control.reads_view for control in self.controls)

    def views_by_control(self, task: AnnotatedTask, fetch: Fetch) -> dict[str, View]:
        """Return the view of each control that needs it in an annotated task, by the control's name."""
        if not self.reads_view:
            return {}
        readings = self.read({"id": task.id, "data": task.data}, fetch)
        return {control.control_tag.name: reading.view for reading in readings for control in reading.controls}

    def instances(self, data: Mapping[str, object]) -> list[Control]:
        """Return its controls; for a Repeater, the copies in this task's data."""
        return [copy for _, copy in self.copies(data)]

    @property
    def elsewhere(self) -> str | None:
        """The version that a service serves now, for adapters whose model is elsewhere."""
        return self.adapter_class.version_elsewhere(self.spec.options, self.labeling_config)

    def facts(self, known: Sequence[str] | None) -> list[Any]:
        """Return everything that decides this model's predictions besides its training, for `model_version`.

        `known`: the labels that the served version can predict; None where nothing was learnt.
        """
        controls = []
        answered = None if known is None else {self.classes.former.get(label, label) for label in known}
        for control in self.controls:
            labels = [label for label in control.labels if answered is None or label in answered]
            usable = [] if known is None and not self.adapter_class.starts_ready else sorted(labels)
            conditions = [_plain(condition) for condition in control.control_tag.conditions]
            controls.append([control.control_tag.selector, self.object_tag.name, control.facts(), usable, conditions])
        options = options_of(self.spec, prediction_options)
        told = self.adapter_class.facts(self.spec.options, self.target)
        return [
            *(self.key, self._data_settings, options, self.spec.threshold, self.spec.labels, controls),
            *["hidden"] * (not self.spec.show),
            *[self.spec.combine] * (self.spec.combine != "first"),
            *self._needed_regions,
            *([] if told is None else [told]),
            *([] if self.elsewhere is None else [self.elsewhere]),
        ]


def _readings(model: BoundModel, task: Mapping[str, object], fetch: Fetch) -> list[Reading]:
    if model.inputs:
        return [Reading(model.controls, model.object_tag, _view_of_inputs(model, task, fetch))]
    if model.needs:
        seen = read_regions(
            model.adapter_class, model.controls, model.needs, model.object_tag, model.spec.around, task, fetch
        )
        return [Reading(asking, model.object_tag, view) for asking, view in seen]
    if model.asks_messages:
        return _messages(model, task, fetch)
    if model.object_tag.repeater is None:
        return _pages(model.controls, model.object_tag, task, fetch, model.adapter_class)
    data = task.get("data")
    copies = [
        _copies(control, model.object_tag, data if isinstance(data, Mapping) else {}) for control in model.controls
    ]
    if not all(copies):
        repeated = model.object_tag.repeater.on
        raise Unreadable("no data", f"the Repeater repeats {repeated}, and the task's data has no such list")
    readings: list[Reading] = []
    for together in zip(*copies, strict=True):
        controls = tuple(control for control, _ in together)
        readings += _pages(controls, together[0][1], task, fetch, model.adapter_class)
    return readings


def _messages(model: BoundModel, task: Mapping[str, object], fetch: Fetch) -> list[Reading]:
    read_object(model.object_tag, task, fetch)  # raises Unreadable where there is no chat
    data = task["data"]
    assert isinstance(data, Mapping)
    seen = message_views(model.controls, model.object_tag, data)
    return [Reading(asking, model.object_tag, view) for asking, view in seen]


def as_configured(model: BoundModel, reading: Reading) -> Sequence[Control]:
    """Return a reading's controls, in order, with their names in the labeling config. The copies of a Repeater have names of
    their own.
    """
    return reading.controls if model.object_tag.repeater is None else model.controls[: len(reading.controls)]


def _view_of_inputs(model: BoundModel, task: Mapping[str, object], fetch: Fetch) -> View:
    if model.controls[0].compares:
        return read_compared(model.inputs, task, fetch)
    return read_parts(model.inputs, columns=reads_columns(model.adapter_class), task=task, fetch=fetch)


def _threshold(spec: Model, control: Control) -> Threshold:
    chosen = control.default_threshold if spec.threshold is None else spec.threshold
    if isinstance(chosen, Mapping):
        default = chosen.get("default", control.default_threshold)
        by_label = {
            control.name_of(label): chosen[label.value]
            for label in (control.companion or control.control_tag).labels
            if label.value in chosen
        }
        by_label |= {label: share for label, share in chosen.items() if label != "default"}
        return lambda label: by_label.get(label, default)
    return lambda _label: chosen


def _pages(
    controls: tuple[Control, ...],
    object_tag: ObjectTag,
    task: Mapping[str, object],
    fetch: Fetch,
    adapter_class: type[Adapter],
) -> list[Reading]:
    """Return a reading for each page; controls that answer for the whole task only have the first one."""
    readings = []
    for number, view in enumerate(read_object(object_tag, task, fetch, _form(adapter_class, controls))):
        asked = [
            on_page(control, view.item) if view.item is not None and _is_by_page(control, object_tag) else control
            for control in controls
            if number == 0 or control.per_item or _is_by_page(control, object_tag)
        ]
        if asked:
            readings.append(Reading(tuple(asked), object_tag, view))
    return readings


def _form(adapter_class: type[Adapter], controls: Sequence[Control]) -> Form:
    """Return the form in which an adapter reads a PDF document for controls."""
    if "Text" in adapter_class.consumes:
        return Form.TEXT
    return Form.PAGES if any(control.per_item for control in controls) else Form.FIRST_PAGE


def _is_by_page(control: Control, object_tag: ObjectTag) -> bool:
    """Return True if annotators answer a control for each page of a list of images (perItem)."""
    one_list = object_tag.tag == "Image" and object_tag.repeater is None
    return one_list and control.control_tag.per_item and not control.per_item


def _by_page(control: Control, object_tag: ObjectTag, data: Mapping[str, object]) -> list[Control]:
    """Return the copies of a control for the pages in a task's data, or only the control itself."""
    pages = data.get(object_tag.field) if object_tag.field is not None else None
    if not isinstance(pages, list) or not _is_by_page(control, object_tag):
        return [control]
    return [on_page(control, number) for number in range(len(pages))]


def _copies(control: Control, object_tag: ObjectTag, data: Mapping[str, object]) -> list[tuple[Control, ObjectTag]]:
    """Return a control and its object as a Repeater copies them for a task's data; empty where the data has no such list."""
    try:
        pairs = instances(control.control_tag, object_tag, data)
        texts = instances(control.text_tag, object_tag, data) if control.text_tag else [(None, None)] * len(pairs)
    except KeyError:
        return []
    return [
        (type(control)(tag, control.companion, text_tag), copy)
        for (tag, copy), (text_tag, _) in zip(pairs, texts, strict=True)
    ]


def _plain(condition: Condition) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(condition)
    if not condition.roles:
        del plain["roles"]  # so that the versions of configs without it stay
    return plain


def target_of(controls: Sequence[Control], descriptions: Mapping[str, str] | None = None) -> Target:
    """Return the target of an adapter that answers these controls. `descriptions`: the recipe's descriptions of labels."""
    labels = dict.fromkeys(label for control in controls for label in control.labels)
    kinds: dict[str, dict[str, None]] = {}
    for control in controls:
        kinds.setdefault(kind_of(control.value_type), {}).update(dict.fromkeys(control.labels))
    return Target(
        labels=tuple(labels),
        multiple=len(controls) > 1 or controls[0].multiple,
        open=any(control.open for control in controls),
        kinds={kind: tuple(names) for kind, names in kinds.items()},
        questions=tuple(_question(control, descriptions or {}) for control in controls),
    )


def _question(control: Control, descriptions: Mapping[str, str]) -> Question:
    said = {}
    for label in (control.companion or control.control_tag).labels:
        stored = control.name_of(label)
        text = descriptions.get(stored) or descriptions.get(label.value)
        if text and stored in control.labels:
            said[stored] = text
    least, most, step = (control.least, control.most, control.step) if isinstance(control, Number) else (None,) * 3
    whole = step is not None and step.is_integer() and (least or 0.0).is_integer()
    return Question(
        control.control_tag.name,
        kind_of(control.value_type),
        tuple(control.labels),
        control.multiple,
        said,
        least,
        most,
        whole,
        control.compares,
    )
