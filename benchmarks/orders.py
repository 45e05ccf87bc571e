"""In which order to annotate: `lsml simulate` on four kinds of data, beside random.

    python benchmarks/orders.py [--texts FILE.csv] [--entities FILE.jsonl] [--detection FOLDER] [--weights FILE.pt]
                                [--epochs 10] [--imgsz 96] [--only texts,entities,columns] [--most 2000] [--seeds 3]
                                [-o PLOTS]

The files are those of learning.py; one that is not given is drawn: of boxes (`--only boxes`), 160 pictures, of which most are
empty, with a rare label. The columns are the 569 tumours that scikit-learn brings. All examples of a kind, at most so many,
become an export; its curves are printed as `lsml simulate` prints them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

from learning import entities, texts

Task = tuple[dict[str, object], list[dict[str, object]]]
Kind = tuple[str, list[str], list[Task]]  # the adapter's line, the labels, the tasks


def choice(label: str) -> list[dict[str, object]]:
    """Return the result of one annotated choice."""
    return [{"from_name": "answer", "to_name": "shown", "type": "choices", "value": {"choices": [label]}}]


def of_texts(path: Path | None) -> Kind:
    """Return (the adapter's line, the labels, the tasks) of texts."""
    study = texts(path, None)
    found = [(one.data, one.values[0].label) for one in (*study.train, *study.test)]
    return (
        "text-classifier",
        sorted({label for _, label in found}),
        [({"text": t}, choice(label)) for t, label in found],
    )


def of_entities(path: Path | None) -> Kind:
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


def of_columns() -> Kind:
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


def of_boxes(detection: Path | None, weights: Path, epochs: int, imgsz: int, folder: Path) -> Kind:
    """Return the same of photos or drawn pictures, whose files are in the folder afterwards."""
    import boxes

    parts = boxes.drawn(folder, 160, 0, scarce=True) if detection is None else boxes.photos(detection)
    tasks: list[Task] = []
    for number, one in enumerate((*parts["train"], *parts["val"])):
        name = f"picture-{number}{one.data.suffix}"
        shutil.copyfile(one.data, folder / name)
        tasks.append(({"image": name}, [
            {"from_name": "answer", "to_name": "shown", "type": "rectanglelabels",
             "value": {"x": 100 * box.x, "y": 100 * box.y, "width": 100 * box.width, "height": 100 * box.height,
                       "rotation": 0, "rectanglelabels": [box.label]}}
            for box in one.values
        ]))  # fmt: skip
    options = f"{{weights: {weights.resolve()}, epochs: {epochs}, imgsz: {imgsz}}}"
    labels = sorted({box.label for one in parts["train"] for box in one.values})
    return f"{{adapter: yolo, options: {options}}}", labels, tasks


def simulated(name: str, kind: Kind, most: int, seeds: int, plot: str | None, folder: Path) -> str:
    """Return what `lsml simulate` prints of the tasks, at most so many, whose files are in the folder."""
    adapter, labels, tasks = kind
    tag, inner = {"entities": ("Labels", "Label"), "boxes": ("RectangleLabels", "Label")}.get(
        name, ("Choices", "Choice")
    )
    shown = '<Image name="shown" value="$image"/>' if name == "boxes" else '<Text name="shown" value="$text"/>'
    values = "".join(f"<{inner} value={quoteattr(label)}/>" for label in labels)
    config = f'<View>{shown}<{tag} name="answer" toName="shown">{values}</{tag}></View>'
    export = [{"id": id, "data": data, "annotations": [{"id": id, "result": result}]}
              for id, (data, result) in enumerate(tasks[:most], 1)]  # fmt: skip
    recipe, file = folder / f"{name}.yaml", folder / "export.json"
    recipe.write_text(f"lsml: 1\nname: {name}\ntags: {{{tag}: {adapter}}}\nlabeling_config: '{config}'\n")
    file.write_text(json.dumps(export), encoding="utf-8")
    command = [sys.executable, "-m", "lsml", "simulate", str(recipe), str(file), "--seeds", str(seeds)]
    command += ["-o", f"{plot}-{name}.svg"] if plot else []
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Print the curves of each kind of data."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--texts", type=Path)
    options.add_argument("--entities", type=Path)
    options.add_argument("--detection", type=Path)
    options.add_argument("--weights", type=Path, default=Path("yolov8n.pt"))
    options.add_argument("--epochs", type=int, default=10)
    options.add_argument("--imgsz", type=int, default=96)
    options.add_argument("--only", default="texts,entities,columns", help="which kinds")
    options.add_argument("--most", type=int, default=2000, help="tasks of a kind")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("-o", "--output", help="the beginning of the names of the SVG files")
    given = options.parse_args()

    for name in given.only.split(","):
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            made: dict[str, Callable[[], Kind]] = {
                "texts": lambda: of_texts(given.texts),
                "entities": lambda: of_entities(given.entities),
                "boxes": lambda: of_boxes(given.detection, given.weights, given.epochs, given.imgsz, folder),  # noqa: B023
            }
            kind = made.get(name, of_columns)()
            print(f"\n{name}")
            print(simulated(name, kind, given.most, given.seeds, given.output, folder), flush=True)


if __name__ == "__main__":
    main()
