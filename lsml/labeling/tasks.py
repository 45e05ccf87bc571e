"""Annotated tasks: what people answered, as every way in hands it to a snapshot."""

from __future__ import annotations

from typing import Any

import msgspec


class Annotation(msgspec.Struct, frozen=True):
    """A person's regions for a task. Skipped ones are never made into this."""

    id: str
    result: list[Any]
    updated_at: str = ""
    ground_truth: bool = False


class AnnotatedTask(msgspec.Struct, frozen=True):
    """A task's data and its annotations, oldest first."""

    id: str
    data: dict[str, Any]
    annotations: tuple[Annotation, ...]
