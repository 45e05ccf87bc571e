"""Values, which adapters and control tags exchange, and the geometry that compares shapes. In and out: values."""

from __future__ import annotations

from lsml.values.kinds import (
    VALUE_TYPES,
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

__all__ = [
    "VALUE_TYPES",
    "Box",
    "Choice",
    "DecidedSpans",
    "Ellipse",
    "Interval",
    "KeyPoint",
    "Keyframe",
    "Marked",
    "Mask",
    "Number",
    "Polygon",
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
