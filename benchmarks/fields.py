"""How well are the fields of drawn invoices found? `python benchmarks/fields.py [--pages 20]`; needs the extra ocr.

The script draws invoices of several layouts, each with places and words of its own. `ocr` reads them, each line that it finds gets the
field of the drawn line that it lies on, and `field-classifier` learns from 20 pages of four layouts. F1 counts fields over pages that it
did not learn: of these layouts, and of others. What was not read, is missed. Five minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from lsml.adapters.base import Example, PageRegion, Target
from lsml.adapters.image.field_classifier import FieldClassifier, FieldClassifierOptions
from lsml.adapters.image.ocr import Ocr
from lsml.adapters.image.ocr.options import OcrOptions
from lsml.values import Box, Choice
from tests.support.invoices import FIELDS, SIZE, Line, drawn, invoice

LAYOUTS, OTHER = 4, "Other"
Page = tuple[list[Example], int]  # its lines with their fields, and how many fields it has


def read(reader: Ocr, folder: Path, layout: int, seed: int) -> Page:
    """A page as `ocr` reads it."""
    lines = invoice(layout, seed)
    path = folder / f"{layout}-{seed}.png"
    drawn(lines).save(path)
    boxes = tuple(value for value in reader.predict([path])[0] if isinstance(value, Box))
    examples = [Example(PageRegion(boxes, at), (Choice(field_of(box, lines)),)) for at, box in enumerate(boxes)]
    return examples, sum(line.field != OTHER for line in lines)


def field_of(box: Box, lines: Iterable[Line]) -> str:
    """The field of the line that begins in a box; of several the one that is a field."""
    left, top = box.x * SIZE[0], box.y * SIZE[1]
    right, bottom = left + box.width * SIZE[0], top + box.height * SIZE[1]
    on = [
        line.field for line in lines if left - 8 <= line.x <= right and top - 12 <= line.y + line.points / 3 <= bottom
    ]
    return next((field for field in on if field != OTHER), OTHER)


def f1(classifier: FieldClassifier, pages: Sequence[Page]) -> float:
    """F1 of all fields together."""
    right = found = there = 0
    for examples, fields in pages:
        there += fields
        answers = classifier.predict([example.data for example in examples])
        for example, values in zip(examples, answers, strict=True):
            best = max((value for value in values if isinstance(value, Choice)), key=lambda value: value.score or 0.0)
            found += best.label != OTHER
            right += best.label != OTHER and example.values == (Choice(best.label),)
    return 2 * right / (found + there)


def main() -> None:
    """Read, learn, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, default=20, help="pages to learn from")
    pages = parser.parse_args().pages
    reader = Ocr(OcrOptions(), Target(kinds={"box": ()}))
    with tempfile.TemporaryDirectory() as folder:
        each = pages // LAYOUTS
        learnt = [read(reader, Path(folder), layout, seed) for layout in range(LAYOUTS) for seed in range(each)]
        seen = [read(reader, Path(folder), layout, seed) for layout in range(LAYOUTS) for seed in range(100, 103)]
        unseen = [read(reader, Path(folder), layout, 0) for layout in range(50, 62)]
    classifier = FieldClassifier(FieldClassifierOptions(), Target(FIELDS))
    classifier.fit([example for examples, _ in learnt for example in examples], 1)
    print(f"learnt from {len(learnt)} pages of {LAYOUTS} layouts")
    print(f"F1 on {len(seen)} other pages of these layouts: {f1(classifier, seen):.2f}")
    print(f"F1 on {len(unseen)} pages of other layouts: {f1(classifier, unseen):.2f}")


if __name__ == "__main__":
    main()
