"""How far a text-classifier's scores are from how often they are right, with its temperature and without, on held-out texts.

    python benchmarks/calibration.py FILE.csv | --columns | --entities FILE.jsonl

FILE has the columns text, label and split (train, test). Prints a Markdown table: means over three seeds, and the share of a
fit that is spent on the temperature where the options leave nothing to choose. --columns: what a temperature would do to
`tabular`, on drawn columns of which a tenth of the labels are wrong. --entities: the same as for texts of the spans of
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
from lsml.metrics.choices import calibration, calibration_error
from lsml.values import Choice, Span

SIZES, SEEDS = (50, 100, 200, 500, 1500), (0, 1, 2)


def error(adapter: TextClassifier, test: list[dict[str, str]]) -> float:
    """The calibration error of what an annotator would see."""
    best = [max(values, key=lambda value: value.score) for values in adapter.predict([row["text"] for row in test])]
    shown = [(value.score, value.label == row["label"]) for value, row in zip(best, test, strict=True)]
    return calibration_error(calibration(shown))


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
            found.append((right, calibration_error(calibration(before)), calibration_error(calibration(now))))
        print("| {} | {:.3f} | {:.3f} | {:.3f} |".format(size, *np.mean(found, axis=0)), flush=True)


def _spans(adapter: NerCrf, test: list[Example]) -> list[tuple[float, bool]]:
    """(score, right) of each span."""
    return [
        (span.score, (span.start, span.end, span.label) in {(one.start, one.end, one.label) for one in example.values})
        for example, spans in zip(test, adapter.predict([example.data for example in test]), strict=True)
        for span in spans
    ]


def columns() -> None:
    """Print what a temperature would do to boosted trees, whose number is chosen by the loss of what was left out."""
    from sklearn.datasets import make_classification
    from sklearn.model_selection import StratifiedKFold

    options = boosted_trees.TreeOptions()
    print("| labels | rows | calibration error | with a temperature | temperature |\n|---|---|---|---|---|")
    for labels, size in ((2, 50), (2, 200), (4, 50), (4, 200)):
        found = []
        for seed in SEEDS:
            rows, answers = make_classification(
                1000, 20, n_informative=8, n_classes=labels, flip_y=0.1, random_state=seed
            )
            some, told = rows[:size], answers[:size]
            model = boosted_trees._model(options, 200, size, 0, numbers=False)
            most, members = boosted_trees._cross_validated(model, some, told, None, 0, numbers=False)
            folds = StratifiedKFold(boosted_trees.FOLDS, shuffle=True, random_state=0).split(some, told)
            parts = [
                regressions.HeldOut(_logits(member, most, some[left]), told[left])
                for member, (_, left) in zip(members, folds, strict=True)
            ]
            heat = regressions.temperature(parts)
            said = _logits(model.set_params(max_iter=most).fit(some, told), most, rows[size:])
            found.append((_error(said, answers[size:]), _error(said / heat, answers[size:]), heat))
        print("| {} | {} | {:.3f} | {:.3f} | {:.2f} |".format(labels, size, *np.mean(found, axis=0)))


def _logits(model: object, iterations: int, rows: np.ndarray) -> np.ndarray:
    """(rows, labels)"""
    said = boosted_trees.Forest.of_model(model, iterations).answers(rows)
    return np.hstack([np.zeros_like(said), said]) if said.shape[1] == 1 else said


def _error(logits: np.ndarray, answers: np.ndarray) -> float:
    shares = boosted_trees.probabilities([logits], multiple=False)
    best = shares.argmax(axis=1)
    return calibration_error(
        calibration(list(zip(shares.max(axis=1).tolist(), (best == answers).tolist(), strict=True)))
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
    if sys.argv[1] == "--entities":
        entities(sys.argv[2])
    else:
        columns() if sys.argv[1] == "--columns" else main(sys.argv[1])
