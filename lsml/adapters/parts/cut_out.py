"""The common part of adapters that cut an object out of an image where a person marked it, and the shapes of its pixels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, Data, InteractiveAdapter, Prompted
from lsml.adapters.parts.drawn import Drawn, drawn_objects, unmarked
from lsml.values import Box, Ellipse, Mask, Polygon, Value

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    OptionsT = TypeVar("OptionsT", bound="CutOutOptions", default="CutOutOptions")
else:
    from typing import TypeVar

    OptionsT = TypeVar("OptionsT")

_RADIUS: Final = 0.5  # of a side: the largest radius of an ellipse, that of one which fills the image

Pixels = Any  # an array (rows, columns) of booleans, or (rows, columns, 3) of an image


class Cut(NamedTuple):
    """The pixels of one object, (rows, columns) of booleans, and how sure the model is of them, if it says so."""

    pixels: Pixels
    score: float | None = None


class CutOutOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of every adapter that cuts out objects."""

    simplify: Annotated[
        float,
        Meta(
            ge=0,
            le=0.1,
            description="The largest error of a polygon, as a share of its outline's length (a pixel always).",
            extra=PREDICTIONS,
        ),
    ] = 0.004


class CutOut(InteractiveAdapter[OptionsT]):
    """The mask, outline, ellipse or box of an object that a person marks with a box or with points."""

    consumes: ClassVar[frozenset[str]] = frozenset({"Image"})
    produces: ClassVar[frozenset[type]] = frozenset({Mask, Polygon, Ellipse, Box})
    only_interactive: ClassVar[bool] = True
    takes_prompts: ClassVar[bool] = True

    @abstractmethod
    def cut(self, path: Path, objects: Sequence[Drawn]) -> Sequence[Cut | None]:
        """Return the pixels of each object in an image; None where there is nothing. Raises AdapterError."""

    @property
    def own_names(self) -> bool:
        """False: its labels are those of the prompts."""
        return False

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return the objects that other models ask for; nothing where nobody asks."""
        return [self.respond(one, one.prompts) if isinstance(one, Prompted) else [] for one in batch]

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return the shapes of each object that is asked for, in the order of `drawn_objects`.

        Raises AdapterError where the image cannot be read.
        """
        path = data.data if isinstance(data, Prompted) else data
        asked = [(one, labels) for one in drawn_objects(prompts) if (labels := self._labels(one.label))]
        if not asked:
            return []
        found: list[Value] = []
        for (_, labels), cut in zip(asked, self.cut(path, [one for one, _ in asked]), strict=True):
            if cut is not None and cut.pixels.any():
                found += _shapes(cut, labels, self.options.simplify)
        # Who drew a box tightly has it already; a painted mask asks for a better one.
        return unmarked(found, [prompt for prompt in prompts if isinstance(prompt, Box)])

    def _labels(self, label: str) -> dict[str, str]:
        """Return the label of each wanted kind: the prompt's, or the only one that the kind has."""
        labels: dict[str, str] = {}
        for kind, names in self.target.kinds.items():
            if label in names or not names:
                labels[kind] = label if names else ""
            elif len(names) == 1:
                labels[kind] = names[0]
        return labels


def _shapes(cut: Cut, labels: Mapping[str, str], simplify: float) -> list[Value]:
    """Return the shapes of an object, one for each kind in `labels`."""
    from lsml.values.geometry import outlines_of_pixels, patch_of_pixels

    pixels, score = cut
    rows, columns = pixels.shape
    aspect = columns / rows
    values: list[Value] = []
    if "mask" in labels:
        values.append(Mask.from_pixels(pixels, labels["mask"], score=score, aspect=aspect))
    if "polygon" in labels:
        # Points may be on several parts; a polygon has one outline, that of the largest.
        outlines = outlines_of_pixels(pixels, simplify)[:1]
        values += [Polygon(labels["polygon"], score, aspect=aspect, points=outline) for outline in outlines]
    if "ellipse" in labels:
        values += _ellipse(pixels, labels["ellipse"], score)
    if "box" in labels:
        top, left, patch = patch_of_pixels(pixels)
        high, wide = patch.shape
        x, y, width, height = left / columns, top / rows, wide / columns, high / rows
        values.append(Box(labels["box"], score, aspect=aspect, x=x, y=y, width=width, height=height))
    return values


def _ellipse(pixels: Pixels, label: str, score: float | None) -> list[Value]:
    """Return the ellipse with the same centre and second moments as the pixels; none where they are a line or less."""
    import numpy as np

    rows, columns = pixels.shape
    ys, xs = np.nonzero(pixels)
    if len(xs) < 3:
        return []
    spread = np.cov(np.stack([xs, ys]).astype(np.float64))
    lengths, directions = np.linalg.eigh(spread)
    if lengths[0] <= 0:
        return []
    # A filled ellipse has a variance of a quarter of its squared radius along each axis.
    minor, major = 2.0 * np.sqrt(lengths)
    angle = float(np.rad2deg(np.arctan2(directions[1, 1], directions[0, 1]))) % 180.0
    return [
        Ellipse(
            label, score, aspect=columns / rows, x=float(xs.mean() + 0.5) / columns, y=float(ys.mean() + 0.5) / rows,
            radius_x=min(_RADIUS, float(major / columns)), radius_y=min(_RADIUS, float(minor / rows)), rotation=angle,
        )
    ]  # fmt: skip
