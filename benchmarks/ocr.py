"""How well are drawn pages read? `python benchmarks/ocr.py [--pages 40] [--tesseract]`; needs the extra ocr.

The script draws pages of twelve lines: every TrueType font with Latin letters that it finds here, sizes of 11 to 32 pixels, pages
turned by up to five degrees and some by twenty, grey noise, and ink that is not quite black. `lsml predict` with the gallery's recipe
reads them, and so does the bare library with its own settings. The character error rate is the edits between what is written and
what is read, a line break between lines, as a share of what is written. Five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from PIL import Image, ImageDraw, ImageFont

from lsml.metrics.texts import edits
from lsml.recipe.gallery import find_recipe

SIZE, LINES = (900, 700), 12
FOLDERS = ("/usr/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
SYMBOLS = ("symbol", "math", "emoji", "lastresort", "stix", "cm", "dingbat", "icon", "extralight")
WORDS = (
    *(
        "invoice",
        "total",
        "amount",
        "due",
        "date",
        "number",
        "order",
        "client",
        "street",
        "city",
        "tax",
        "net",
        "gross",
        "price",
    ),
    *(
        "unit",
        "quantity",
        "payment",
        "terms",
        "bank",
        "account",
        "reference",
        "delivery",
        "address",
        "item",
        "discount",
        "paid",
    ),
)
GOAL = 0.1  # points of the character error rate


class Page(NamedTuple):
    """An image, what is written on it from top to bottom, and by how many degrees it is turned."""

    path: Path
    text: str
    turned: float


def fonts() -> list[Path]:
    """The TrueType fonts of this machine that write Latin letters, sorted."""
    found = [path for folder in FOLDERS for path in Path(folder).rglob("*.ttf")]
    plain = [path for path in found if not any(word in path.name.lower() for word in SYMBOLS)]
    return sorted(plain)


def line(draw: random.Random) -> str:
    """Words, an amount or a date, and a code, as an invoice has them."""
    words = " ".join(
        draw.choice(WORDS).title() if draw.random() < 0.3 else draw.choice(WORDS) for _ in range(draw.randint(2, 4))
    )
    more = draw.choice([f"{draw.randint(1, 9999)}.{draw.randint(0, 99):02d}", f"{draw.randint(1, 28)}/{draw.randint(1, 12)}/2026",
                        f"{draw.choice('ABCDEFGH')}{draw.randint(100, 99999)}", ""])  # fmt: skip
    return f"{words} {more}".strip()


def draw_page(path: Path, draw: random.Random, files: Sequence[Path]) -> Page:
    """One page, kept as a PNG."""
    points = draw.randint(11, 32)
    font = ImageFont.truetype(draw.choice(files), points) if files else ImageFont.load_default(points)
    ink = Image.new("L", SIZE, 0)
    texts = [line(draw) for _ in range(LINES)]
    for number, text in enumerate(texts):
        ImageDraw.Draw(ink).text((150, 120 + number * 40), text, font=font, fill=255)
    turned = draw.choice([0.0, draw.uniform(-5, 5), draw.uniform(-5, 5), draw.choice([-20.0, 20.0])])
    ink = ink.rotate(-turned, resample=Image.Resampling.BICUBIC)
    image = Image.new("L", SIZE, draw.randint(225, 255))
    image.paste(draw.randint(0, 120), (0, 0), ink)
    noise = np.random.default_rng(draw.randrange(2**32)).normal(0, draw.choice([0, 16, 40]), (SIZE[1], SIZE[0]))
    Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)).save(path)
    return Page(path, "\n".join(texts), turned)


def rate(pages: Sequence[Page], read: Sequence[str]) -> float:
    """The character error rate in percent."""
    wrong = sum(edits(page.text, text) for page, text in zip(pages, read, strict=True))
    return 100.0 * wrong / sum(len(page.text) for page in pages)


def by_lsml(pages: Sequence[Page], folder: Path, options: dict[str, object]) -> tuple[list[str], float]:
    """(what `lsml predict` reads, seconds) with the gallery's recipe."""
    recipe = yaml.safe_load(find_recipe("ocr").read_text(encoding="utf-8"))
    recipe["tags"]["Rectangle"]["options"] = options
    (folder / "ocr.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    tasks = [{"id": number, "data": {"image": str(page.path)}} for number, page in enumerate(pages)]
    (folder / "tasks.json").write_text(json.dumps(tasks))
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "lsml", "predict", "ocr.yaml", "tasks.json", "-o", "out.json"], cwd=folder, check=True
    )
    seconds = time.perf_counter() - began
    predicted = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    results = [task["predictions"][0]["result"] if task["predictions"] else [] for task in predicted]
    return [
        "\n".join(region["value"]["text"][0] for region in result if region["type"] == "textarea") for result in results
    ], seconds


def by_rapidocr(pages: Sequence[Page]) -> tuple[list[str], float]:
    """(what the bare library reads with its own settings, seconds)."""
    from rapidocr import RapidOCR

    library = RapidOCR(params={"Global.log_level": "critical"})
    began = time.perf_counter()
    read = ["\n".join(library(str(page.path)).txts or ()) for page in pages]
    return read, time.perf_counter() - began


def by_tesseract(pages: Sequence[Page]) -> tuple[list[str], float]:
    """(what bare tesseract reads, empty lines left out, seconds)."""
    import pytesseract

    began = time.perf_counter()
    read = [pytesseract.image_to_string(str(page.path), lang="eng", config="--psm 3") for page in pages]
    seconds = time.perf_counter() - began
    return ["\n".join(part.strip() for part in text.splitlines() if part.strip()) for text in read], seconds


def main() -> None:
    """Draw, read, compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--tesseract", action="store_true", help="the same with tesseract, bare and as an engine of lsml"
    )
    asked = parser.parse_args()
    draw, files = random.Random(asked.seed), fonts()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pages = [draw_page(folder / f"{number}.png", draw, files) for number in range(asked.pages)]
        written = sum(len(page.text) for page in pages)
        print(f"{len(pages)} pages, {written} characters, {len(files) or 1} fonts")
        rows = {"rapidocr": by_rapidocr(pages), "lsml, engine: rapidocr": by_lsml(pages, folder, {})}
        if asked.tesseract:
            rows["tesseract"] = by_tesseract(pages)
            rows["lsml, engine: tesseract"] = by_lsml(pages, folder, {"engine": "tesseract"})
    print("\n| | all pages | upright | up to 5 degrees | 20 degrees | s/page |\n|---|---|---|---|---|---|")
    for who, (read, seconds) in rows.items():
        groups: list[list[int]] = [[], [], [], []]
        for number, page in enumerate(pages):
            groups[0].append(number)
            groups[1 if page.turned == 0 else 2 if abs(page.turned) <= 5 else 3].append(number)
        rates = [
            f"{rate([pages[n] for n in group], [read[n] for n in group]):.2f} %" if group else "" for group in groups
        ]
        print(f"| {who} | {' | '.join(rates)} | {seconds / len(pages):.2f} |")
    apart = abs(rate(pages, rows["rapidocr"][0]) - rate(pages, rows["lsml, engine: rapidocr"][0]))
    print(
        f"\nlsml and bare rapidocr: {apart:.3f} points apart; at most {GOAL} is the goal: {'met' if apart <= GOAL else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
