"""Settings of `ocr`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS


class OcrOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `ocr`."""

    engine: Annotated[
        Literal["rapidocr", "tesseract"],
        Meta(
            description="The engine: `rapidocr`, whose package holds its models (PP-OCRv6: Chinese, Japanese, English and most "
            "languages in Latin letters, without a setting), or `tesseract`, a program that must be on this machine.",
            extra=PREDICTIONS,
        ),
    ] = "rapidocr"
    languages: Annotated[
        tuple[Annotated[str, Meta(pattern="^[A-Za-z0-9_/]+$")], ...],
        Meta(
            min_length=1,
            description="For tesseract only: the languages to expect, as `tesseract --list-langs` names them, such as "
            "[eng, deu].",
            extra=PREDICTIONS,
        ),
    ] = ("eng",)
    label: Annotated[
        str | None,
        Meta(
            description="The label for lines of text; by default `Text`, or the only label.",
            extra=PREDICTIONS,
        ),
    ] = None
    confidence: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="For rapidocr only: the least score of a place that it reads. The recipe's `threshold` then judges the "
            "text.",
            extra=PREDICTIONS,
        ),
    ] = 0.5
    model: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="For rapidocr only: an ONNX file, relative to the recipe's, of another PP-OCR model that reads lines, "
            "for languages that the packaged one does not know, such as Korean or Russian.",
            extra={**PREDICTIONS, "file": True},
        ),
    ] = None
    size: Annotated[
        int,
        Meta(
            ge=320,
            le=8000,
            description=(
                "The longer side, in pixels, to which rapidocr shrinks a larger image; a smaller value is faster and "
                "reads less."
            ),
            extra=PREDICTIONS,
        ),
    ] = 2000
    threads: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | None,
        Meta(description="The number of cores that rapidocr uses for one image; by default all.", extra=MACHINE),
    ] = None
