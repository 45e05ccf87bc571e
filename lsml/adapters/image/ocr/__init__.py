"""ocr: text recognition in images, by rapidocr's packaged models or by tesseract."""

from __future__ import annotations

from lsml.adapters.image.ocr.adapter import Ocr

__all__ = ["Ocr"]
