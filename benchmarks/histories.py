"""How often what is served gets worse: histories of annotating real texts, with wrong labels planted from a drawn moment on.

    python benchmarks/histories.py FILE.csv [HISTORIES]

FILE has the columns text, label and split (train, test). In each history 60 texts are annotated, then 60 more at a time up to
300; from a drawn one of these steps on a share of the new labels is wrong. Every version is compared with the one that was
served before it on the test texts, which nothing else sees, by a bootstrap with 95 % confidence. Prints a Markdown table.
"""

from __future__ import annotations

import csv
import logging
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.sax.saxutils import quoteattr

from lsml.binding import bind
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.learning.compare import compare
from lsml.learning.judge import evaluate
from lsml.learning.run import Inputs, promoted_version, run
from lsml.learning.snapshot import AnnotatedExample
from lsml.recipe import Promote, load_recipe
from lsml.store import LOCAL, Store
from lsml.studio.connection import fetcher
from lsml.values import Choice
from lsml.versions import load_version

SHARES, SIZES = (0.0, 0.05, 0.2), (60, 120, 180, 240, 300)
RECIPE = """lsml: 1
name: histories
tags: {Choices: {adapter: text-classifier, options: {C: 10, class_weight: balanced}}}
"""


def history(rows: list[dict[str, str]], test: list[AnnotatedExample], share: float, seed: int) -> Counter[str]:
    """What became of each version after the first of one history."""
    draw = random.Random(seed)
    labels = sorted({row["label"] for row in rows})
    trouble = draw.choice(SIZES[1:]) - (SIZES[1] - SIZES[0])  # annotations before it begins
    tasks = []
    for id, row in enumerate(draw.sample(rows, SIZES[-1]), 1):
        wrong = id > trouble and draw.random() < share
        label = draw.choice([one for one in labels if one != row["label"]]) if wrong else row["label"]
        result = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]
        tasks.append(AnnotatedTask(str(seed * 1000 + id), {"text": row["text"]}, (Annotation(str(id), result),)))
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    config = parse_labeling_config(
        f'<View><Text name="text" value="$text"/><Choices name="label" toName="text">{choices}</Choices></View>'
    )
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.yaml"
        path.write_text(RECIPE, encoding="utf-8")
        recipe = load_recipe(path)
        binding, store, fetch = bind(recipe, config), Store(Path(folder) / "data"), fetcher(recipe, None)
        store.projects.touch(LOCAL)
        for size in SIZES:
            before, _ = promoted_version(store, LOCAL, binding)
            made = run(Inputs(
                store=store, project=LOCAL, binding=binding, models=binding.trainable, tasks=tasks[:size], fetch=fetch, keep=9
            ))  # fmt: skip
            if before is None:
                continue
            new = load_version(binding, store.versions.get(LOCAL, made.number), store.artifacts)
            pairs = [evaluate(binding, one.adapters, test, fetch).pairs for one in (new, before[0])]
            compared = compare(
                binding, {"label"}, *pairs, Promote(confidence=0.95), against="v", by="held-out tasks", seed=seed
            )
            low, high = compared.interval
            truth = "worse" if high < 0 else "better" if low > 0 else "alike"
            found[f"{truth} {'taken' if made.card.promoted else 'left'}"] += 1
        store.close()
    return found


def main(path: str, histories: int = 8) -> None:
    """Print the table."""
    logging.disable(logging.WARNING)
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    test = [
        AnnotatedExample(str(number), {"text": row["text"]}, {"label": [(Choice(row["label"]),)]})
        for number, row in enumerate(rows)
        if row["split"] == "test"
    ]
    train = [row for row in rows if row["split"] == "train"]
    print("| wrong labels | versions | promoted | of these worse | really better | of these refused |")
    print("|---|---|---|---|---|---|")
    for share in SHARES:
        found = sum((history(train, test, share, seed) for seed in range(histories)), Counter())
        taken = sum(count for what, count in found.items() if what.endswith("taken"))
        better = found["better taken"] + found["better left"]
        print(
            f"| {share:.0%} | {found.total()} | {taken} | {found['worse taken']} | {better} | {found['better left']} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
