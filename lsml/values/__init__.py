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
    Scored,
    Shape,
    Span,
    Text,
    Track,
    Value,
    kind_of,
    label_of,
)

__all__ = [
    "VALUE_TYPES",
    "Box",
    "Choice",
    "DecidedSpans",
    "Ellipse",
    "Interval",
    "KeyPoint",
    "Keyframe",
    "Mask",
    "Number",
    "Polygon",
    "Scored",
    "Shape",
    "Span",
    "Text",
    "Track",
    "Value",
    "kind_of",
    "label_of",
]
