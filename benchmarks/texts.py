"""Texts and sentences for learning.py: from files or drawn, with lsml's adapters and plain baselines that learn from them."""

from __future__ import annotations

import csv
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from studies import Learner, Study, study_of

from lsml.adapters import get_adapter
from lsml.adapters.base import Example, Target
from lsml.adapters.parts.text_spans import tokens
from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.learning.fit import fit
from lsml.metrics import judge
from lsml.recipe import load_recipe
from lsml.values import Choice, Span, Value

FOLDS = 5
_CRF = "CRF, standard features"


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


def auto(encoder: Path) -> Learner:
    """Return a learner by a recipe that lets cross-validation choose, as the gallery's intents.yaml does."""

    def learn(train: Sequence[Example], test: Sequence[Example], seed: int) -> list[Sequence[Value]]:
        labels = sorted({value.label for example in train for value in example.values})
        choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
        xml = f'<View><Text name="text" value="$text"/><Choices name="label" toName="text">{choices}</Choices></View>'
        embedding = f"{{adapter: text-embedding-classifier, options: {{encoder: {encoder}}}}}"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "r.yaml"
            models = f"[{embedding}, text-classifier]"
            path.write_text(f"lsml: 1\nname: learning\ntags: {{Choices: {{adapter: auto, models: {models}}}}}\n")
            model = fit(bind(load_recipe(path), parse_labeling_config(xml)).models[0], train)
        values = model.predict([example.data for example in test])
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
        learners["auto"] = auto(encoder)
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
    train, test = examples_of_texts(path)
    learners, plain = text_learners(encoder), ("TF-IDF + logistic regression", "TF-IDF + linear SVM")
    compared = {"text-classifier": plain}
    if encoder is not None:
        compared["auto"] = (*plain, "embedding + logistic regression")
    return study_of(train, test, Choice, learners, compared)


def entities(path: Path | None) -> Study:
    """Return the study of a file of sentences with spans, or of drawn ones."""
    train, test = examples_of_entities(path)
    return study_of(train, test, Span, {"ner-crf": adapter("ner-crf"), _CRF: crf}, {"ner-crf": (_CRF,)})


def examples_of_texts(path: Path | None) -> tuple[list[Example], list[Example]]:
    """Return (those to annotate, those to judge by) of a file of texts, or of drawn ones."""
    if path is None:
        rows = _drawn_texts()
    else:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(row["text"], row["label"], row["split"]) for row in csv.DictReader(file)]
    train, test = ([Example(text, (Choice(label),)) for text, label, of in rows if of == split]
                   for split in ("train", "test"))  # fmt: skip
    return train, test


def examples_of_entities(path: Path | None) -> tuple[list[Example], list[Example]]:
    """Return the same of a file of sentences with spans, or of drawn ones."""
    lines = _drawn_sentences() if path is None else map(json.loads, path.read_text(encoding="utf-8").splitlines())
    parts: dict[str, list[Example]] = {"train": [], "test": []}
    for line in lines:
        spans = tuple(Span(one["start"], one["end"], one["label"]) for one in line["entities"])
        parts[line["split"]].append(Example(line["text"], spans))
    return parts["train"], parts["test"]


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
