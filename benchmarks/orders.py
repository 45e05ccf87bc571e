"""Orders of annotating for learning.py: what `lsml simulate` finds on finished projects that are made of the same data."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from studies import METRICS, Asked, Study
from texts import examples_of_entities, examples_of_texts

from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.labeling.annotated import AnnotatedTask, Annotation
from lsml.learning.simulate import ORDERS, SimulationPlan, simulate
from lsml.learning.snapshot import read_examples
from lsml.recipe import load_recipe
from lsml.studio.connection import fetcher
from lsml.values import Box, Choice, Span

Result = list[dict[str, object]]
TEST = 0.25  # the share of tasks that `lsml simulate` judges by


class Project(NamedTuple):
    """A finished project: what stands in the recipe for its tag, and its tasks: their data and what was annotated."""

    model: str
    kind: type
    labels: list[str]
    tasks: list[tuple[dict[str, object], Result]]


TAGS = {
    Choice: ("Text", "Choices", "Choice"),
    Span: ("Text", "Labels", "Label"),
    Box: ("Image", "RectangleLabels", "Label"),
}


def _region(kind: str, value: dict[str, object]) -> dict[str, object]:
    return {"from_name": "answer", "to_name": "shown", "type": kind, "value": value}


def of_texts(path: Path | None, most: int) -> Project:
    """Return the project of texts, at most so many."""
    train, test = examples_of_texts(path)
    found = [(one.data, one.values[0].label) for one in (*train, *test)][:most]
    tasks = [({"shown": text}, [_region("choices", {"choices": [label]})]) for text, label in found]
    return Project("text-classifier", Choice, sorted({label for _, label in found}), tasks)


def of_entities(path: Path | None, most: int) -> Project:
    """Return the same of sentences with spans."""
    train, test = examples_of_entities(path)
    found = [*train, *test][:most]
    tasks = [
        ({"shown": one.data}, [
            _region("labels", {"start": span.start, "end": span.end, "labels": [span.label]}) for span in one.values
        ])
        for one in found
    ]  # fmt: skip
    return Project("ner-crf", Span, sorted({span.label for one in found for span in one.values}), tasks)


def of_columns() -> Project:
    """Return the same of the 569 tumours that scikit-learn brings."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [f"c{number}" for number in range(data.data.shape[1])]
    labels = [str(name) for name in data.target_names]
    tasks = [
        (
            {"shown": "a tumour", **dict(zip(names, map(float, row), strict=True))},
            [_region("choices", {"choices": [labels[target]]})],
        )
        for row, target in zip(data.data, data.target, strict=True)
    ]
    inputs = ", ".join(f"${name}" for name in names)
    return Project(f"{{adapter: tabular, inputs: [{inputs}]}}", Choice, labels, tasks)


def of_boxes(detection: Path | None, weights: Path, epochs: int, imgsz: int, folder: Path) -> Project:
    """Return the same of photos, or of 160 drawn pictures: most are empty, and one label is rare. Their files are in the
    folder afterwards.
    """
    import boxes

    parts = boxes.drawn(folder, 160, 0, scarce=True) if detection is None else boxes.photos(detection)
    tasks: list[tuple[dict[str, object], Result]] = []
    for number, one in enumerate((*parts["train"], *parts["val"])):
        name = f"picture-{number}{one.data.suffix}"
        shutil.copyfile(one.data, folder / name)
        tasks.append(({"shown": name}, [
            _region("rectanglelabels", {
                "x": 100 * box.x, "y": 100 * box.y, "width": 100 * box.width, "height": 100 * box.height,
                "rotation": 0, "rectanglelabels": [box.label],
            })
            for box in one.values
        ]))  # fmt: skip
    options = f"{{weights: {json.dumps(str(weights.resolve()))}, epochs: {epochs}, imgsz: {imgsz}}}"
    labels = sorted({box.label for one in parts["train"] for box in one.values})
    return Project(f"{{adapter: yolo, options: {options}}}", Box, labels, tasks)


def orders(project: Project, folder: Path | None = None) -> Study:
    """Return the study of each order, as `lsml simulate` simulates it. `folder`: where the files of tasks are."""
    judged = round(TEST * len(project.tasks))

    def measured(asked: Collection[Asked]) -> Iterator[tuple[Asked, float]]:
        for seed in sorted({one.seed for one in asked}):
            # The orders of one seed share their first and their last training.
            sizes = sorted({one.size for one in asked if one.seed == seed})
            for order, curve in _simulated(project, folder, seed, sizes).items():
                for size, value in curve:
                    if (one := Asked(order, size, seed)) in asked:
                        yield one, value

    compared = {order: ("random",) for order in ORDERS if order != "random"}
    tasks = len(project.tasks) - judged
    return Study(METRICS[project.kind], tasks, judged, ORDERS, compared, measured, split=True)


def _simulated(
    project: Project, folder: Path | None, seed: int, sizes: list[int]
) -> dict[str, list[tuple[int, float]]]:
    """Return each order's metric after each number of annotations."""
    shown, tag, inner = TAGS[project.kind]
    values = "".join(f"<{inner} value={quoteattr(label)}/>" for label in project.labels)
    xml = f'<View><{shown} name="shown" value="$shown"/><{tag} name="answer" toName="shown">{values}</{tag}></View>'
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "r.yaml"
        path.write_text(f"lsml: 1\nname: orders\ntags: {{{tag}: {project.model}}}\n", encoding="utf-8")
        recipe = load_recipe(path)
    binding = bind(recipe, parse_labeling_config(xml))
    tasks = [
        AnnotatedTask(str(id), data, (Annotation(str(id), result),))
        for id, (data, result) in enumerate(project.tasks, 1)
    ]
    with fetcher(recipe, None, by_person=True, beside=folder).hold() as fetch:
        examples, _ = read_examples(binding, tasks, fetch)
        plan = SimulationPlan(seeds=[seed], sizes=sizes)
        simulated = simulate(binding, binding.trainable, examples, fetch, plan)
    return {order: [(point.annotations, point.mean) for point in curve] for order, curve in simulated.curves.items()}
