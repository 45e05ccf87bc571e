"""How far a text-classifier's scores are from how often they are right, with its temperature and without, on held-out texts.

    python benchmarks/calibration.py FILE.csv | --columns | --entities FILE.jsonl

FILE has the columns text, label and split (train, test). Prints a Markdown table: means over three seeds, and the share of a
fit that is spent on the temperature where the options leave nothing to choose. --columns: the same
of `tabular`, on drawn columns of which a tenth of the labels are wrong, ten seeds. --entities: the same as for texts of the spans of
`ner-crf`, on 600 other sentences; a span is right where an annotated one has its place and its label.
"""

from __future__ import annotations

import csv
import json
import random
import sys
import time
from pathlib import Path

import numpy as np

from lsml.adapters.base import Example, Target
from lsml.adapters.parts import boosted_trees, regressions
from lsml.adapters.parts.calibration import PlattScaling
from lsml.adapters.parts.linear_head import LinearHead
from lsml.adapters.text.classifier import TextClassifier
from lsml.adapters.text.ner_crf import NerCrf
from lsml.metrics.calibration import calibration
from lsml.values import Choice, Span

SIZES, SEEDS = (50, 100, 200, 500, 1500), (0, 1, 2)


def error(adapter: TextClassifier, test: list[dict[str, str]]) -> float:
    """The calibration error of what an annotator would see."""
    best = [max(values, key=lambda value: value.score) for values in adapter.predict([row["text"] for row in test])]
    shown = [(value.score, value.label == row["label"]) for value, row in zip(best, test, strict=True)]
    return calibration(shown)["calibration_error"]


def entities(path: str) -> None:
    """Print the table of spans."""
    lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    examples = [
        Example(line["text"], tuple(Span(one["start"], one["end"], one["label"]) for one in line["entities"]))
        for line in lines
    ]
    target = Target(tuple(sorted({span.label for example in examples for span in example.values})))
    print("| annotations | precision | calibration error before | now |\n|---|---|---|---|")
    for size in (50, 100, 200, 500):
        found = []
        for seed in SEEDS:
            drawn = random.Random(seed).sample(examples, size + 600)
            adapter = NerCrf(NerCrf.Options(), target)
            adapter.fit(drawn[:size], seed)
            now = _spans(adapter, drawn[size:])
            adapter._calibration = PlattScaling()
            before = _spans(adapter, drawn[size:])
            right = np.mean([right for _, right in now])
            found.append((right, calibration(before)["calibration_error"], calibration(now)["calibration_error"]))
        print("| {} | {:.3f} | {:.3f} | {:.3f} |".format(size, *np.mean(found, axis=0)), flush=True)


def _spans(adapter: NerCrf, test: list[Example]) -> list[tuple[float, bool]]:
    """(score, right) of each span."""
    return [
        (span.score, (span.start, span.end, span.label) in {(one.start, one.end, one.label) for one in example.values})
        for example, spans in zip(test, adapter.predict([example.data for example in test]), strict=True)
        for span in spans
    ]


def columns() -> None:
    """Print the table of boosted trees, with a number of trees by cross-validation, and with many."""
    from sklearn.datasets import make_classification

    heats: list[float] = []

    def noted(parts: list[regressions.HeldOut]) -> float:
        heats.append(regressions.temperature(parts))
        return heats[-1]

    boosted_trees.temperature = noted
    print(
        "| labels | rows | iterations | accuracy | calibration error before | now | temperature |\n|---|---|---|---|---|---|---|"
    )
    for labels, size in ((2, 50), (2, 200), (2, 1000), (4, 50), (4, 200), (4, 1000)):
        for iterations in ("auto", 100):
            found = []
            for seed in range(10):
                rows, answers = make_classification(
                    size + 1000, 20, n_informative=8, n_classes=labels, flip_y=0.1, random_state=seed
                )
                options = boosted_trees.TreeOptions(iterations=iterations)
                forest = boosted_trees.forest_of(rows[:size], answers[:size], options, seed)
                now, truth = _logits(forest, rows[size:]), answers[size:]
                right = np.mean(now.argmax(axis=1) == truth)
                found.append((right, _error(heats[-1] * now, truth), _error(now, truth), heats[-1]))
            figures = " | ".join(f"{figure:.3f}" for figure in np.mean(found, axis=0))
            print(f"| {labels} | {size} | {iterations} | {figures} |", flush=True)


def _logits(forest: boosted_trees.Forest, rows: np.ndarray) -> np.ndarray:
    """(rows, labels)"""
    said = forest.outputs(rows)
    return np.hstack([np.zeros_like(said), said]) if said.shape[1] == 1 else said


def _error(logits: np.ndarray, answers: np.ndarray) -> float:
    shares = boosted_trees.probabilities([logits], multiple=False)
    best = shares.argmax(axis=1)
    shown = list(zip(shares.max(axis=1).tolist(), (best == answers).tolist(), strict=True))
    return calibration(shown)["calibration_error"]


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
    if sys.argv[1] == "--entities":
        entities(sys.argv[2])
    else:
        columns() if sys.argv[1] == "--columns" else main(sys.argv[1])
