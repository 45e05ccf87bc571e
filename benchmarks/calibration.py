"""How far a text-classifier's scores are from how often they are right, with its temperature and without, on held-out texts.

    python benchmarks/calibration.py FILE.csv

FILE has the columns text, label and split (train, test). Prints a Markdown table: means over three seeds, and the share of a
fit that is spent on the temperature where the options leave nothing to choose.
"""

from __future__ import annotations

import csv
import random
import sys
import time
from pathlib import Path

import numpy as np

from lsml.adapters.base import Example, Target
from lsml.adapters.parts import regressions
from lsml.adapters.parts.linear_head import LinearHead
from lsml.adapters.text.classifier import TextClassifier
from lsml.metrics.choices import calibration_error
from lsml.values import Choice

SIZES, SEEDS = (50, 100, 200, 500, 1500), (0, 1, 2)


def error(adapter: TextClassifier, test: list[dict[str, str]]) -> float:
    """The calibration error of what an annotator would see."""
    best = [max(values, key=lambda value: value.score) for values in adapter.predict([row["text"] for row in test])]
    return calibration_error(
        [(value.score, value.label == row["label"]) for value, row in zip(best, test, strict=True)]
    )


def main(path: str) -> None:
    """Print the table."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    train, test = ([row for row in rows if row["split"] == split] for split in ("train", "test"))
    target = Target(tuple(sorted({row["label"] for row in train})))
    print("| annotations | accuracy | calibration error before | now | temperature |\n|---|---|---|---|---|")
    for size in SIZES:
        found = []
        for seed in SEEDS:
            some = random.Random(seed).sample(train, size)
            adapter = TextClassifier(TextClassifier.Options(), target)
            adapter.fit([Example(row["text"], (Choice(row["label"]),)) for row in some], seed)
            state = adapter._head.state()
            now = error(adapter, test)
            adapter._head = LinearHead.restore({**state, "temperature": 1.0}, len(state["weights"]))
            best = [
                max(values, key=lambda v: v.score).label for values in adapter.predict([row["text"] for row in test])
            ]
            right = np.mean([label == row["label"] for label, row in zip(best, test, strict=True)])
            found.append((right, error(adapter, test), now, state["temperature"]))
        print("| {} | {:.3f} | {:.3f} | {:.3f} | {:.2f} |".format(size, *np.mean(found, axis=0)))
    took = {}
    for name, knows in (("with", True), ("without", False)):
        temperature = regressions.Fitter._of_a_part
        if not knows:
            regressions.Fitter._of_a_part = lambda *_: None
        regressions._MOST_WORK = 0
        began = time.process_time()
        for seed in SEEDS:
            adapter = TextClassifier(TextClassifier.Options(C=10.0, class_weight="balanced"), target)
            adapter.fit([Example(row["text"], (Choice(row["label"]),)) for row in train], seed)
        took[name] = time.process_time() - began
        regressions.Fitter._of_a_part = temperature
    print(f"\nof {len(train)} texts, a fit with it takes {took['with'] / took['without']:.2f} times one without")


if __name__ == "__main__":
    main(sys.argv[1])
