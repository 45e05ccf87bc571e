"""In which order to annotate: `lsml simulate` on three kinds of data, beside random.

    python benchmarks/orders.py [--texts FILE.csv] [--entities FILE.jsonl] [--only texts,entities,columns] [--most 2000]
                                [--seeds 3] [-o PLOTS]

The files are those of learning.py; one that is not given is drawn. The columns are the 569 tumours that scikit-learn brings. All
examples of a kind, at most so many, become an export; its curves are printed as `lsml simulate` prints them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

from learning import entities, texts

Task = tuple[dict[str, object], list[dict[str, object]]]


def choice(label: str) -> list[dict[str, object]]:
    """Return the result of one annotated choice."""
    return [{"from_name": "answer", "to_name": "shown", "type": "choices", "value": {"choices": [label]}}]


def of_texts(path: Path | None) -> tuple[str, list[str], list[Task]]:
    """Return (the adapter's line, the labels, the tasks) of texts."""
    study = texts(path, None)
    found = [(one.data, one.values[0].label) for one in (*study.train, *study.test)]
    return (
        "text-classifier",
        sorted({label for _, label in found}),
        [({"text": t}, choice(label)) for t, label in found],
    )


def of_entities(path: Path | None) -> tuple[str, list[str], list[Task]]:
    """Return the same of sentences with spans."""
    study = entities(path)
    tasks: list[Task] = []
    for one in (*study.train, *study.test):
        tasks.append(({"text": one.data}, [
            {"from_name": "answer", "to_name": "shown", "type": "labels",
             "value": {"start": span.start, "end": span.end, "labels": [span.label]}}
            for span in one.values
        ]))  # fmt: skip
    return "ner-crf", sorted({span.label for one in study.train for span in one.values}), tasks


def of_columns() -> tuple[str, list[str], list[Task]]:
    """Return the same of tumours."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [f"c{place}" for place in range(data.data.shape[1])]
    labels = [str(name) for name in data.target_names]
    inputs = ", ".join(f"${name}" for name in names)
    tasks: list[Task] = [
        ({"text": "a tumour", **dict(zip(names, map(float, row), strict=True))}, choice(labels[target]))
        for row, target in zip(data.data, data.target, strict=True)
    ]
    return f"{{adapter: tabular, inputs: [{inputs}]}}", labels, tasks


def simulated(name: str, adapter: str, labels: list[str], tasks: list[Task], seeds: int, plot: str | None) -> str:
    """Return what `lsml simulate` prints of the tasks."""
    tag, inner = ("Labels", "Label") if name == "entities" else ("Choices", "Choice")
    values = "".join(f"<{inner} value={quoteattr(label)}/>" for label in labels)
    config = f'<View><Text name="shown" value="$text"/><{tag} name="answer" toName="shown">{values}</{tag}></View>'
    export = [{"id": id, "data": data, "annotations": [{"id": id, "result": result}]}
              for id, (data, result) in enumerate(tasks, 1)]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / f"{name}.yaml"
        recipe.write_text(f"lsml: 1\nname: {name}\ntags: {{{tag}: {adapter}}}\nlabeling_config: '{config}'\n")
        file = Path(folder) / "export.json"
        file.write_text(json.dumps(export), encoding="utf-8")
        command = [sys.executable, "-m", "lsml", "simulate", str(recipe), str(file), "--seeds", str(seeds)]
        command += ["-o", f"{plot}-{name}.svg"] if plot else []
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Print the curves of each kind of data."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--texts", type=Path)
    options.add_argument("--entities", type=Path)
    options.add_argument("--only", default="texts,entities,columns", help="which kinds")
    options.add_argument("--most", type=int, default=2000, help="tasks of a kind")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("-o", "--output", help="the beginning of the names of the SVG files")
    given = options.parse_args()

    def kinds() -> Iterator[tuple[str, tuple[str, list[str], list[Task]]]]:
        for name in given.only.split(","):
            made = {"texts": lambda: of_texts(given.texts), "entities": lambda: of_entities(given.entities)}
            yield name, made.get(name, of_columns)()

    for name, (adapter, labels, tasks) in kinds():
        print(f"\n{name}")
        print(simulated(name, adapter, labels, tasks[: given.most], given.seeds, given.output), flush=True)


if __name__ == "__main__":
    main()
