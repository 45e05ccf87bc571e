"""A labeling config's XML as control tags, object tags and labels; and what its `$variables` mean for a task's data.

The XML is read as one stream of elements, so that a tree which a stranger sent is never built: 10,000 labels take
a few hundredths of a second.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from html.entities import html5
from typing import Any, Final
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import errors as expat

import msgspec

from lsml.errors import LabelingConfigError

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 100

# https://labelstud.io/tags: control tags, in the order of that page's groups.
KNOWN_CONTROL_TAGS: Final[tuple[str, ...]] = (
    # for the whole task
    *("Choices", "Taxonomy", "Rating", "Number", "DateTime", "TextArea", "Pairwise", "Ranker", "ChatMessage"),
    "ReactCode",
    # text
    *("Labels", "HyperTextLabels", "ParagraphLabels", "Relations"),
    # images
    *("Rectangle", "RectangleLabels", "Polygon", "PolygonLabels", "Ellipse", "EllipseLabels"),
    *("KeyPoint", "KeyPointLabels", "Brush", "BrushLabels", "Bitmask", "BitmaskLabels", "MagicWand"),
    *("Vector", "VectorLabels", "Cube", "CubeLabels", "OcrLabels"),
    # audio, video, time series
    *("TimelineLabels", "VideoRectangle", "VideoVector", "VideoVectorLabels", "TimeSeriesLabels"),
)
KNOWN_OBJECT_TAGS: Final[tuple[str, ...]] = (
    *("Text", "HyperText", "Paragraphs", "Image", "Audio", "AudioPlus", "Video", "TimeSeries"),
    *("Table", "List", "Chat", "Pdf", "ReactCode", "Object3D"),
)
# Tags that hold or style others; they answer nothing, whatever attributes they have (a Filter has name and toName).
_STRUCTURE_TAGS: Final = (
    *("View", "Header", "Style", "Collapse", "Panel", "Filter", "Shortcut", "Repeater"),
    *("Label", "Choice", "Bucket", "Channel", "Relation"),
)
# Label Studio's editor reads names in any case; here everything has one spelling.
_TAGS: Final = {tag.lower(): tag for tag in (*KNOWN_CONTROL_TAGS, *KNOWN_OBJECT_TAGS, *_STRUCTURE_TAGS)}
_ATTRIBUTES: Final = {
    name.lower(): name
    for name in (
        *("name", "toName", "value", "valueList", "valueType", "alias", "choice", "allowNested", "apiUrl"),
        *("leafsOnly", "maxUsages", "maxRating", "min", "max", "step", "perRegion", "perItem", "on", "indexFlag"),
        *("frameRate", "saveTextResult", "nameKey", "textKey", "predictedValues", "modelIndex", "smart", "smartOnly"),
        *("visibleWhen", "whenTagName", "whenChoiceValue", "whenLabelValue"),
    )
} | {"predicted_values": "predictedValues", "model_index": "modelIndex"}


class Label(msgspec.Struct, frozen=True):
    """One `<Choice>` or `<Label>`. `name` is what Label Studio stores and expects: the alias where there is one.

    `path` holds the names from the root down to this one, for nested choices and taxonomies. `leaf`: it has no
    labels below it. `predicted_values`: the class names of a pretrained model that mean it; of a point of a pose, which
    `model_index` numbers, `person::0`.
    """

    value: str
    alias: str | None = None
    path: tuple[str, ...] = ()
    predicted_values: tuple[str, ...] = ()
    leaf: bool = True

    @property
    def name(self) -> str:
        """What Label Studio stores: the alias, else the value."""
        return self.alias or self.value


class Condition(msgspec.Struct, frozen=True):
    """`visibleWhen` of a tag or of one around it: when annotators see the control."""

    when: str  # choice-selected, choice-unselected, region-selected, no-region-selected
    tag_name: str | None = None
    values: tuple[str, ...] = ()  # of whenChoiceValue or whenLabelValue


class Repeater(msgspec.Struct, frozen=True):
    """A `<Repeater>` around a tag: its names and values hold `index_flag`, one instance for each element of `on`."""

    on: str  # $images
    index_flag: str = "{{idx}}"
    outer: Repeater | None = None  # the Repeater around this one; `on` may hold its flag


class ObjectTag(msgspec.Struct, frozen=True):
    """What annotators are shown: `<Text name="text" value="$text"/>`. `value` is `valueList` where that is given."""

    tag: str
    name: str
    value: str
    attributes: dict[str, str] = {}
    repeater: Repeater | None = None


class ControlTag(msgspec.Struct, frozen=True):
    """Where annotators answer: `<Choices name="topic" toName="text">`."""

    tag: str
    name: str
    to_names: tuple[str, ...]
    labels: tuple[Label, ...] = ()
    attributes: dict[str, str] = {}
    options_value: str | None = None  # `value="$options"`: the labels come with each task
    conditions: tuple[Condition, ...] = ()
    repeater: Repeater | None = None

    @property
    def selector(self) -> str:
        """`Choices#topic`: how a recipe names exactly this tag."""
        return f"{self.tag}#{self.name}"

    @property
    def per_region(self) -> bool:
        """Whether it is asked for each region, not for the task."""
        return self.attributes.get("perRegion", "").lower() == "true"

    @property
    def per_item(self) -> bool:
        """Whether it is asked for each item of a list of images, not for the task."""
        return self.attributes.get("perItem", "").lower() == "true"

    @property
    def smart(self) -> bool:
        """Whether Label Studio asks the model about each region that a person makes with it."""
        return any(self.attributes.get(name, "").lower() == "true" for name in ("smart", "smartOnly"))


class LabelingConfig(msgspec.Struct, frozen=True):
    """A parsed labeling config. Tags are in document order; `digest` changes when the XML does."""

    xml: str
    controls: tuple[ControlTag, ...]
    objects: dict[str, ObjectTag]
    digest: str


def parse_labeling_config(xml: str) -> LabelingConfig:
    """The tags of a labeling config.

    A control tag is any element with a name and a toName, known or not; an object tag is a known one with a name and
    a value; everything else, such as HTML, is walked through. Names of tags and attributes are matched without regard
    to case. Two controls or two objects of one name are refused, as Label Studio does: their answers could not be
    told apart. An attribute counts for its own tag alone; only conditions and Repeaters reach down.

    Raises LabelingConfigError, one sentence with line and column, for what is not XML, has a DTD or entities, is
    larger than MAX_BYTES or deeper than MAX_DEPTH.
    """
    if not isinstance(xml, str):
        raise LabelingConfigError(f"labeling config: expected XML as text, got {type(xml).__name__}")
    try:
        encoded = xml.encode()
    except UnicodeEncodeError as error:
        line, column = _place(xml, error.start)
        raise LabelingConfigError(
            f"labeling config:{line}:{column}: half of a character (a lone surrogate); remove it or write it anew"
        ) from None
    if len(encoded) > MAX_BYTES:
        raise LabelingConfigError(
            f"labeling config: {len(encoded):,} bytes; expected at most {MAX_BYTES:,}: "
            'keep long lists of labels in the tasks and write value="$field"'
        )
    if not xml.strip():
        raise LabelingConfigError("labeling config: it is empty; expected XML such as <View>...</View>")
    reader = _read(xml)
    return LabelingConfig(
        xml=xml,
        controls=tuple(control.finished() for control in reader.controls.values()),
        objects=reader.objects,
        digest=hashlib.sha256(encoded).hexdigest(),
    )


class _Draft:
    """A control tag whose labels are still to come."""

    def __init__(self, tag: ControlTag) -> None:
        self.tag = tag
        self.labels: list[Label] = []
        self.inner: set[tuple[str, ...]] = set()  # paths that have labels below them

    def finished(self) -> ControlTag:
        labels = tuple(
            msgspec.structs.replace(label, leaf=False) if label.path in self.inner else label for label in self.labels
        )
        return msgspec.structs.replace(self.tag, labels=labels)


class _Element(msgspec.Struct, frozen=True):
    """What an open element hands down to the elements in it."""

    control: _Draft | None = None
    path: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    repeater: Repeater | None = None


class _Reader:
    """The target of the XML parser: sees every element start and end, keeps the open ones and the tags found."""

    def __init__(self) -> None:
        self.controls: dict[str, _Draft] = {}
        self.objects: dict[str, ObjectTag] = {}
        self.open: list[_Element] = [_Element()]
        self.position: Callable[[], tuple[int, int]]  # line and column, from 1, of the element that starts

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.open) > MAX_DEPTH:
            raise self._refusal(f"elements stand more than {MAX_DEPTH} deep in each other; flatten them")
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
        if tag in ("Choice", "Label"):
            path = self._label(attributes, around)
        elif name and to_names and tag not in _STRUCTURE_TAGS:
            if name in self.controls:
                raise self._refusal(f'a second control tag has name="{_short(name)}"; give each a name of its own')
            control, path = _Draft(_control_tag(tag, name, to_names, attributes, conditions, repeater)), ()
            self.controls[name] = control
        value = attributes.get("valueList") or attributes.get("value")
        if tag in KNOWN_OBJECT_TAGS and name and value:
            if name in self.objects:
                raise self._refusal(f'a second object tag has name="{_short(name)}"; give each a name of its own')
            self.objects[name] = ObjectTag(tag, name, value, attributes, repeater)
        self.open.append(_Element(control, path, conditions, repeater))

    def end(self, _tag: str) -> None:
        self.open.pop()

    def data(self, _text: str) -> None:
        """Text between elements says nothing about tags."""

    def close(self) -> None:
        """Nothing to finish: the tags are in `controls` and `objects`."""

    def _refusal(self, what: str) -> LabelingConfigError:
        line, column = self.position()
        return LabelingConfigError(f"labeling config:{line}:{column}: {what}")

    def _label(self, attributes: dict[str, str], around: _Element) -> tuple[str, ...]:
        """Add a label to the control around it; the path for the labels in it."""
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
    # Elsewhere, as in a TextArea, `value` is what the control shows at first.
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
    named = "whenChoiceValue" in attributes or "whenLabelValue" in attributes or "whenTagName" in attributes
    if when is None:
        # Without visibleWhen, the other attributes count for controls that are asked for each region.
        if not named or attributes.get("perRegion", "").lower() != "true":
            return ()
        when = "region-selected"
    values = attributes.get("whenChoiceValue") or attributes.get("whenLabelValue") or ""
    parts = tuple(filter(None, (part.strip() for part in values.split(","))))
    return (Condition(when, attributes.get("whenTagName") or None, parts),)


def _read(xml: str) -> _Reader:
    """The tags of the XML. Raises LabelingConfigError."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import XMLParser

    reader = _Reader()
    parser = XMLParser(target=reader, forbid_dtd=True)
    reader.position = lambda: (parser.parser.CurrentLineNumber, parser.parser.CurrentColumnNumber + 1)
    try:
        parser.feed(xml)
        parser.close()
    except ParseError as error:
        line, column = error.position
        what = _advice(xml, error.code, line, column)
        raise LabelingConfigError(f"labeling config:{line}:{column + 1}: {what}") from None
    except DefusedXmlException:
        line, column = _place(xml, max(0, xml.find("<!DOCTYPE")))
        what = "a document type or entities (<!DOCTYPE ...>) are not allowed; remove them"
        raise LabelingConfigError(f"labeling config:{line}:{column}: {what}") from None
    return reader


def _place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of an offset."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _short(text: str, limit: int = 60) -> str:
    """A stranger's text on one line and not long."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= limit else line[: limit - 3] + "..."


_EXPAT_CODES: Final = expat.codes


def _advice(xml: str, code: int, line: int, column: int) -> str:
    """What is wrong at a place of the XML, and what to do. `line` counts from 1, `column` from 0."""
    # The parser counts only \n as the end of a line, unlike str.splitlines.
    lines = xml.split("\n")
    text = lines[line - 1] if line <= len(lines) else ""
    here = text[column:]
    if code == _EXPAT_CODES[expat.XML_ERROR_UNDEFINED_ENTITY]:
        return _entity_advice("\n".join([here, *lines[line:]]))
    if code == _EXPAT_CODES[expat.XML_ERROR_INVALID_TOKEN]:
        if here.startswith("&") or re.search(r"&[#\w]*$", text[:column]):
            return "a bare & is not XML; write &amp;"
        if here.startswith("<"):
            return "a bare < is not XML; write &lt;, or close the quotation mark or tag before it"
        return f'not XML at "{_short(here, 30)}"; check quotation marks, = and brackets around it'
    if code == _EXPAT_CODES[expat.XML_ERROR_TAG_MISMATCH]:
        name = re.split(r"[\s>]", here, maxsplit=1)[0]
        return f"</{_short(name, 30)}> does not close the tag that was opened last; close tags in reverse order"
    if code == _EXPAT_CODES[expat.XML_ERROR_NO_ELEMENTS]:
        return "the XML ends too early; close every tag that was opened"
    if code == _EXPAT_CODES[expat.XML_ERROR_UNCLOSED_TOKEN]:
        return "a tag or a quotation mark that opens here is never closed; close it"
    if code == _EXPAT_CODES[expat.XML_ERROR_DUPLICATE_ATTRIBUTE]:
        return f"the attribute {_short(here.partition('=')[0].strip(), 30)} is given twice; remove one"
    if code == _EXPAT_CODES[expat.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]:
        return "something follows the end of the first tag; put everything into one <View>...</View>"
    if code == _EXPAT_CODES[expat.XML_ERROR_MISPLACED_XML_PI]:
        return "<?xml ...?> must be the very first thing; remove what stands before it"
    if code == _EXPAT_CODES[expat.XML_ERROR_SYNTAX]:
        return f'expected a tag, found "{_short(here, 30)}"; put everything into one <View>...</View>'
    return f"not XML ({expat.messages[code]}); correct it"


_XML_ENTITIES: Final = ("amp", "lt", "gt", "quot", "apos")
_ENTITY = re.compile(r"&([^;\s&<>#]+);")


def _entity_advice(here: str) -> str:
    # For an attribute's value the parser names the place of the whole tag.
    names = (match[1] for match in _ENTITY.finditer(here))
    name = next((name for name in names if name not in _XML_ENTITIES), "")
    characters = html5.get(f"{name};")
    if not characters:
        return f"&{_short(name)}; is not XML; write the character itself"
    written = "".join(f"&#{ord(character)};" for character in characters)
    return f"&{name}; is not XML; write {written}"


# ------------------------------------------------------------------------------------------------- task data

_WHOLE = re.compile(r"\$([^\s,$]+)")
_REFERENCE = re.compile(r"\$([^\W\d]\w*(?:\[\d+\]|\.\w+)*)")
_STEP = re.compile(r"[^.\[\]]+")


def resolve_value(template: str, data: Mapping[str, Any]) -> Any:
    """What a tag's `value` means for a task: `$text`, `$a.b`, `$items[0].text`, `Hello $name`, or literal text.

    A key of the data that is spelt like the whole reference comes first. A value that is one reference keeps its
    type; inside a text it becomes text. Raises KeyError with the name that the data lacks.
    """
    whole = _WHOLE.fullmatch(template)
    # A key may hold spaces and anything else.
    if template.startswith("$") and template[1:] in data:
        return data[template[1:]]
    reference = _REFERENCE.fullmatch(template)
    if reference:
        return _look_up(reference[1], data)
    try:
        text, found = _REFERENCE.subn(lambda match: _as_text(_look_up(match[1], data)), template)
    except KeyError:
        if whole:
            raise KeyError(whole[1]) from None
        raise
    if whole and not found:
        raise KeyError(whole[1])
    return text


def _look_up(name: str, data: Mapping[str, Any]) -> Any:
    if name in data:
        return data[name]
    value: Any = data
    for step in _STEP.findall(name):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise KeyError(name)
    return value


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def instances(
    control: ControlTag, object_tag: ObjectTag, data: Mapping[str, Any]
) -> list[tuple[ControlTag, ObjectTag]]:
    """A control and its object as they stand for a task: one pair for each element of a Repeater's `on`, in order.

    The index replaces the flag in names, values, attributes and conditions; the labels stay, for a model knows them
    before the task. Without a Repeater, one pair, as given. Raises KeyError with the name of `on`, where the data
    has no list of that name.
    """
    if control.repeater is None:
        return [(control, object_tag)]
    pairs = []
    for flags in _indices(control.repeater, data):
        pairs.append((_control_instance(control, flags), _object_instance(object_tag, flags)))
    return pairs


def _indices(repeater: Repeater, data: Mapping[str, Any]) -> list[dict[str, str]]:
    """What each flag stands for, once for each instance."""
    found = []
    for around in _indices(repeater.outer, data) if repeater.outer else [{}]:
        on = _replaced(repeater.on, around)
        elements = resolve_value(on, data)
        if not isinstance(elements, list):
            raise KeyError(on.removeprefix("$"))
        found += [{**around, repeater.index_flag: str(index)} for index in range(len(elements))]
    return found


def _replaced(text: str, flags: Mapping[str, str]) -> str:
    for flag, index in flags.items():
        text = text.replace(flag, index)
    return text


def _control_instance(control: ControlTag, flags: Mapping[str, str]) -> ControlTag:
    return msgspec.structs.replace(
        control,
        name=_replaced(control.name, flags),
        to_names=tuple(_replaced(name, flags) for name in control.to_names),
        attributes={name: _replaced(value, flags) for name, value in control.attributes.items()},
        options_value=None if control.options_value is None else _replaced(control.options_value, flags),
        conditions=tuple(
            msgspec.structs.replace(
                condition, tag_name=None if condition.tag_name is None else _replaced(condition.tag_name, flags)
            )
            for condition in control.conditions
        ),
        repeater=None,
    )


def _object_instance(object_tag: ObjectTag, flags: Mapping[str, str]) -> ObjectTag:
    return msgspec.structs.replace(
        object_tag,
        name=_replaced(object_tag.name, flags),
        value=_replaced(object_tag.value, flags),
        attributes={name: _replaced(value, flags) for name, value in object_tag.attributes.items()},
        repeater=None,
    )


# ------------------------------------------------------------------------------------------------- taxonomy paths

_SEPARATOR: Final = " / "
# A slash that could be mistaken for a separator: between spaces or the ends of a name. Backslashes before it count as
# part of it, so that one more of them marks it and one less restores it.
_LONE_SLASH = re.compile(r"(?<![^ ])(\\*)/(?![^ ])")
_MARKED_SLASH = re.compile(r"(?<![^ ])\\(\\*)/(?![^ ])")


def join_path(path: tuple[str, ...]) -> str:
    """A taxonomy path as one label, `Animals / Birds / Owl`; `split_path` restores it, whatever the names hold.

    A slash that stands alone in a name is written `\\/`. Raises ValueError for a path without names.
    """
    if not path:
        raise ValueError("a path needs at least one name")
    return _SEPARATOR.join(_LONE_SLASH.sub(r"\\\1/", name) for name in path)


def split_path(label: str) -> tuple[str, ...]:
    """The taxonomy path that `join_path` wrote as this label."""
    return tuple(_MARKED_SLASH.sub(r"\1/", name) for name in label.split(_SEPARATOR))
