"""Values, which adapters and control tags exchange, and the geometry that compares shapes. In and out: values."""

from __future__ import annotations

from lsml.values.kinds import (
    UNPICKED,
    VALUE_TYPES,
    AssignedValues,
    Box,
    Choice,
    DecidedSpans,
    Ellipse,
    Interval,
    Keyframe,
    KeyPoint,
    Mask,
    Number,
    Polygon,
    Ranking,
    Relation,
    Scored,
    Shape,
    Span,
    Text,
    Track,
    Value,
    kind_of,
    label_of,
)
from lsml.values.marked import Marked
from lsml.values.moments import Moment

__all__ = [
    "UNPICKED",
    "VALUE_TYPES",
    "AssignedValues",
    "Box",
    "Choice",
    "DecidedSpans",
    "Ellipse",
    "Interval",
    "KeyPoint",
    "Keyframe",
    "Marked",
    "Mask",
    "Moment",
    "Number",
    "Polygon",
    "Ranking",
    "Relation",
    "Scored",
    "Shape",
    "Span",
    "Text",
    "Track",
    "Value",
    "kind_of",
    "label_of",
]
