"""A model whose adapter cross-validation chose, as if the recipe named that adapter alone."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from lsml.adapters.base import Adapter
from lsml.binding.auto import Auto, class_of
from lsml.binding.model import BoundModel
from lsml.recipe import Use


def settled(model: BoundModel, adapter: Adapter) -> BoundModel:
    """Return a model as if the recipe named the adapter that cross-validation chose; the model itself without a choice."""
    if isinstance(adapter, Auto) and adapter.selection is not None:
        return _with(model, adapter.candidate(adapter.selection.chosen).use)
    return model


def fits(model: BoundModel, fingerprint: str) -> bool:
    """Return True if a model that was saved with this fingerprint still fits."""
    possible = [_with(model, use) for use in model.spec.candidates] or [model]
    return fingerprint in [one.fingerprint for one in possible]


def _with(model: BoundModel, use: Use) -> BoundModel:
    spec = msgspec.structs.replace(
        model.spec, adapter=use.adapter, options=use.options, secret_options=use.secret_options, candidates=()
    )
    return replace(model, spec=spec, adapter_class=class_of(spec))
