"""Versions: saved models on disk, checked and loaded. In: a folder and a card; out: loaded adapters."""

from __future__ import annotations

from lsml.versions.card import Card, ModelCard, card_of, model_version, names_of, short_key
from lsml.versions.decisions import ENOUGH, By, Comparison, Decision, LabelComparison, Why
from lsml.versions.drift import Alert, Drift
from lsml.versions.folders import adopt, new_folder, save_version, sweep_attempt, sweep_folders
from lsml.versions.loading import (
    Loaded,
    Shared,
    binding_of,
    check_files,
    load_promoted,
    load_version,
    misfits,
    start,
    unlike,
)
from lsml.versions.marks import learnt_marks, mark

__all__ = [
    "ENOUGH",
    "Alert",
    "By",
    "Card",
    "Comparison",
    "Decision",
    "Drift",
    "LabelComparison",
    "Loaded",
    "ModelCard",
    "Shared",
    "Why",
    "adopt",
    "binding_of",
    "card_of",
    "check_files",
    "learnt_marks",
    "load_promoted",
    "load_version",
    "mark",
    "misfits",
    "model_version",
    "names_of",
    "new_folder",
    "save_version",
    "short_key",
    "start",
    "sweep_attempt",
    "sweep_folders",
    "unlike",
]
