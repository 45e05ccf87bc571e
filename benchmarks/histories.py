"""How often what is served gets worse: histories of annotating real texts, each with one trouble planted.

    python benchmarks/histories.py FILE.csv [HISTORIES]

FILE has the columns text, label and split (train, test). In each history 60 texts are annotated, then 60 more at a time up to
240. Every version is compared with the one that was served before it on the test texts, which nothing else sees, by a
bootstrap with 95 % confidence. Prints a Markdown table; 200 histories take some minutes on one core.
"""

from __future__ import annotations

import csv
import logging
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from threadpoolctl import threadpool_limits

from lsml.binding import Binding, bind
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.learning.compare import compare
from lsml.learning.judge import evaluate
from lsml.learning.run import TrainingInputs, promoted_version, run
from lsml.learning.snapshot import AnnotatedExample
from lsml.recipe import Promote, load_recipe
from lsml.store import LOCAL, Store
from lsml.studio.connection import fetcher
from lsml.values import Choice
from lsml.versions import load_version

STEP, STEPS = 60, 4
NEW_NAME = "renamed"
Row = dict[str, str]


@dataclass(frozen=True)
class Given:
    """One annotated text: what was said of it, and by whom."""

    text: str
    label: str
    annotator: str = "1"


class History:
    """One project: its labels, a drawn step at which its trouble begins, and who draws."""

    def __init__(self, rows: Sequence[Row], seed: int) -> None:
        self.draw = random.Random(seed)
        self.labels = sorted({row["label"] for row in rows})
        self.begins = self.draw.randrange(1, STEPS) * STEP
        self.half = STEP * STEPS // 2
        self.rows = self.draw.sample(list(rows), len(rows))
        self.former: str | None = None  # of the label that is renamed

    def other(self, label: str) -> str:
        """A wrong label."""
        return self.draw.choice([one for one in self.labels if one != label])

    def noisy(self, share: float) -> list[Given]:
        """From a drawn step on a share of the labels is wrong."""
        return [
            Given(
                row["text"],
                self.other(row["label"]) if id >= self.begins and self.draw.random() < share else row["label"],
            )
            for id, row in enumerate(self.rows[: STEP * STEPS])
        ]

    def renamed(self) -> list[Given]:
        """From half way on people give one label under its new name."""
        old = self.former = self.draw.choice(self.labels)
        return [
            Given(row["text"], NEW_NAME if id >= self.half and row["label"] == old else row["label"])
            for id, row in enumerate(self.rows[: STEP * STEPS])
        ]

    def rare(self) -> list[Given]:
        """One label is one annotation in forty."""
        rare = self.draw.choice(self.labels)
        of, others = ([row for row in self.rows if (row["label"] == rare) is is_it] for is_it in (True, False))
        return [
            Given(row["text"], row["label"])
            for row in (of.pop() if id % 40 == 5 else others.pop() for id in range(STEP * STEPS))
        ]

    def careless(self) -> list[Given]:
        """One of three annotators gets four answers of ten wrong."""
        people = (self.draw.choice("123") for _ in range(STEP * STEPS))
        return [
            Given(
                row["text"], self.other(row["label"]) if who == "3" and self.draw.random() < 0.4 else row["label"], who
            )
            for row, who in zip(self.rows, people, strict=False)
        ]

    def drifting(self) -> list[Given]:
        """From half way on there are texts of labels that hardly occurred before."""
        late = set(self.draw.sample(self.labels, len(self.labels) // 2))
        early = [row for row in self.rows if row["label"] not in late or self.draw.random() < 0.05]
        later = [row for row in self.rows if row not in early]
        mixed = self.draw.sample(early[self.half :] + later, self.half)
        return [Given(row["text"], row["label"]) for row in early[: self.half] + mixed]


TROUBLES: dict[str, Callable[[History], list[Given]]] = {
    "5 % wrong labels": lambda one: one.noisy(0.05),
    "20 % wrong labels": lambda one: one.noisy(0.2),
    "a label renamed half way": History.renamed,
    "a rare label": History.rare,
    "one careless annotator of three": History.careless,
    "a drift half way": History.drifting,
}


def bound(folder: Path, labels: Sequence[str], former: str | None = None) -> Binding:
    """The recipe at these labels. `former`: what the label with the new name was called."""
    named = f", labels: {{{NEW_NAME}: {{was: [{former}]}}}}" if former else ""
    path = folder / "r.yaml"
    path.write_text(
        "lsml: 1\nname: histories\n"
        f"tags: {{Choices: {{adapter: text-classifier, options: {{C: 10, class_weight: balanced, characters: null}}{named}}}}}\n",
        encoding="utf-8",
    )
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    xml = f'<View><Text name="text" value="$text"/><Choices name="label" toName="text">{choices}</Choices></View>'
    return bind(load_recipe(path), parse_labeling_config(xml))


def history(train: Sequence[Row], test: Sequence[Row], trouble: str, seed: int) -> Counter[str]:
    """What became of each version after the first of one history."""
    one = History(train, seed)
    given = TROUBLES[trouble](one)
    tasks = [_task(seed * 1000 + id, answer) for id, answer in enumerate(given, 1)]
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data")
        store.projects.touch(LOCAL)
        for size in range(STEP, STEP * STEPS + 1, STEP):
            former = one.former if size > one.half else None
            binding = bound(Path(folder), [NEW_NAME if label == former else label for label in one.labels], former)
            fetch = fetcher(binding.recipe, None)
            before, _ = promoted_version(store, LOCAL, binding)
            made = run(TrainingInputs(
                store=store, project=LOCAL, binding=binding, models=binding.trainable, tasks=tasks[:size], fetch=fetch, keep=9
            ))  # fmt: skip
            if before is None:
                continue
            truth = [
                AnnotatedExample(
                    str(id),
                    {"text": row["text"]},
                    {"label": [(Choice(NEW_NAME if row["label"] == former else row["label"]),)]},
                )
                for id, row in enumerate(test)
            ]
            # Of a refused version the folder holds what it learnt, too.
            new = load_version(binding, store.versions.get(LOCAL, made.number), store.artifacts)
            new_pairs, old_pairs = (
                evaluate(binding, version.adapters, truth, fetch).pairs for version in (new, before[0])
            )
            compared = compare(
                binding,
                {"label"},
                (new_pairs, old_pairs),
                Promote(confidence=0.95),
                against="v",
                by="held-out tasks",
                seed=seed,
            )
            low, high = compared.interval
            really = "worse" if high < 0 else "better" if low > 0 else "alike"
            found[f"{really} {'taken' if made.card.promoted else 'left'}"] += 1
        store.close()
    return found


def _task(id: int, given: Given) -> AnnotatedTask:
    result = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [given.label]}}]
    return AnnotatedTask(str(id), {"text": given.text}, (Annotation(str(id), result, annotator=given.annotator),))


def main(path: str, histories: int = 200) -> None:
    """Print the table."""
    logging.disable(logging.WARNING)
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    train, test = ([row for row in rows if row["split"] == split] for split in ("train", "test"))
    found: dict[str, Counter[str]] = defaultdict(Counter)
    counts: Counter[str] = Counter()
    with threadpool_limits(1):
        for seed in range(histories):
            trouble = list(TROUBLES)[seed % len(TROUBLES)]
            found[trouble] += history(train, test, trouble, seed)
            counts[trouble] += 1
    found["all"], counts["all"] = sum(found.values(), Counter()), counts.total()
    print(
        "| trouble | histories | versions | promoted | of these worse | really better | of these refused | annotations waited |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for trouble, of in found.items():
        taken = sum(count for what, count in of.items() if what.endswith("taken"))
        better = of["better taken"] + of["better left"]
        waited = of["better left"] * STEP / counts[trouble]
        print(
            f"| {trouble} | {counts[trouble]} | {of.total()} | {taken} | {of['worse taken']} | {better} | {of['better left']} "
            f"| {waited:.0f} |"
        )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
