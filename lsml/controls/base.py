"""The contract of a control tag: it encodes values as Label Studio regions, and decodes regions back to values.

Reference for every `value`: Label Studio's tag documentation and label-studio-sdk's validator, which the tests run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import msgspec

from lsml.labeling import ControlTag, Label, ObjectTag
from lsml.labeling.remarks import Misread, Reason, Remark
from lsml.labeling.view import View, whole_number
from lsml.values import Value
from lsml.wording import JSON

# One entry of a `result` list. `encode` may set its `id` or `parentID` to a value's group. Prediction turns them into ids of
# the result, the same for the same group, and drops a `parentID` that is no region's `id`.
Region = dict[str, Any]
Threshold = Callable[[str], float]  # label -> the least score that counts; "" for a control without labels
ScoreKind = Literal["confidence", "margin", "entropy"]


class ModelValues(msgspec.Struct, frozen=True):
    """One model's answer for a control: all its values, and the least score that counts. `decisions`: the probabilities of
    its decisions, where it returned `DecidedSpans`.
    """

    values: Sequence[Value]
    threshold: Threshold
    decisions: Sequence[float] | None = None


class Decoded(NamedTuple):
    """A person's decoded regions. `values` is None where they are no example: there was no answer, or none that could be
    decoded.

    `remarks`: what was left out, or is written differently from Label Studio.
    """

    values: tuple[Value, ...] | None
    remarks: tuple[Remark, ...] = ()


class Anchor(NamedTuple):
    """The region that a control asks about, of another control. `name`: what the asking control is called in the config."""

    name: str
    region: Region

    @property
    def id(self) -> str:
        """The end of the name of the control's copy, after `@`."""
        return str(self.region["id"])

    def holds(self, region: Mapping[str, object]) -> bool:
        """Return True if a region is an answer about this one: of the asking control, with the same id."""
        return region.get("from_name") == self.name and region.get("id") == self.region["id"]

    def region_about(self, region: Region) -> Region:
        """Return a region of the asking control, with the place and the id of the region that it is about."""
        place = {
            key: held for key, held in self.region["value"].items() if key not in _SAID and not key.endswith("labels")
        }
        frame = {key: held for key, held in self.region.items() if key in _FRAME}
        return {**frame, **region, "value": place | region["value"]}


class Page(NamedTuple):
    """The page of a list of images that a control asks about, from 0. `name`: what the control is called in the config."""

    name: str
    number: int

    @property
    def id(self) -> str:
        """The end of the name of the control's copy, after `@`."""
        return str(self.number)

    def holds(self, region: Mapping[str, object]) -> bool:
        """Return True if a region of the control is an answer about this page."""
        here = (whole_number(region.get("item_index")) or 0) == self.number
        return here and region.get("from_name") == self.name

    def region_about(self, region: Region) -> Region:
        """Return a region of the control, on this page."""
        return {**region, "item_index": self.number}


class ChatMessage(NamedTuple):
    """The message of a chat that a control asks about, from 0. `name`: what the control is called in the config; `text`: its
    role and words; `message`: as the task has it.
    """

    name: str
    chat: str
    number: int
    text: str
    message: Mapping[str, object]

    @property
    def id(self) -> str:
        """The end of the name of the control's copy, after `@`."""
        return f"{self.chat}-{self.number}"

    def holds(self, region: Mapping[str, object]) -> bool:
        """Return True if a region of the control is an answer about this message, or about one with the same words."""
        value = region.get("value")
        told = value.get("chatmessage") if isinstance(value, Mapping) else None
        same = isinstance(told, Mapping) and all(told.get(key) == self.message.get(key) for key in ("role", "content"))
        return same and region.get("from_name") == self.name

    def region_about(self, region: Region) -> Region:
        """Return a region of the control, on this message."""
        return {**region, "id": self.id, "value": {"chatmessage": dict(self.message), **region["value"]}}


_FRAME = ("id", "original_width", "original_height", "image_rotation", "item_index", "parentID")
_SAID = (
    "choices",
    "taxonomy",
    "rating",
    "number",
    "datetime",
)  # in a region's value beside its place; a text can be a span's own

# Every control by its tag. A class that names its tag is registered when its module is imported.
CONTROLS: dict[str, type[Control]] = {}
_OTHERS: dict[str, list[type[Control]]] = {}  # further ones of the same tag, for other objects


def controls_of(tag: str) -> tuple[type[Control], ...]:
    """Return the controls of a tag: one, or several for different objects. Raises KeyError where there is none."""
    return CONTROLS[tag], *_OTHERS.get(tag, ())


def _register(control: type[Control]) -> None:
    known = controls_of(control.tag) if control.tag in CONTROLS else ()
    for other in known:
        if other.objects is None or control.objects is None or other.objects & control.objects:
            raise TypeError(f"two controls name the tag {control.tag}: {other.__name__} and {control.__name__}")
    if known:
        _OTHERS.setdefault(control.tag, []).append(control)
    else:
        CONTROLS[control.tag] = control


def suits(
    control: type[Control], gives: frozenset[type], reads: frozenset[str], *, compares: bool, only_compares: bool
) -> bool:
    """Return True if a control can show something of a model that gives these value types and reads these object tags.
    `compares`: the model reads items to compare. `only_compares`: and nothing else.
    """
    allowed = control.objects is None or not control.objects.isdisjoint(reads)
    return control.value_type in gives and allowed and (compares if control.compares else not only_compares)


def control_class(control_tag: ControlTag, objects: Mapping[str, ObjectTag]) -> type[Control] | None:
    """Return the control of a tag for the first object that it answers for, by name; the first control if none fits.

    None where lsml has no control for the tag.
    """
    if control_tag.tag not in CONTROLS:
        return None
    first, *others = controls_of(control_tag.tag)
    object_tags = [objects[name].tag for name in control_tag.to_names if name in objects]
    return next((one for tag in object_tags for one in (first, *others) if one.objects and tag in one.objects), first)


class Control(ABC):
    """One control tag of one labeling config, which a model can answer.

    A bare tool, such as `<Rectangle>`, has its labels in another control tag for the same object: its `companion`. The
    text of its regions is in a `<TextArea perRegion="true">` for the same object: its `text_tag`.
    """

    tag: ClassVar[str]  # Choices
    region_type: ClassVar[str]  # choices: the `type` of its regions, which follows from the tag
    value_type: ClassVar[type]  # Choice
    companion_tag: ClassVar[str | None] = None  # the tag that names the labels of a bare tool
    carries_text: ClassVar[bool] = False  # its values hold the text written in them, if there is a tag for it
    holds_text: ClassVar[bool] = False  # its regions have a place for that text themselves
    objects: ClassVar[frozenset[str] | None] = None  # its possible object tags; None for any
    reads_view: ClassVar[bool] = False  # `decode` needs the view
    per_item: ClassVar[bool] = False  # in a list of images, it answers for each page and not just for the first
    judged_unfiltered: ClassVar[bool] = False  # its metric ranks by score, so no threshold applies before
    # Values from this share of the threshold count for the certainty, because they may be missed objects.
    suspected: ClassVar[float] = 1.0
    compares: ClassVar[bool] = False  # its answer is about several items of a task, which an adapter reads together
    anchor: Anchor | Page | ChatMessage | None = None  # set on the copy for one region (perRegion), page or message

    def __init_subclass__(cls) -> None:
        """Register the control under the tag that it names. Raises TypeError where another one has the tag."""
        super().__init_subclass__()
        if "tag" in cls.__dict__:  # else it is a base of several controls
            _register(cls)
            cls.region_type = cls.__dict__.get("region_type", cls.tag.lower())

    def __init__(
        self, control_tag: ControlTag, companion: ControlTag | None = None, text_tag: ControlTag | None = None
    ) -> None:
        self.control_tag = control_tag
        # In the labeling config, and as `from_name`; a copy that asks about a region keeps it.
        self.config_name = control_tag.name
        self.companion = companion
        self.text_tag = text_tag
        labels = (companion or control_tag).labels
        self.labels: tuple[str, ...] = tuple(dict.fromkeys(self.name_of(label) for label in labels))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tags whose regions `decode` gets."""
        return tuple(tag.name for tag in (self.control_tag, self.companion, self.text_tag) if tag is not None)

    def owns(self, region: Mapping[str, object]) -> bool:
        """Return True if `decode` is to get a region of a result."""
        return region.get("from_name") in self.names if self.anchor is None else self.anchor.holds(region)

    def name_of(self, label: Label) -> str:
        """Return the name of a label of the config in this control's values."""
        return label.name

    @property
    def multiple(self) -> bool:
        """True if several labels may hold at once."""
        return False

    @property
    def caution(self) -> str | None:
        """A sentence about unexpected behaviour of this tag in Label Studio's editor; or None."""
        return None

    @property
    def called(self) -> str:
        """The name of its regions in messages, in the plural."""
        return "answers"

    @property
    def open(self) -> bool:
        """True if the labels are not in the config, but come with each task or from a URL."""
        return False

    @property
    def default_threshold(self) -> float:
        """The least score that counts where a recipe names none."""
        return 0.0

    @classmethod
    def refusal(cls, control_tag: ControlTag) -> str | None:
        """Return the reason why this tag cannot be bound, in a sentence; or None."""
        return None

    def facts(self) -> dict[str, object]:
        """Return the settings of this tag, besides names and labels, that decide a prediction; they are hashed into
        `model_version`.
        """
        return {"multiple": self.multiple}

    def possible(self, values: Sequence[Value], data: Mapping[str, object]) -> Sequence[Value]:
        """Return the values that this tag can show for a task: with labels of the config, or of the options in the task's
        `data`.
        """
        return values

    @abstractmethod
    def select(self, values: Sequence[Value], threshold: Threshold) -> list[Value]:
        """Return those of the possible values that are shown, best first: at or above the threshold, within the tag's limit."""

    def combine(
        self, by_model: Sequence[ModelValues], data: Mapping[str, object], kind: ScoreKind
    ) -> tuple[list[Value], float | None]:
        """Return (values to show, certainty) of several models' answers, given by rank.

        Here the first model that has a value to show wins.
        """
        first: tuple[list[Value], float | None] | None = None
        for of_model in by_model:
            values = self.possible(of_model.values, data)
            selected = self.select(values, of_model.threshold)
            certainty = self.certainty(values, kind)
            if selected:
                return selected, certainty
            first = first or (selected, certainty)
        return first or ([], None)

    @abstractmethod
    def certainty(self, values: Sequence[Value], kind: ScoreKind) -> float | None:
        """Return the model's certainty, in [0, 1], from all its values; None where it has no scores."""

    @abstractmethod
    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """Return the regions that show these values. `on`: the view that they are on, which spans and shapes need."""

    @abstractmethod
    def decode(self, regions: Sequence[Region], on: View | None = None) -> Decoded:
        """Return the values of a person's regions for this tag, and a remark on each region or label that is left out.

        A label that differs only in capitals from exactly one of the tag's is that label. Scores are kept, as
        predictions are judged by them.
        """

    def named(self, region: Region, remarks: list[Remark]) -> list[str]:
        """Return the labels of a person's region, and remark on unknown and former names. Needs no view. Raises Misread."""
        return []

    @abstractmethod
    def check(self, region: Region, data: Mapping[str, object]) -> str | None:
        """Return the error in a region's `type` or `value`, in a sentence, or None. It is stricter than Label Studio."""

    def problem(self, region: Region, data: Mapping[str, Any]) -> str | None:
        """Return the error in a region before it is sent, in a sentence, or None: a bad score, or what `check` finds."""
        score = region.get("score")
        if score is not None and not 0.0 <= score <= 1.0:
            return f"its score {score} is not between 0 and 1"
        return self.check(region, data)

    def write(
        self, values: Sequence[Value], to_name: str, on: View | None, data: Mapping[str, object]
    ) -> list[tuple[Region, str | None]]:
        """Return the regions of `encode`, each with its `problem` for a task's data."""
        return [(region, self.problem(region, data)) for region in self.encode(values, to_name, on)]

    @property
    def types(self) -> frozenset[str]:
        """The types of regions that it can decode; `check` allows only its own."""
        return frozenset({self.region_type})

    def _given(self, region: object) -> dict[str, object]:
        """Return the `value` of a region. Raises Misread where it has another type, or has none."""
        if not isinstance(region, Mapping):
            raise Misread(Reason.NO_REGION, JSON.shown(region))
        given = region.get("type")
        if not isinstance(given, str) or given.lower() not in self.types:
            raise Misread(Reason.OTHER_TYPE, JSON.shown(given))
        value = region.get("value")
        if not isinstance(value, dict):
            raise Misread(Reason.NO_REGION, JSON.shown(value))
        return value

    def _value(self, region: object) -> dict[str, object] | None:
        """Return the `value` of a region of this tag's type, or None for any other JSON."""
        if not isinstance(region, dict) or region.get("type") != self.region_type:
            return None
        value = region.get("value")
        return value if isinstance(value, dict) else None

    def _form_problem(self, region: object) -> str | None:
        """Return the reason why `_value` is None, in a sentence."""
        selector, expected = self.control_tag.selector, self.region_type
        if not isinstance(region, dict):
            return f"{selector}: a region is {JSON.shown(region)}; expected an object"
        if region.get("type") != expected:
            return f'{selector}: type is {JSON.shown(region.get("type"))}; expected "{expected}"'
        if not isinstance(region.get("value"), dict):
            return f"{selector}: value is {JSON.shown(region.get('value'))}; expected an object"
        return None

    def _region(self, value: dict[str, object], to_name: str, score: float | None) -> Region:
        region: Region = {
            "from_name": self.config_name,
            "to_name": to_name,
            "type": self.region_type,
            "value": value,
        }
        if score is not None:
            region["score"] = score
        return region if self.anchor is None else self.anchor.region_about(region)


ControlT = TypeVar("ControlT", bound=Control)


def on_page(control: ControlT, page: int) -> ControlT:
    """Return a copy of a control that asks about one page of a list of images, under its own name."""
    made = copy(control)
    made.control_tag = msgspec.structs.replace(control.control_tag, name=f"{control.control_tag.name}@{page}")
    made.anchor = Page(control.config_name, page)
    return made


def about(control: ControlT, region: Region) -> ControlT:
    """Return a copy of a control that asks about one region of another control, under its own name."""
    return _of_selected(control, Anchor(control.control_tag.name, region))


def on_message(control: ControlT, message: ChatMessage) -> ControlT:
    """Return a copy of a control that asks about one message of a chat, under its own name."""
    return _of_selected(control, message)


def _of_selected(control: ControlT, anchor: Anchor | ChatMessage) -> ControlT:
    """Return a copy of a control with an anchor, which counts as the selected region."""
    made = copy(control)
    conditions = tuple(one for one in control.control_tag.conditions if one.when != "region-selected")
    made.control_tag = msgspec.structs.replace(
        control.control_tag, name=f"{control.control_tag.name}@{anchor.id}", conditions=conditions
    )
    made.anchor = anchor
    return made
