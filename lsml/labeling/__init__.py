"""A labeling config and a task's data under it. In: XML and tasks; out: tags, and a view of each object tag's data."""

from __future__ import annotations

from lsml.labeling.config import parse_labeling_config
from lsml.labeling.paths import join_path, split_path
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
from lsml.labeling.tasks import AnnotatedTask, Annotation
from lsml.labeling.variables import instances, resolve_value

__all__ = [
    "KNOWN_CONTROL_TAGS",
    "KNOWN_OBJECT_TAGS",
    "AnnotatedTask",
    "Annotation",
    "Condition",
    "ControlTag",
    "Label",
    "LabelingConfig",
    "ObjectTag",
    "Repeater",
    "instances",
    "join_path",
    "parse_labeling_config",
    "resolve_value",
    "split_path",
]
