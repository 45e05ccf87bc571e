"""Control tags by name, each in a file of its own: how values become regions, and regions values."""

from __future__ import annotations

from lsml.controls.base import Control
from lsml.controls.choices import Choices
from lsml.controls.labels import Labels
from lsml.controls.number import Number
from lsml.controls.rating import Rating
from lsml.controls.rectangle import Rectangle, RectangleLabels
from lsml.controls.taxonomy import Taxonomy

CONTROLS: dict[str, type[Control]] = {
    control.tag: control for control in (Choices, Taxonomy, Number, Rating, Labels, RectangleLabels, Rectangle)
}

__all__ = ["CONTROLS", "Choices", "Control", "Labels", "Number", "Rating", "Rectangle", "RectangleLabels", "Taxonomy"]
