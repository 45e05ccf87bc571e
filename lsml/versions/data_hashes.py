"""Hashes of the data that a model learnt, so that it is never judged on that data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from lsml.labeling.needed import without_regions
from lsml.versions.card import ModelCard

_HASH_BYTES = 8


def data_hash(data: Mapping[str, object]) -> bytes:
    """Return eight bytes that stand for a task's data, whatever its id."""
    return hashlib.sha256(msgspec.json.encode(without_regions(data), order="sorted")).digest()[:_HASH_BYTES]


def learnt_hashes(folder: Path, model: ModelCard) -> set[bytes]:
    """Return the hashes of all data that a saved model learnt."""
    if not model.learnt:
        return set()
    content = (folder / model.learnt).read_bytes()
    return {content[start : start + _HASH_BYTES] for start in range(0, len(content), _HASH_BYTES)}
