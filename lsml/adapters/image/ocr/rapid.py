"""rapidocr with its packaged models: PP-OCRv6 finds lines of text, turns them upright and reads them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.adapters.image.ocr.lines import Line, Pixels, joined, with_margin
from lsml.errors import AdapterError

if TYPE_CHECKING:
    from rapidocr import RapidOCR


_LEAST: Final = 320  # pixels; the detector enlarges smaller images many times, which takes long


class Rapid:
    """Lines and texts by rapidocr. Several threads may ask at once."""

    def __init__(self, size: int, threads: int | None) -> None:
        self._library = _library(size, threads)

    def lines(self, image: Pixels) -> list[Line]:
        """Return the lines of an image, from top to bottom."""
        found = self._library(image)
        if found.boxes is None or found.txts is None:
            return []
        return [
            Line(text, min(1.0, max(0.0, float(score))), corners)
            for text, score, corners in zip(found.txts, found.scores, found.boxes, strict=True)
            if text.strip()
        ]

    def text(self, image: Pixels) -> tuple[str, float] | None:
        """Return (text, score) of a small image, or None: its lines, and where none are found, the whole image as one line."""
        found = joined(self.lines(with_margin(image, _LEAST)))
        if found is not None:
            return found
        upright = self._library.cls_and_rotate([image])[0]
        read = self._library.recognize_txt(upright)
        text, score = (read.txts[0].strip(), float(read.scores[0])) if read.txts else ("", 0.0)
        return (text, min(1.0, max(0.0, score))) if text else None


@lru_cache(maxsize=4)
def _library(size: int, threads: int | None) -> RapidOCR:
    """Return a RapidOCR that equal models share. Raises AdapterError where its package lacks a model; none is downloaded."""
    import rapidocr

    folder = Path(rapidocr.__file__).parent / "models"
    params: dict[str, object] = {
        "Global.text_score": 0.0,  # the recipe's threshold decides
        "Global.max_side_len": size,
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
    library = rapidocr.RapidOCR(params=params)
    # Loaded now, so that two threads do not load it at once.
    library._load_det_model()
    library._load_cls_model()
    library._load_rec_model()
    return library
