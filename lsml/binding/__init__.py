"""A recipe fitted to a labeling config. In: a recipe and a config; out: a Binding that reads, writes and learns."""

from __future__ import annotations

from lsml.binding.auto import Auto, Selection
from lsml.binding.bind import Binding, bind
from lsml.binding.learn import LeftOut, Tally, Taught, sentences
from lsml.binding.model import BoundModel, Reading, as_configured
from lsml.binding.prompts import control_of, regions_of
from lsml.binding.settled import fits, settled

__all__ = [
    "Auto",
    "Binding",
    "BoundModel",
    "LeftOut",
    "Reading",
    "Selection",
    "Tally",
    "Taught",
    "as_configured",
    "bind",
    "control_of",
    "fits",
    "regions_of",
    "sentences",
    "settled",
]
