"""A labeling config's XML -> LabelingConfig, or a sentence with line and column.

The XML is read as one stream of elements, and no tree of untrusted XML is ever built: 10,000 labels take
a few hundredths of a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping
from typing import Final
from xml.etree.ElementTree import ParseError

import msgspec

from lsml.errors import LabelingConfigError
from lsml.labeling.advice import advice_for, line_and_column
from lsml.labeling.tags import (
    KNOWN_CONTROL_TAGS,
    KNOWN_OBJECT_TAGS,
    Condition,
    ControlTag,
    Label,
    LabelingConfig,
    ObjectTag,
    Repeater,
)
from lsml.wording import one_line

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 100

# Tags that hold or style others; they are no controls, whatever attributes they have (a Filter has name and toName).
_STRUCTURE_TAGS: Final = (
    *("View", "Header", "Style", "Collapse", "Panel", "Filter", "Shortcut", "Repeater"),
    *("Label", "Choice", "Bucket", "Channel", "Relation"),
)
# Label Studio's editor ignores the case of names; here everything has one spelling.
_TAGS: Final = {tag.lower(): tag for tag in (*KNOWN_CONTROL_TAGS, *KNOWN_OBJECT_TAGS, *_STRUCTURE_TAGS)}
_ATTRIBUTES: Final = {
    name.lower(): name
    for name in (
        *("name", "toName", "value", "valueList", "valueType", "alias", "choice", "allowNested", "apiUrl"),
        *("leafsOnly", "maxUsages", "maxRating", "min", "max", "step", "perRegion", "perItem", "on", "indexFlag"),
        *("frameRate", "saveTextResult", "nameKey", "textKey", "predictedValues", "modelIndex", "smart", "smartOnly"),
        *("timeColumn", "timeFormat", "sep", "column"),
        *("visibleWhen", "whenTagName", "whenChoiceValue", "whenLabelValue", "whenRole"),
    )
} | {"predicted_values": "predictedValues", "model_index": "modelIndex"}


def parse_labeling_config(xml: str) -> LabelingConfig:
    """Return the tags of a labeling config.

    A control tag is any element with a name and a toName, known or not; and `<Relations>`, which has neither and comes
    last. An object tag is a known one with a name and a value. Everything else, such as HTML, is skipped, but its
    children are read. Names of tags and attributes are
    matched without regard to case. Two controls or two objects of one name are refused, as Label Studio does: their
    answers could not be told apart. An attribute counts for its own tag alone; only conditions and Repeaters apply to
    the tags inside.

    Raises LabelingConfigError, one sentence with line and column, for what is not XML, has a DTD or entities, is larger
    than MAX_BYTES or deeper than MAX_DEPTH.
    """
    if not isinstance(xml, str):
        raise LabelingConfigError(f"expected XML as text, got {type(xml).__name__}")
    try:
        encoded = xml.encode()
    except UnicodeEncodeError as error:
        line, column = line_and_column(xml, error.start)
        raise LabelingConfigError(
            "half of a character (a lone surrogate); remove or correct it", (line, column)
        ) from None
    if len(encoded) > MAX_BYTES:
        raise LabelingConfigError(
            f"{len(encoded):,} bytes; expected at most {MAX_BYTES:,}: "
            'keep long lists of labels in the tasks and write value="$field"'
        )
    if not xml.strip():
        raise LabelingConfigError("it is empty; expected XML such as <View>...</View>")
    reader = _read(xml)
    drafts = list(reader.controls.values())
    if reader.relations is not None:
        drafts.append(reader.relations.named(reader.controls))
    return LabelingConfig(
        xml=xml,
        controls=tuple(control.finished() for control in drafts),
        objects=reader.objects,
        digest=hashlib.sha256(encoded).hexdigest(),
    )


class _Draft:
    """A control tag whose labels are not read yet."""

    def __init__(self, tag: ControlTag) -> None:
        self.tag = tag
        self.labels: list[Label] = []
        self.inner: set[tuple[str, ...]] = set()  # paths that have labels below them
        self.default_bucket: str | None = None

    def named(self, others: Container[str]) -> _Draft:
        """Return itself, under a name that no other control has."""
        name = self.tag.name
        while name in others:
            name += "_"
        self.tag = msgspec.structs.replace(self.tag, name=name)
        return self

    def finished(self) -> ControlTag:
        labels = tuple(
            msgspec.structs.replace(label, leaf=False) if label.path in self.inner else label for label in self.labels
        )
        # Label Studio writes it in the bucket itself.
        more = {"defaultBucket": self.default_bucket} if self.default_bucket else {}
        return msgspec.structs.replace(self.tag, labels=labels, attributes=self.tag.attributes | more)


class _Element(msgspec.Struct, frozen=True):
    """The context that an open element gives to the elements inside."""

    control: _Draft | None = None
    path: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    repeater: Repeater | None = None
    series: str | None = None  # the name of the TimeSeries around it


class _TagReader:
    """The target of the XML parser: it sees every element's start and end, and keeps the open elements and the tags found."""

    def __init__(self) -> None:
        self.controls: dict[str, _Draft] = {}
        self.relations: _Draft | None = None
        self.objects: dict[str, ObjectTag] = {}
        self.open: list[_Element] = [_Element()]
        self.position: Callable[[], tuple[int, int]]  # line and column, from 1, of the element that starts

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.open) > MAX_DEPTH:
            raise self._refusal(f"elements are nested more than {MAX_DEPTH} deep; flatten them")
        tag = tag.rpartition("}")[2]
        tag = _TAGS.get(tag.lower(), tag)
        attributes = {_ATTRIBUTES.get(name.lower(), name): value for name, value in attributes.items()}
        around = self.open[-1]
        conditions = around.conditions + _conditions(attributes)
        repeater = around.repeater
        if tag == "Repeater" and attributes.get("on"):
            repeater = Repeater(attributes["on"], attributes.get("indexFlag") or "{{idx}}", around.repeater)
        control, path = around.control, around.path
        name = attributes.get("name", "").strip()
        to_names = tuple(filter(None, (part.strip() for part in attributes.get("toName", "").split(","))))
        if tag in ("Choice", "Label") or (tag == "Relation" and control is self.relations):
            path = self._label(attributes, around)
        elif tag == "Bucket" and name and control is not None:
            control.labels.append(Label(name, path=(name,)))
            if attributes.get("default", "").lower() == "true":
                control.default_bucket = control.default_bucket or name
        elif tag == "Relations":
            # Its answers name no control, so its name is only used here.
            self.relations = self.relations or _Draft(_control_tag(tag, "relations", (), attributes, conditions, None))
            control, path = self.relations, ()
        elif name and to_names and tag not in _STRUCTURE_TAGS:
            if name in self.controls:
                raise self._refusal(f'a second control tag has name="{one_line(name)}"; give each a different name')
            control, path = _Draft(_control_tag(tag, name, to_names, attributes, conditions, repeater)), ()
            self.controls[name] = control
        value = attributes.get("valueList") or attributes.get("value")
        if tag in KNOWN_OBJECT_TAGS and name and value:
            if name in self.objects:
                raise self._refusal(f'a second object tag has name="{one_line(name)}"; give each a different name')
            self.objects[name] = ObjectTag(tag, name, value, attributes, repeater)
        series = name if tag == "TimeSeries" and name in self.objects else around.series
        if tag == "Channel" and series is not None and attributes.get("column"):
            series_tag = self.objects[series]
            channels = dict.fromkeys((*series_tag.channels, attributes["column"].strip()))
            self.objects[series] = msgspec.structs.replace(series_tag, channels=tuple(channels))
        self.open.append(_Element(control, path, conditions, repeater, series))

    def end(self, _tag: str) -> None:
        self.open.pop()

    def data(self, _text: str) -> None:
        """Ignore text between elements."""

    def close(self) -> None:
        """Do nothing: the tags are in `controls` and `objects`."""

    def _refusal(self, what: str) -> LabelingConfigError:
        return LabelingConfigError(what, self.position())

    def _label(self, attributes: dict[str, str], around: _Element) -> tuple[str, ...]:
        """Add a label to the control around it. Return the path for labels nested in it."""
        alias = attributes.get("alias") or None
        value = attributes.get("value") or alias
        if around.control is None or value is None:
            return around.path
        path = (*around.path, alias or value)
        predicted = tuple(filter(None, (part.strip() for part in attributes.get("predictedValues", "").split(","))))
        point = attributes.get("modelIndex", "").strip()
        if point:
            predicted = tuple(f"{name}::{point}" for name in predicted)
        around.control.labels.append(Label(value, alias, path, predicted))
        around.control.inner.add(around.path)
        return path


def _control_tag(
    tag: str,
    name: str,
    to_names: tuple[str, ...],
    attributes: dict[str, str],
    conditions: tuple[Condition, ...],
    repeater: Repeater | None,
) -> ControlTag:
    value = attributes.get("value", "")
    # Elsewhere, as in a TextArea, `value` is the control's initial content.
    takes_labels = tag in ("Choices", "Taxonomy") or tag.endswith("Labels")
    return ControlTag(
        tag=tag,
        name=name,
        to_names=to_names,
        attributes=attributes,
        options_value=value if takes_labels and value.startswith("$") else None,
        conditions=conditions,
        repeater=repeater,
    )


def _conditions(attributes: Mapping[str, str]) -> tuple[Condition, ...]:
    when = attributes.get("visibleWhen")
    named = any(name in attributes for name in ("whenChoiceValue", "whenLabelValue", "whenTagName", "whenRole"))
    if when is None:
        # Without visibleWhen, the other attributes only apply to controls that are asked for each region.
        if not named or attributes.get("perRegion", "").lower() != "true":
            return ()
        when = "region-selected"
    values = attributes.get("whenChoiceValue") or attributes.get("whenLabelValue") or ""
    return (
        Condition(when, attributes.get("whenTagName") or None, _parts(values), _parts(attributes.get("whenRole", ""))),
    )


def _parts(values: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in values.split(","))))


def _read(xml: str) -> _TagReader:
    """Return the reader with the tags of the XML. Raises LabelingConfigError."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import XMLParser

    reader = _TagReader()
    parser = XMLParser(target=reader, forbid_dtd=True)
    reader.position = lambda: (parser.parser.CurrentLineNumber, parser.parser.CurrentColumnNumber + 1)
    try:
        parser.feed(xml)
        parser.close()
    except ParseError as error:
        line, column = error.position
        what = advice_for(xml, error.code, line, column)
        raise LabelingConfigError(what, (line, column + 1)) from None
    except DefusedXmlException:
        line, column = line_and_column(xml, max(0, xml.find("<!DOCTYPE")))
        what = "a document type or entities (<!DOCTYPE ...>) are not allowed; remove them"
        raise LabelingConfigError(what, (line, column)) from None
    return reader
