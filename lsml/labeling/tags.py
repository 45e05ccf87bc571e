"""The content of a labeling config: control tags, object tags, labels, conditions and Repeaters."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import msgspec

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
# Label Studio's editor sends drawings of these to no model, smart or not; docs/smart-tools.md gives the reason.
_SILENT_TAGS: Final = frozenset(
    {
        *("Brush", "BrushLabels", "Bitmask", "BitmaskLabels", "MagicWand", "Polygon", "PolygonLabels"),
        *("Ellipse", "EllipseLabels", "Vector", "VectorLabels"),
    }
)


class Label(msgspec.Struct, frozen=True):
    """One `<Choice>` or `<Label>`. `name` is the name that Label Studio stores: the alias where there is one.

    `path` holds the names from the root down to this one, for nested choices and taxonomies. `leaf`: it has no labels
    below it. `predicted_values`: the class names of a pretrained model for this label; `person::0` is the point that
    `model_index` numbers in a pose. `was`: former names, or paths of a tree, from the recipe.
    """

    value: str
    alias: str | None = None
    path: tuple[str, ...] = ()
    predicted_values: tuple[str, ...] = ()
    leaf: bool = True
    was: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name that Label Studio stores: the alias, else the value."""
        return self.alias or self.value


class Condition(msgspec.Struct, frozen=True):
    """`visibleWhen` of a tag or of one around it: the condition under which annotators see the control."""

    when: str  # choice-selected, choice-unselected, region-selected, no-region-selected
    tag_name: str | None = None
    values: tuple[str, ...] = ()  # of whenChoiceValue or whenLabelValue
    roles: tuple[str, ...] = ()  # of whenRole: those of a chat's messages


class Repeater(msgspec.Struct, frozen=True):
    """A `<Repeater>` around a tag: its names and values hold `index_flag`, one instance for each element of `on`."""

    on: str  # $images
    index_flag: str = "{{idx}}"
    outer: Repeater | None = None  # the Repeater around this one; `on` may hold its flag


class ObjectTag(msgspec.Struct, frozen=True, dict=True):
    """A tag that shows data to annotators: `<Text name="text" value="$text"/>`. `value` is `valueList` where that is
    given.

    `channels`: the columns that the `<Channel>`s of a `<TimeSeries>` name.
    """

    tag: str
    name: str
    value: str
    attributes: dict[str, str] = {}
    repeater: Repeater | None = None
    channels: tuple[str, ...] = ()

    @cached_property
    def field(self) -> str | None:
        """The field of a task that the value names alone, without its `$`; None for any other value."""
        return self.value[1:] if self.value.startswith("$") else None

    @cached_property
    def behind_url(self) -> bool:
        """True if the task holds a URL, and annotators see the content behind it."""
        return self.attributes.get("valueType", "").lower() == "url"

    @cached_property
    def saves_text(self) -> bool:
        """True if regions repeat their text. By default Label Studio leaves it out for a text behind a URL."""
        chosen = self.attributes.get("saveTextResult", "none").lower()
        if self.tag == "Paragraphs":
            return chosen != "no"
        return chosen == "yes" or (chosen != "no" and not self.behind_url)


class ControlTag(msgspec.Struct, frozen=True):
    """A tag in which annotators answer: `<Choices name="topic" toName="text">`."""

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
        """The name of exactly this tag in a recipe: `Choices#topic`."""
        return f"{self.tag}#{self.name}"

    @property
    def per_region(self) -> bool:
        """True if it is asked for each region, not for the task."""
        return self.attributes.get("perRegion", "").lower() == "true"

    @property
    def per_item(self) -> bool:
        """True if it is asked for each item of a list of images, not for the task."""
        return self.attributes.get("perItem", "").lower() == "true"

    @property
    def smart(self) -> bool:
        """True if the config wants the model to answer each region that a person makes with it."""
        return any(self.attributes.get(name, "").lower() == "true" for name in ("smart", "smartOnly"))

    @property
    def asks(self) -> bool:
        """True if it is smart, and Label Studio really asks the model about each region that a person makes with it."""
        return self.smart and self.tag not in _SILENT_TAGS


class LabelingConfig(msgspec.Struct, frozen=True):
    """A parsed labeling config. Tags are in document order; `digest` changes when the XML does."""

    xml: str
    controls: tuple[ControlTag, ...]
    objects: dict[str, ObjectTag]
    digest: str
