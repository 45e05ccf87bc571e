"""A recipe fitted to a labeling config. In: a recipe and a config; out: a Binding that reads, writes and learns."""

from __future__ import annotations

from lsml.binding.bind import Binding, BoundModel, Reading, bind, control_of, regions_of

__all__ = [
    "Binding",
    "BoundModel",
    "Reading",
    "bind",
    "control_of",
    "regions_of",
]
