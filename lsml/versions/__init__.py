"""Versions: saved models on disk, checked and loaded. In: a folder and a card; out: loaded adapters."""

from __future__ import annotations

from lsml.versions.card import Card, Ceiling, ModelCard, card_of, model_version, names_of, short_key
from lsml.versions.data_hashes import data_hash, learnt_hashes
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

__all__ = [
    "ENOUGH",
    "Alert",
    "By",
    "Card",
    "Ceiling",
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
    "data_hash",
    "learnt_hashes",
    "load_promoted",
    "load_version",
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
