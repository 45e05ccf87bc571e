"""How well lsml's defaults learn from few annotations, beside plain baselines that cross-validation tunes.

    python benchmarks/learning.py [--texts FILE.csv] [--entities FILE.jsonl] [--encoder FOLDER] [--seeds 5]
                                  [--detection FOLDER] [--weights FILE.pt] [--epochs 12] [--imgsz 160]
                                  [--sizes 20,50,100,200,500,0] [--only NAME,NAME] [--kept RESULTS.jsonl] [-o PLOTS]

FILE.csv has the columns text, label and split (train, test); FILE.jsonl has lines with text, entities (start, end, label) and
split; what FOLDER has says boxes.py, and FILE.pt is a YOLO model to start from. A file that is not given is drawn. Size 0 is all of the training split. Each seed draws its own annotations, the same for
every learner; all are judged by the test split, texts by macro F1, entities by strict span F1 and boxes by mAP at 0.5. Results are kept in RESULTS, so
that a run can go on where it was stopped. Prints Markdown tables; PLOTS-texts.svg and PLOTS-entities.svg get the curves.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from lsml.adapters import adapter_names, get_adapter
from lsml.adapters.base import Example, Target
from lsml.adapters.parts.text_spans import tokens
from lsml.cli.chart import curves_svg
from lsml.learning.simulate import Point, Simulated, _need
from lsml.metrics import judge
from lsml.values import Box, Choice, Span, Value

METRICS = {Choice: "macro_f1", Span: "span_f1", Box: "map50"}

Learner = Callable[[Sequence[Example], Sequence[Example], int], list[Sequence[Value]]]
FOLDS = 5


class Study(NamedTuple):
    """One kind of data: its examples, and learners by name, those of lsml with their names as adapters."""

    train: list[Example]
    test: list[Example]
    learners: dict[str, Learner]
    kind: type


def adapter(name: str, **options: object) -> Learner:
    """Return a learner by an adapter of lsml as it comes."""

    def learn(train: Sequence[Example], test: Sequence[Example], seed: int) -> list[Sequence[Value]]:
        labels = sorted({value.label for example in train for value in example.values})
        model = get_adapter(name)(get_adapter(name).Options(**options), Target(tuple(labels)))
        model.fit(train, seed)
        values = model.predict([example.data for example in test])
        if all(isinstance(value, Span) for of_text in values for value in of_text):
            return list(values)
        return [[max(of_text, key=lambda value: value.score)] for of_text in values]

    return learn


def _folds(labels: Sequence[str]) -> int:
    """Return how many folds there can be: five, or fewer where labels are rare."""
    return max(2, min(FOLDS, *Counter(labels).values()))


def of_texts(estimator: object, grid: dict[str, list[object]], rows: Callable[[list[str]], object] | None) -> Learner:
    """Return a learner by an estimator of scikit-learn on TF-IDF, or on `rows`, with the best of a grid."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import Pipeline

    def learn(train: Sequence[Example], test: Sequence[Example], seed: int) -> list[Sequence[Value]]:
        labels = [example.values[0].label for example in train]
        given = [[example.data for example in some] for some in (train, test)]
        made, settings = estimator, grid
        if rows is None:
            made = Pipeline([("tfidf", TfidfVectorizer(sublinear_tf=True)), ("model", estimator)])
            settings = {f"model__{name}": values for name, values in grid.items()}
            settings["tfidf__ngram_range"] = [(1, 1), (1, 2)]
        else:
            given = [rows(texts) for texts in given]
        folds = StratifiedKFold(_folds(labels), shuffle=True, random_state=seed)
        search = GridSearchCV(made, settings, scoring="f1_macro", cv=folds)
        return [[Choice(label)] for label in search.fit(given[0], labels).predict(given[1])]

    return learn


def text_learners(encoder: Path | None) -> dict[str, Learner]:
    """Return the default and the baselines for texts; those with an encoder where there is one."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    closeness: list[object] = [0.3, 1, 3, 10, 30, 100]
    learners = {
        "text-classifier": adapter("text-classifier"),
        "TF-IDF + logistic regression": of_texts(LogisticRegression(max_iter=500), {"C": closeness}, None),
        "TF-IDF + linear SVM": of_texts(LinearSVC(), {"C": [0.03, 0.1, 0.3, 1, 3, 10]}, None),
    }
    if encoder is not None:
        embedding = get_adapter("text-embedding-classifier")
        reader = embedding(embedding.Options(encoder=str(encoder)), Target())
        learners["text-embedding-classifier"] = adapter("text-embedding-classifier", encoder=str(encoder))
        learners["embedding + logistic regression"] = of_texts(
            LogisticRegression(max_iter=500), {"C": closeness}, reader.features
        )
    return learners


def _seen(text: str) -> tuple[list[tuple[int, int]], list[dict[str, object]]]:
    """Return (the places, the standard features) of the words of a text: words, endings, case, neighbours."""
    words = list(tokens(text, 0, len(text)))
    rows: list[dict[str, object]] = []
    for place, word in enumerate(words):
        row: dict[str, object] = {"bias": 1.0}
        for step in (-1, 0, 1):
            if not 0 <= place + step < len(words):
                row["BOS" if step < 0 else "EOS"] = True
                continue
            form = words[place + step].text
            row |= {f"{step}lower": form.lower(), f"{step}title": form.istitle(), f"{step}upper": form.isupper()}
        row |= {"suffix3": word.text[-3:], "suffix2": word.text[-2:], "digit": word.text.isdigit()}
        rows.append(row)
    return [(word.start, word.end) for word in words], rows


def _tagged(example: Example) -> list[str]:
    """Return the B-, I- and O tags of a text's words."""
    spans = [value for value in example.values if isinstance(value, Span)]
    tags, before = [], None
    for start, end in _seen(example.data)[0]:
        span = next((one for one in spans if one.start < end and start < one.end), None)
        tags.append("O" if span is None else f"{'I' if span is before else 'B'}-{span.label}")
        before = span
    return tags


def _crf(train: Sequence[Example], test: Sequence[Example], c1: float, c2: float) -> list[Sequence[Value]]:
    import pycrfsuite

    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c1": c1, "c2": c2, "max_iterations": 100, "feature.possible_transitions": True})
    for example in train:
        trainer.append(_seen(example.data)[1], _tagged(example))
    with tempfile.TemporaryDirectory() as folder:
        trainer.train(f"{folder}/model")
        tagger = pycrfsuite.Tagger()
        tagger.open(f"{folder}/model")
        return [_spans(*_seen(example.data), tagger) for example in test]


def _spans(places: list[tuple[int, int]], rows: list[dict[str, object]], tagger: object) -> list[Value]:
    found: list[Span] = []
    before = "O"
    for (start, end), tag in zip(places, tagger.tag(rows), strict=True):
        if tag != "O" and tag[0] == "I" and before[1:] == tag[1:]:
            found[-1] = Span(found[-1].start, end, tag[2:])
        elif tag != "O":
            found.append(Span(start, end, tag[2:]))
        before = tag
    return list(found)


def crf(train: Sequence[Example], test: Sequence[Example], seed: int) -> list[Sequence[Value]]:
    """A conditional random field with standard features, its regularisation by cross-validation."""
    folds = [list(range(part, len(train), 3)) for part in range(3)]
    best, chosen = -1.0, (0.1, 0.1)
    for setting in ((0.1, 0.1), (0.0, 0.1), (0.0, 1.0), (0.01, 0.01)):
        pairs = []
        for left in folds:
            kept = [example for place, example in enumerate(train) if place not in left]
            asked = [train[place] for place in left]
            pairs += zip([one.values for one in asked], _crf(kept, asked, *setting), strict=True)
        figure = judge(Span, pairs)["value"] or 0.0
        if figure > best:
            best, chosen = figure, setting
    return _crf(train, test, *chosen)


def texts(path: Path | None, encoder: Path | None) -> Study:
    """Return the study of a file of texts, or of drawn ones."""
    if path is None:
        rows = _drawn_texts()
    else:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(row["text"], row["label"], row["split"]) for row in csv.DictReader(file)]
    parts = {split: [Example(text, (Choice(label),)) for text, label, of in rows if of == split]
             for split in ("train", "test")}  # fmt: skip
    return Study(parts["train"], parts["test"], text_learners(encoder), Choice)


def entities(path: Path | None) -> Study:
    """Return the study of a file of sentences with spans, or of drawn ones."""
    lines = _drawn_sentences() if path is None else map(json.loads, path.read_text(encoding="utf-8").splitlines())
    parts: dict[str, list[Example]] = {"train": [], "test": []}
    for line in lines:
        spans = tuple(Span(one["start"], one["end"], one["label"]) for one in line["entities"])
        parts[line["split"]].append(Example(line["text"], spans))
    return Study(parts["train"], parts["test"], {"ner-crf": adapter("ner-crf"), "CRF, standard features": crf}, Span)


def detection(folder: Path | None, weights: Path, epochs: int, imgsz: int, drawn_in: Path) -> Study:
    """Return the study of a folder of photos, or of pictures that are drawn into another one."""
    import boxes

    parts = boxes.drawn(drawn_in) if folder is None else boxes.photos(folder)
    return Study(parts["train"], parts["val"], boxes.learners(weights, epochs, imgsz), Box)


def _word(draw: random.Random) -> str:
    return "".join(draw.choice("bdfgklmnprst") + draw.choice("aeiou") for _ in range(draw.randint(2, 3)))


def _drawn_texts() -> list[tuple[str, str, str]]:
    """Texts of eight words, of which two or three tell one of six labels; one in ten has another label than they tell."""
    draw = random.Random(1)
    filler = [_word(draw) for _ in range(300)]
    said = {f"topic {number}": [_word(draw) for _ in range(40)] for number in range(6)}
    rows = []
    for number in range(1200):
        label = draw.choice(sorted(said))
        words = [*draw.sample(said[label], draw.randint(2, 3)), *draw.sample(filler, 6)]
        draw.shuffle(words)
        shown = draw.choice(sorted(said)) if draw.random() < 0.1 else label
        rows.append((" ".join(words), shown, "train" if number < 800 else "test"))
    return rows


def _drawn_sentences() -> list[dict[str, object]]:
    """Sentences that name a person, a place, or both, half of them with new names."""
    draw = random.Random(2)
    cues = {"Person": ["said", "met", "asked", "thanked"], "Place": ["in", "near", "from", "through"]}
    lines = []
    for number in range(900):
        text, spans = "", []
        for _ in range(draw.randint(2, 6)):
            text += f"{_word(draw)} "
            if draw.random() < 0.4:
                label = draw.choice(sorted(cues))
                name = " ".join(_word(draw).title() for _ in range(draw.randint(1, 2)))
                text += f"{draw.choice(cues[label])} "
                spans.append({"start": len(text), "end": len(text) + len(name), "label": label})
                text += f"{name} "
        lines.append({"text": text.strip(), "entities": spans, "split": "train" if number < 600 else "test"})
    return lines


def figures(
    study: Study, sizes: Sequence[int], seeds: int, kept: Path | None, name: str
) -> dict[tuple[str, int], list[float]]:
    """Return the metric of each seed, by learner and size, from `kept` where it is there."""
    found: dict[tuple[str, int, int], float] = {}
    if kept is not None and kept.exists():
        for line in map(json.loads, kept.read_text(encoding="utf-8").splitlines()):
            if line["study"] == name:
                found[line["learner"], line["size"], line["seed"]] = line["value"]
    all_sizes = sorted({min(size or len(study.train), len(study.train)) for size in sizes})
    # All annotations are the same whatever the seed.
    tries = {size: 1 if size == len(study.train) else seeds for size in all_sizes}
    for size in all_sizes:
        for seed in range(tries[size]):
            train = random.Random(seed).sample(study.train, size)
            for learner, learn in study.learners.items():
                if (learner, size, seed) in found:
                    continue
                guesses = learn(train, study.test, seed)
                pairs = [(example.values, guess) for example, guess in zip(study.test, guesses, strict=True)]
                value = found[learner, size, seed] = float(judge(study.kind, pairs)["value"] or 0.0)
                if kept is not None:
                    line = {"study": name, "learner": learner, "size": size, "seed": seed, "value": value}
                    with kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
    return {
        (learner, size): [found[learner, size, seed] for seed in range(tries[size])]
        for learner in study.learners
        for size in all_sizes
    }


def half(values: Sequence[float]) -> float:
    """Return half of the 95 % interval of a mean."""
    if len(values) < 2:
        return 0.0
    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5


def table(found: dict[tuple[str, int], list[float]]) -> str:
    """Return a Markdown table: a row for each learner, a column for each size, means with half their intervals."""
    learners, sizes = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    rows = ["| learner | " + " | ".join(f"{size:,}" for size in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for learner in learners:
        cells = [_cell(found[learner, size]) for size in sizes]
        rows.append(f"| {learner} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _cell(values: Sequence[float]) -> str:
    around = f" ± {half(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{around}"


def plot(found: dict[tuple[str, int], list[float]], study: Study, title: str) -> str:
    """Return the curves as an SVG image."""
    curves: dict[str, list[Point]] = {}
    for (learner, size), values in found.items():
        mean, around = float(np.mean(values)), half(values)
        curves.setdefault(learner, []).append(Point(size, mean, max(0.0, mean - around), min(1.0, mean + around)))
    target = round(0.95 * max(curve[-1].mean for curve in curves.values()), 2)
    needs = {name: _need(curve, target) for name, curve in curves.items() if name in adapter_names()}
    seeds = max(map(len, found.values()))
    return curves_svg(
        Simulated(METRICS[study.kind], len(study.train), len(study.test), seeds, target, curves, needs), title
    )


def main() -> None:
    """Print the tables, and draw the plots."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--texts", "--entities", "--encoder", "--kept", "--detection", "--weights"):
        options.add_argument(name, type=Path)
    options.add_argument("--epochs", type=int, default=12, help="of detection")
    options.add_argument("--imgsz", type=int, default=160, help="the side of pictures in detection, in pixels")
    options.add_argument("-o", "--output", help="the beginning of the names of the SVG files")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--sizes", default="20,50,100,200,500,0")
    options.add_argument("--only", default="texts,entities", help="which studies")
    given = options.parse_args()
    warnings.simplefilter("ignore")  # of labels that are rare, and of fits that stop early
    sizes = [int(size) for size in given.sizes.split(",")]
    folder = tempfile.TemporaryDirectory()
    studies: dict[str, Callable[[], Study]] = {
        "texts": lambda: texts(given.texts, given.encoder),
        "entities": lambda: entities(given.entities),
        "detection": lambda: detection(given.detection, given.weights, given.epochs, given.imgsz, Path(folder.name)),
    }
    for name in given.only.split(","):
        study = studies[name]()
        found = figures(study, sizes, given.seeds, given.kept, name)
        print(f"\n{name}: {len(study.train):,} to annotate, {len(study.test):,} to judge by, {given.seeds} seeds\n")
        print(table(found), flush=True)
        if given.output:
            Path(f"{given.output}-{name}.svg").write_text(plot(found, study, name), encoding="utf-8")


if __name__ == "__main__":
    main()
