"""tesseract, a program of its own, through pytesseract."""

from __future__ import annotations

import shutil
from functools import cache

from lsml.adapters.image.ocr.lines import Line, Pixels, joined, with_margin
from lsml.errors import AdapterError

_INSTALL = (
    "install it (Debian: apt-get install tesseract-ocr; macOS: brew install tesseract) so that `tesseract` is on PATH"
)


def absent() -> str | None:
    """Return what to do where the program is missing on this machine, in a sentence; None where it is there."""
    return None if shutil.which("tesseract") else f"the program tesseract is not on this machine; {_INSTALL}"


class Tesseract:
    """Lines and texts by tesseract. Each call runs the program, so that several threads may ask at once."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        self._languages = languages

    def lines(self, image: Pixels) -> list[Line]:
        """Return the lines of an image, in tesseract's reading order."""
        return self._read(image, "--psm 3")

    def text(self, image: Pixels) -> tuple[str, float] | None:
        """Return (text, score) of a small image, read as one block of text; or None."""
        return joined(self._read(with_margin(image), "--psm 6"))

    def _read(self, image: Pixels, config: str) -> list[Line]:
        """Return the lines of an image. Raises AdapterError where the program or a language is missing, or the program
        fails.
        """
        import numpy as np
        import pytesseract

        lacks = absent()
        if lacks is not None:
            raise AdapterError(lacks)
        unknown = [language for language in self._languages if language not in known_languages()]
        if unknown:
            raise AdapterError(
                f"tesseract has no language {', '.join(unknown)} on this machine; it has {', '.join(known_languages())}; "
                f"install its data (Debian: apt-get install tesseract-ocr-{unknown[0]}), or correct options.languages"
            )
        try:
            found = pytesseract.image_to_data(
                np.ascontiguousarray(image[:, :, ::-1]), lang="+".join(self._languages), config=config,
                output_type=pytesseract.Output.DICT,
            )  # fmt: skip
        except pytesseract.TesseractError as error:
            raise AdapterError(f"tesseract failed with status {error.status}") from error
        words: dict[tuple[int, ...], list[int]] = {}
        for number, text in enumerate(found["text"]):
            if text.strip() and float(found["conf"][number]) >= 0:
                key = tuple(found[level][number] for level in ("block_num", "par_num", "line_num"))
                words.setdefault(key, []).append(number)
        return [_line(found, numbers) for numbers in words.values()]


def _line(found: dict[str, list[int]], numbers: list[int]) -> Line:
    """Return the words of a line as one; its score is the mean of theirs, weighted by length."""
    import numpy as np

    texts = [str(found["text"][number]).strip() for number in numbers]
    scores = [min(1.0, float(found["conf"][number]) / 100.0) for number in numbers]
    left, top, wide, high = (np.array([found[key][n] for n in numbers]) for key in ("left", "top", "width", "height"))
    x0, y0, x1, y1 = left.min(), top.min(), (left + wide).max(), (top + high).max()
    score = float(np.average(scores, weights=[len(text) for text in texts]))
    return Line(" ".join(texts), score, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float))


@cache
def known_languages() -> tuple[str, ...]:
    """Return the languages whose data tesseract has on this machine."""
    import pytesseract

    return tuple(pytesseract.get_languages(config=""))
