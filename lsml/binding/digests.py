"""Digests of the options and tags that decide predictions or training; they are the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from lsml.adapters.base import option_facts
from lsml.files.digests import content_digest
from lsml.recipe import Model


def prediction_options(options: msgspec.Struct) -> dict[str, object]:
    """Return the options that decide predictions; others must not change a model's version."""
    metas = option_facts(type(options))
    return {name: value for name, value in portable(options).items() if metas[name].get("decides") == "predictions"}


def portable(options: msgspec.Struct) -> dict[str, Any]:
    """Return options as plain data that is the same on another machine: a file counts by its content, not by its path."""
    plain: dict[str, Any] = msgspec.to_builtins(options)
    for name, meta in option_facts(type(options)).items():
        if meta.get("file") and plain.get(name) and Path(plain[name]).exists():
            plain[name] = content_digest(Path(plain[name]))
    return plain


def options_of(spec: Model, read: Callable[[msgspec.Struct], object]) -> object:
    """Return the result of `read` for a model's options, or for those of each candidate of `auto`."""
    if not spec.candidates:
        return read(spec.options)
    return [[use.adapter, read(use.options)] for use in spec.candidates]


def digest(plain: object) -> str:
    """Return the SHA-256 of plain data, whatever the order of its keys."""
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()
