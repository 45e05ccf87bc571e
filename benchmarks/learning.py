"""How well lsml's defaults learn, beside plain baselines that cross-validation tunes, and orders of annotating, beside random.

    python benchmarks/learning.py [--texts FILE.csv] [--entities FILE.jsonl] [--encoder FOLDER]
                                  [--detection FOLDER] [--weights FILE.pt] [--epochs 10] [--imgsz 128]
                                  [--sizes 20,50,100,200,500,0] [--seeds 5] [--quick]
                                  [--only STUDY,STUDY] [--saved RESULTS.jsonl] [-o CURVES.svg]

FILE.csv has the columns text, label and split (train, test); FILE.jsonl has lines with text, entities (start, end, label) and
split; boxes.py says what is in the folder of --detection, and FILE.pt is a YOLO model to start from. A file that is not given
is drawn; without --weights there is no detection, and without --encoder no learner that embeds. Size 0 is all of the tasks.

Each seed draws its own annotations, the same for every learner. All are judged by the test split: texts by macro F1, entities
by strict span F1 and boxes by mAP at 0.5. The orders are those of `lsml simulate`, whose seeds also draw the test tasks.

Prints one Markdown table, and draws all curves into one image. Each result is added to RESULTS and read from there the next
time, so that studies can be run apart (--only), and slow ones once.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from boxes import detection
from orders import of_boxes, of_columns, of_entities, of_texts, orders
from scipy.stats import t
from studies import Asked, Study
from texts import entities, texts

from lsml.adapters import adapter_names
from lsml.cli.chart import HEIGHT, WIDTH, curves_svg
from lsml.learning.simulate import Point, Simulated, _need
from lsml.recipe import AUTO

Values = dict[tuple[str, int], list[float]]  # those of the seeds, by learner and size
COLUMNS = 2  # of the image


def values_of(study: Study, name: str, sizes: Sequence[int], seeds: int, saved: Path | None) -> Values:
    """Return the values of each learner and size, those that are not in `saved` measured and added to it."""
    found: dict[Asked, float] = {}
    if saved is not None and saved.exists():
        for line in map(json.loads, saved.read_text(encoding="utf-8").splitlines()):
            if line["study"] == name:
                found[Asked(line["learner"], line["size"], line["seed"])] = line["value"]
    given = sorted({min(size or study.tasks, study.tasks) for size in sizes})
    # All annotations are the same whatever the seed, unless it draws the test tasks, too.
    turns = {size: seeds if size < study.tasks or study.split else 1 for size in given}
    asked = {Asked(one, size, seed) for one in study.learners for size in given for seed in range(turns[size])}
    for one, value in study.measured(asked - set(found)):
        found[one] = value
        if saved is not None:
            with saved.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"study": name, **one._asdict(), "value": value}) + "\n")
    return {
        (learner, size): [found[Asked(learner, size, seed)] for seed in range(turns[size])]
        for learner in study.learners
        for size in given
    }


def half(values: Sequence[float]) -> float:
    """Return half of the 95 % interval of a mean."""
    if len(values) < 2:
        return 0.0
    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5


def rows_of(study: Study, name: str, values: Values, sizes: Sequence[int]) -> list[str]:
    """Return the rows of a study: each learner's means with half their intervals, then how far those that should win are
    ahead of the best other one, by the differences of each seed.
    """
    rows = []

    def row(label: str, of_size: Callable[[int], str]) -> None:
        cells = ["" if size >= study.tasks else of_size(size) for size in sorted(sizes) if size]
        cells += [of_size(study.tasks)] if 0 in sizes else []
        rows.append(f"| {name if not rows else ''} | {label} | {' | '.join(cells)} |")

    for learner in study.learners:
        ours = learner in adapter_names() or learner == AUTO
        row(f"**{learner}**" if ours else learner, lambda size, one=learner: _cell(values[one, size]))
    for learner, others in study.compared.items():

        def ahead(size: int, learner: str = learner, others: tuple[str, ...] = others) -> str:
            best = max(others, key=lambda other: statistics.mean(values[other, size]))
            pairs = zip(values[learner, size], values[best, size], strict=True)
            return _cell([one - other for one, other in pairs], sign="+")

        row(f"*{learner} - {'best baseline' if len(others) > 1 else others[0]}*", ahead)
    return rows


def _cell(values: Sequence[float], sign: str = "") -> str:
    around = f" ± {half(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.3f}{around}"


def plot(study: Study, name: str, values: Values) -> str:
    """Return the curves of a study as an SVG image."""
    curves: dict[str, list[Point]] = {}
    for (learner, size), of_seeds in values.items():
        mean, around = statistics.mean(of_seeds), half(of_seeds)
        curves.setdefault(learner, []).append(Point(size, mean, max(0.0, mean - around), min(1.0, mean + around)))
    target = round(0.95 * max(curve[-1].mean for curve in curves.values()), 2)
    named = [*study.compared, *(study.learners if study.split else ())]
    needs = {learner: _need(curves[learner], target) for learner in dict.fromkeys(named)}
    seeds = max(map(len, values.values()))
    return curves_svg(Simulated(study.metric, study.tasks, study.judged, seeds, target, curves, needs), name)


def in_one(images: Sequence[str]) -> str:
    """Return SVG images in columns, as one."""
    wide, high = WIDTH * min(COLUMNS, len(images)), HEIGHT * -(-len(images) // COLUMNS)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}">']
    for number, image in enumerate(images):
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT
        parts.append(re.sub("^<svg ", f'<svg x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" ', image.strip()))
    return "\n".join([*parts, "</svg>"]) + "\n"


def studies_of(given: argparse.Namespace, folder: Path) -> dict[str, Callable[[], Study]]:
    """Return all studies by name; what they draw is written into the folder."""
    most = 300 if given.quick else 2169
    found: dict[str, Callable[[], Study]] = {
        "texts": lambda: texts(given.texts, given.encoder),
        "entities": lambda: entities(given.entities),
        "orders of texts": lambda: orders(of_texts(given.texts, most)),
        "orders of entities": lambda: orders(of_entities(given.entities, min(most, 700))),
        "orders of columns": lambda: orders(of_columns()),
    }
    if given.weights is not None:
        trained = (given.weights, given.epochs, given.imgsz, folder)
        found["detection"] = lambda: detection(given.detection, *trained)
        found["orders of detection"] = lambda: orders(of_boxes(given.detection, *trained), folder)
        found["orders of drawn boxes"] = lambda: orders(of_boxes(None, *trained), folder)
    return found


def main() -> None:
    """Print the table, and draw the curves."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--texts", "--entities", "--encoder", "--detection", "--weights", "--saved"):
        options.add_argument(name, type=Path)
    options.add_argument("--epochs", type=int, default=10, help="of detection")
    options.add_argument("--imgsz", type=int, default=128, help="the side of images in detection, in pixels")
    options.add_argument("--sizes", default="20,50,100,200,500,0")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument(
        "--quick", action="store_true", help="two seeds, few sizes and tasks: minutes instead of an hour"
    )
    options.add_argument("--only", help="the names of studies, with commas between them")
    options.add_argument("-o", "--output", type=Path, help="an SVG file for all curves")
    given = options.parse_args()
    warnings.simplefilter("ignore")  # of labels that are rare, and of fits that stop early
    sizes = [20, 50, 100] if given.quick else [int(size) for size in given.sizes.split(",")]
    seeds = 2 if given.quick else given.seeds
    columns = [*(f"{size:,}" for size in sorted(sizes) if size), *(["all"] if 0 in sizes else [])]
    print(f"| data | learner or order | {' | '.join(columns)} |\n{'|---' * (len(columns) + 2)}|")
    images = []
    with tempfile.TemporaryDirectory() as directory:
        studies = studies_of(given, Path(directory))
        for name in given.only.split(",") if given.only else studies:
            study = studies[name]()
            values = values_of(study, name, sizes, seeds, given.saved)
            title = f"{name}: {study.metric}, {study.tasks:,} tasks"
            print("\n".join(rows_of(study, title, values, sizes)), flush=True)
            images.append(plot(study, name, values))
    if given.output:
        given.output.write_text(in_one(images), encoding="utf-8")


if __name__ == "__main__":
    main()
