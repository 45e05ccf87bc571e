"""rapidocr with its packaged models: PP-OCRv6 finds lines of text, turns them upright and reads them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.adapters.image.ocr.lines import Line, Pixels, joined, not_thin, shrunk, with_margin
from lsml.adapters.image.ocr.options import OcrOptions
from lsml.errors import AdapterError

if TYPE_CHECKING:
    from rapidocr import RapidOCR


_LONGEST: Final = 100  # the width of a line through its height; memory grows with it
_LEAST: Final = 320  # pixels; the detector enlarges smaller images many times, which takes long


class Rapid:
    """Lines and texts by rapidocr. Several threads may ask at once."""

    def __init__(self, options: OcrOptions) -> None:
        self._size = options.size
        self._library = _library(options.size, options.threads, options.confidence, options.model)

    def lines(self, image: Pixels) -> list[Line]:
        """Return the lines of an image, from top to bottom."""
        import numpy as np

        shown, back = not_thin(image, self._size)
        found = self._library(shown)
        if found.boxes is None or found.txts is None:
            return []
        high, wide = image.shape[:2]
        return [
            Line(text, min(1.0, max(0.0, float(score))), np.clip(np.c_[corners, np.ones(4)] @ back, 0, [wide, high]))
            for text, score, corners in zip(found.txts, found.scores, found.boxes, strict=True)
            if text.strip()
        ]

    def text(self, image: Pixels) -> tuple[str, float] | None:
        """Return (text, score) of a small image, or None: its lines, and where none are found, the whole image as one line."""
        image = shrunk(image, self._size)
        found = joined(self.lines(with_margin(image, _LEAST)))
        if found is not None or image.shape[1] > _LONGEST * image.shape[0]:
            return found
        upright = self._library.cls_and_rotate([image])[0]
        read = self._library.recognize_txt(upright)
        text, score = (read.txts[0].strip(), float(read.scores[0])) if read.txts else ("", 0.0)
        return (text, min(1.0, max(0.0, score))) if text else None


def _check_letters(model: str) -> None:
    """Raise AdapterError unless a file is a model that reads lines and says which letters it knows.

    rapidocr would download the letters of a model that does not say them.
    """
    import onnxruntime

    try:
        facts = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_modelmeta()
    except Exception as error:  # onnxruntime has no common class for what it raises
        raise AdapterError(f"{Path(model).name} cannot be read as an ONNX model; correct options.model") from error
    if "character" not in facts.custom_metadata_map:
        raise AdapterError(
            f"{Path(model).name} does not hold the letters that it reads; set options.model to a PP-OCR model for reading "
            "lines, as rapidocr publishes it"
        )


@lru_cache(maxsize=4)
def _library(size: int, threads: int | None, confidence: float, model: str | None) -> RapidOCR:
    """Return a RapidOCR that equal models share. Raises AdapterError where it lacks a model; none is downloaded."""
    import rapidocr

    folder = Path(rapidocr.__file__).parent / "models"
    params: dict[str, object] = {
        "Global.text_score": 0.0,  # the recipe's threshold decides
        "Global.max_side_len": size,
        "Det.box_thresh": confidence,
        "Global.log_level": "critical",
        "EngineConfig.onnxruntime.intra_op_num_threads": -1 if threads is None else threads,
    }
    for part in ("det", "cls", "rec"):
        found = sorted(folder.glob(f"*_{part}_*.onnx"))
        if len(found) != 1:
            raise AdapterError(
                f"rapidocr's package holds {len(found)} models of the kind `{part}`, and one is expected; "
                'pip install --force-reinstall "rapidocr>=3.10"'
            )
        params[f"{part.capitalize()}.model_path"] = str(found[0])
    if model is not None:
        _check_letters(model)
        params["Rec.model_path"] = model
    library = rapidocr.RapidOCR(params=params)
    # Loaded now, so that two threads do not load it at once.
    library._load_det_model()
    library._load_cls_model()
    library._load_rec_model()
    return library
