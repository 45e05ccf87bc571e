"""Versions: saved models on disk, checked and loaded. In: a folder and a card; out: adapters that are ready."""

from __future__ import annotations

from lsml.versions.versions import (
    Card,
    Loaded,
    ModelCard,
    Shared,
    adopt,
    card_of,
    check_files,
    learnt_marks,
    load_promoted,
    load_version,
    mark,
    misfits,
    model_version,
    new_folder,
    publish,
    start,
    sweep_attempt,
    sweep_folders,
)

__all__ = [
    "Card",
    "Loaded",
    "ModelCard",
    "Shared",
    "adopt",
    "card_of",
    "check_files",
    "learnt_marks",
    "load_promoted",
    "load_version",
    "mark",
    "misfits",
    "model_version",
    "new_folder",
    "publish",
    "start",
    "sweep_attempt",
    "sweep_folders",
]
