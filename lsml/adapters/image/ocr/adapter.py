"""ocr: the lines of text in images, and the text of a region that a person drew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from lsml.adapters.base import Data, InteractiveAdapter, Target
from lsml.adapters.image.ocr.lines import Area, Line, Pixels, as_box, as_polygon, box_of, cut_out, polygon_of
from lsml.adapters.image.ocr.options import OcrOptions
from lsml.adapters.image.ocr.rapid import Rapid
from lsml.adapters.image.ocr.tesseract import Tesseract, absent
from lsml.errors import AdapterError
from lsml.labeling import ControlTag, ObjectTag
from lsml.values import Box, Polygon, Value
from lsml.wording import listed

_TEXT: Final = "text"  # the default label of a line, in any capitals


class Ocr(InteractiveAdapter[OcrOptions]):
    """Lines of text by a pretrained engine. It does not learn."""

    name: ClassVar[str] = "ocr"
    title: ClassVar[str] = "reads the lines of text in images, and the text in a smart rectangle"
    consumes: ClassVar[frozenset[str]] = frozenset({"Image", "Pdf"})
    produces: ClassVar[frozenset[type]] = frozenset({Box, Polygon})
    requires: ClassVar[tuple[str, ...]] = ("rapidocr", "onnxruntime", "pytesseract", "cv2")
    extra: ClassVar[str | None] = "ocr"
    licence: ClassVar[str | None] = "Apache-2.0 (rapidocr and its packaged PP-OCRv6 models; tesseract)"
    transcribes: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = OcrOptions

    @classmethod
    def refusal(cls, options: OcrOptions, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """Return that the label of lines is unknown, on a document on which nobody asks by drawing; or None."""
        labels = [label.name for label in control_tag.labels]
        if object_tag.tag != "Pdf" or _label(options, labels) is not None:
            return None
        return f"{control_tag.selector}: none of the labels is known to be that of a line of text; set one as options.label"

    @classmethod
    def lacks(cls, options: OcrOptions, target: Target) -> str | None:
        """Return what to do where the engine's program or model is missing on this machine."""
        if options.engine == "tesseract":
            return absent()
        if options.model is None or Path(options.model).is_file():
            return None
        return f"the model {options.model} is not on this machine; put the file there, or correct options.model"

    @classmethod
    def limits(cls, options: OcrOptions, target: Target, label_tags: Sequence[ControlTag]) -> str | None:
        """Return that it only reads regions of people, where the label of lines is unknown."""
        return _unlabelled(options, target)

    @property
    def own_names(self) -> bool:
        """False: its labels are those of the config."""
        return False

    @property
    def ready(self) -> bool:
        """True if its engine is on this machine."""
        return self.lacks(self.options, self.target) is None

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return every line of text in images (paths), from top to bottom, as a box where boxes are wanted, else as a
        polygon.

        Raises AdapterError where an image cannot be read, or the label of lines is unknown.
        """
        if not batch or not self.ready:
            return [[] for _ in batch]
        why = _unlabelled(self.options, self.target)
        if why is not None:
            raise AdapterError(f"{self.name} {why}")
        return [self._values(_read(path)) for path in batch]

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return the region that a person drew last, with its text; nothing where it already has a text, or shows none.

        Raises AdapterError where the image cannot be read.
        """
        drawn = [value for value in prompts if isinstance(value, Area)]
        if not drawn or drawn[-1].text or not self.ready:
            return []
        part = cut_out(_read(data), drawn[-1])
        read = None if part is None else self._engine.text(part)
        region = None if read is None else self._shape_of(drawn[-1])
        if read is None or region is None:
            return []
        return [msgspec.structs.replace(region, text=read[0], score=read[1])]

    @property
    def _engine(self) -> Rapid | Tesseract:
        options = self.options
        if options.engine == "tesseract":
            return Tesseract(options.languages)
        return Rapid(options)

    def _values(self, image: Pixels) -> list[Value]:
        height, width = image.shape[:2]
        values: list[Value] = []
        for line in self._engine.lines(image):
            value = self._value(line, width, height)
            if value is not None:
                values.append(value)
        return values

    @property
    def _kinds(self) -> dict[str, tuple[str, ...]]:
        """The labels of each wanted kind."""
        return self.target.kinds or {"box": self.target.labels}

    def _value(self, line: Line, width: int, height: int) -> Box | Polygon | None:
        kinds = self._kinds
        if "box" in kinds:
            return box_of(line, _label(self.options, kinds["box"]) or "", width, height)
        return polygon_of(line, _label(self.options, kinds["polygon"]) or "", width, height)

    def _shape_of(self, region: Area) -> Box | Polygon | None:
        """Return the same region in a wanted kind; None where that kind does not have its label."""
        kinds = self._kinds
        kind = "polygon" if "box" not in kinds or (isinstance(region, Polygon) and "polygon" in kinds) else "box"
        if kinds[kind] and region.label not in kinds[kind]:
            return None
        return as_box(region) if kind == "box" else as_polygon(region)


def _label(options: OcrOptions, labels: Sequence[str]) -> str | None:
    """Return the label of lines; "" where there are no labels, None where it is unknown."""
    if not labels:
        return ""
    named = _TEXT if options.label is None else options.label
    if named in labels:
        return named
    if options.label is None and len(labels) == 1:
        return labels[0]
    return next((label for label in labels if label.casefold() == named.casefold()), None)


def _unlabelled(options: OcrOptions, target: Target) -> str | None:
    """Return that the label of lines is unknown, in a sentence that follows the adapter's name; or None."""
    wanted = [labels for kind, labels in target.kinds.items() if kind == "box"] or list(target.kinds.values())
    if all(_label(options, labels) is not None for labels in wanted):
        return None
    named = "none of the labels is known to be" if options.label is None else f"there is no label `{options.label}`, as"
    return (
        f"only reads smart rectangles, because {named} that of a line of text; set one as options.label: "
        f"{listed(target.labels, 8)}"
    )


def _read(path: Path) -> Pixels:
    """Return an image as (rows, columns, 3), in the order BGR, on white where it is transparent.

    EXIF orientation was applied before.
    """
    import cv2
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            clear = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            if clear:
                layered = image.convert("RGBA")
                white = Image.new("RGBA", layered.size, "white")
                flat = Image.alpha_composite(white, layered).convert("RGB")
            else:
                flat = image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise AdapterError(f"{Path(path).name}: is not a readable image") from error
    return cv2.cvtColor(np.asarray(flat), cv2.COLOR_RGB2BGR)
