"""A recipe fitted to a labeling config. In: a recipe and a config; out: a Binding that reads, writes and learns."""

from __future__ import annotations

from lsml.binding.bind import Binding, bind
from lsml.binding.learn import LeftOut, Tally, Taught, sentences
from lsml.binding.model import BoundModel, Reading
from lsml.binding.prompts import control_of, regions_of

__all__ = [
    "Binding",
    "BoundModel",
    "LeftOut",
    "Reading",
    "Tally",
    "Taught",
    "bind",
    "control_of",
    "regions_of",
    "sentences",
]
