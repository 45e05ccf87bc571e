"""Control tags by name, each in a file of its own: how values become regions, and regions values."""

from __future__ import annotations

from lsml.controls.base import Control
from lsml.controls.choices import Choices
from lsml.controls.ellipse import Ellipse, EllipseLabels
from lsml.controls.hypertext_labels import HyperTextLabels
from lsml.controls.keypoint import KeyPoint, KeyPointLabels
from lsml.controls.labels import Labels
from lsml.controls.mask import Bitmask, BitmaskLabels, Brush, BrushLabels
from lsml.controls.number import Number
from lsml.controls.paragraph_labels import ParagraphLabels
from lsml.controls.polygon import Polygon, PolygonLabels
from lsml.controls.rating import Rating
from lsml.controls.rectangle import Rectangle, RectangleLabels
from lsml.controls.taxonomy import Taxonomy
from lsml.controls.textarea import TextArea
from lsml.controls.video_rectangle import VideoRectangle

_ALL: tuple[type[Control], ...] = (
    *(Choices, Taxonomy, Number, Rating, TextArea),
    *(Labels, HyperTextLabels, ParagraphLabels),
    *(RectangleLabels, Rectangle, PolygonLabels, Polygon, EllipseLabels, Ellipse, KeyPointLabels, KeyPoint),
    *(BrushLabels, Brush, BitmaskLabels, Bitmask),
    VideoRectangle,
)
CONTROLS: dict[str, type[Control]] = {control.tag: control for control in _ALL}

__all__ = ["CONTROLS", "Control"]
