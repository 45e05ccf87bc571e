"""Language adapters beside the bare library call, and how much each learns from how many examples.

    python benchmarks/language.py --weights NER_FOLDER --encoder ENCODER_FOLDER --entities ner.jsonl --topics topics.csv

- `ner` through /predict (lsml's Flask application, in this process), by torch and by what `accelerate` offers, beside the bare
  transformers pipeline, one text at a time and in its own batches, on 64 texts of mixed length.
- `ner-crf` beside CRFsuite's tagger on the same features.
- `text-embedding-classifier` on texts that it reads for the first time, and on the same again.
- `python -m benchmarks.language_rows` has the other adapters for language, sound and series, each beside its bare library.
- Learning curves, as a table and, with `--plot FILE.svg`, as a plot (needs matplotlib).

`--entities`: JSON lines {text, entities: [{start, end, label}], split: train | test}; `--topics`: CSV text,label,split. Without
them, without a model's folder, or without the library, the parts that need it say so and are left out. Times are medians of
`--rounds` alternating rounds in one run; only their ratios mean something on another machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lsml.adapters.base import Example, Target
from lsml.adapters.parts.word_features import features, stretches
from lsml.adapters.text.classifier import TextClassifier
from lsml.adapters.text.ner_crf import NerCrf
from lsml.metrics import judge
from lsml.values import Choice, Span

SIZES = (20, 100, 500, None)  # None: all
SEED = 7
RUNTIMES = ("torch", "onnx", "bfloat16", "auto")  # `accelerate`, where it is not torch


class Took(NamedTuple):
    """Seconds of a call, and of the processor in it."""

    wall: float
    cpu: float


def alternating(rounds: int, **calls: Callable[[], Any]) -> dict[str, Took]:
    """Median seconds of each call, in turn, after one round that does not count."""
    took: dict[str, list[Took]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter(), time.process_time()
            call()
            if turn:
                took[name].append(Took(time.perf_counter() - began[0], time.process_time() - began[1]))
    return {name: Took(*map(statistics.median, zip(*times, strict=True))) for name, times in took.items()}


def mixed(texts: Sequence[str], count: int = 64) -> list[str]:
    """Texts of mixed length: one sentence, two, up to eight, in turn."""
    made, place = [], 0
    for number in range(count):
        length = (1, 2, 1, 4, 1, 8, 2, 1)[number % 8]
        made.append(" ".join(texts[(place + step) % len(texts)] for step in range(length)))
        place += length
    return made


def ner_beside_the_pipeline(weights: Path, texts: list[str], rounds: int) -> None:
    import transformers

    from lsml.adapters.text.ner import Ner
    from lsml.recipe import load_recipe
    from lsml.server.app import create_app
    from lsml.store import Store
    from lsml.store.queue import open_queue

    names = Ner.class_names(Ner.Options(weights=str(weights)), Target())["span"]
    labels = "".join(f'<Label value="{name}"/>' for name in names)
    asked = {"tasks": [{"id": number, "data": {"text": text}} for number, text in enumerate(texts)]}
    pipeline = transformers.pipeline(
        "token-classification", model=str(weights), aggregation_strategy="average", device="cpu"
    )
    calls: dict[str, Callable[[], Any]] = {
        "one at a time": lambda: pipeline(texts),
        "batches of 16": lambda: pipeline(texts, batch_size=16),
    }
    with tempfile.TemporaryDirectory() as folder:
        stores = []
        for runtime in RUNTIMES:
            options = {"weights": str(weights), "max_length": 512}
            if runtime != "torch":
                options["accelerate"] = runtime
            recipe = Path(folder) / f"{runtime}.yaml"
            recipe.write_text(
                "lsml: 1\nname: ner\nserver: {cache: 0}\nlabeling_config: |\n"
                f'  <View><Labels name="e" toName="t">{labels}</Labels><Text name="t" value="$text"/></View>\n'
                f"tags:\n  Labels: {{adapter: ner, options: {json.dumps(options)}}}\n"
            )
            stores.append(Store(Path(folder) / runtime))
            client = create_app(load_recipe(recipe), stores[-1], open_queue(stores[-1].directory)).test_client()
            calls[runtime] = lambda client=client: client.post("/predict", json=asked).json["results"]
        times = alternating(rounds, **calls)
        theirs = [{(s["start"], s["end"], s["entity_group"]) for s in spans} for spans in pipeline(texts)]
        print(
            f"| `ner`, {len(texts)} texts through `/predict` | ms of the processor | of the pipeline one at a time | in time of the "
            "processor | of its batches of 16 | in time of the processor | the same spans |"
        )
        print("|---|--:|--:|--:|--:|--:|--:|")
        for runtime in RUNTIMES:
            ours = [
                {(r["value"]["start"], r["value"]["end"], *r["value"]["labels"]) for r in one["result"]}
                for one in calls[runtime]()
            ]
            alike = sum(len(a & b) for a, b in zip(ours, theirs, strict=True))
            either = sum(len(a | b) for a, b in zip(ours, theirs, strict=True))
            ratios = [
                theirs_took / mine
                for name in ("one at a time", "batches of 16")
                for theirs_took, mine in zip(times[name], times[runtime], strict=True)
            ]
            print(
                f"| {runtime} | {times[runtime].cpu * 1000:.0f} | {' | '.join(f'{one:.2f}x' for one in ratios)} | {alike} of {either} |",
                flush=True,
            )
        for store in stores:
            store.close()


def crf_beside_crfsuite(examples: Sequence[Example], texts: Sequence[str], rounds: int) -> None:
    adapter = NerCrf(NerCrf.Options(), Target(open=True))
    adapter.fit(examples, SEED)

    def bare() -> list[Any]:
        return [adapter._tagger.tag(features(one, adapter._lexicon)) for text in texts for one in stretches(text)]

    times = alternating(rounds, ours=lambda: adapter.predict(texts), bare=bare)
    print(
        f"ner-crf, {len(texts)} texts: {times['ours'].cpu / times['bare'].cpu:.2f}x the processor time of CRFsuite with the same features"
    )


def embeddings_twice(encoder: Path, texts: Sequence[str]) -> None:
    from lsml.adapters.text.embedding_classifier import Encoder, TextEmbeddingClassifier

    reader = Encoder("benchmark", TextEmbeddingClassifier.Options(encoder=str(encoder)))
    reader.rows(["warm up"])
    took = []
    for _ in range(2):
        began = time.perf_counter()
        reader.rows(texts)
        took.append(time.perf_counter() - began)
    print(
        f"embeddings, {len(texts)} texts: {took[0] * 1000:.0f} ms at first, {took[1] * 1000:.1f} ms again ({took[0] / took[1]:.0f}x)"
    )


def span_f1(adapter: Any, train: Sequence[Example], test: Sequence[Example]) -> float:
    adapter.fit(train, SEED)
    answered = adapter.predict([example.data for example in test])
    return float(judge(Span, [(e.values, spans) for e, spans in zip(test, answered, strict=True)])["value"])


def accuracy(adapter: Any, train: Sequence[Example], test: Sequence[Example]) -> float:
    adapter.fit(train, SEED)
    answered = adapter.predict([example.data for example in test])
    right = sum(
        max(v, key=lambda one: one.score).label == e.values[0].label for e, v in zip(test, answered, strict=True)
    )
    return right / len(test)


def new_ner(weights: Path, target: Target) -> Any:
    """As it learns by default."""
    from lsml.adapters.text.ner import Ner

    return Ner(Ner.Options(weights=str(weights)), target)


def curves(arguments: argparse.Namespace, entities: Any, topics: Any) -> dict[str, list[float]]:
    made: dict[str, tuple[Callable[[], Any], Any, Any]] = {}
    if entities:
        labels = tuple(sorted({span.label for example in entities[0] for span in example.values}))
        target = Target(labels, multiple=True)
        made["ner-crf (span F1)"] = (lambda: NerCrf(NerCrf.Options(), target), span_f1, entities)
        starts = {"a head": arguments.weights, "a plain encoder": arguments.encoder}
        for start, folder in starts.items():
            if folder:
                made[f"ner from {start} (span F1)"] = (partial(new_ner, folder, target), span_f1, entities)
    if topics:
        single = Target(tuple(sorted({example.values[0].label for example in topics[0]})))
        made["text-classifier (accuracy)"] = (
            lambda: TextClassifier(TextClassifier.Options(), single),
            accuracy,
            topics,
        )
        if arguments.encoder:
            from lsml.adapters.text.embedding_classifier import TextEmbeddingClassifier

            reading = TextEmbeddingClassifier.Options(encoder=str(arguments.encoder))
            made["text-embedding-classifier (accuracy)"] = (
                lambda: TextEmbeddingClassifier(reading, single),
                accuracy,
                topics,
            )
    rows: dict[str, list[float]] = {}
    for name, (new, score, (train, test)) in made.items():
        rows[name] = [score(new(), train[:size], test) for size in SIZES]
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in rows[name]) + " |", flush=True)
    return rows


def plot(rows: dict[str, list[float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["svg.hashsalt"] = "lsml"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for name, values in rows.items():
        axes.plot(range(len(values)), values, marker="o", label=name)
    axes.set_xticks(range(len(SIZES)), [str(size or "all") for size in SIZES])
    axes.set(xlabel="training examples", ylabel="score on the test split", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("weights", "encoder", "entities", "topics", "plot"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of torch; on a busy machine, 1 gives ratios that mean something")
    parser.add_argument("--no-curves", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault("LSML_CACHE_DIR", tempfile.mkdtemp(prefix="lsml-benchmark-"))
    if arguments.threads:
        import torch

        torch.set_num_threads(arguments.threads)
    entities = topics = None
    if arguments.entities:
        rows = [json.loads(line) for line in arguments.entities.read_text(encoding="utf-8").splitlines()]
        every = [
            (row["split"], Example(row["text"], tuple(Span(e["start"], e["end"], e["label"]) for e in row["entities"])))
            for row in rows
        ]
        entities = [e for split, e in every if split == "train"], [e for split, e in every if split != "train"]
    if arguments.topics:
        with arguments.topics.open(encoding="utf-8", newline="") as file:
            told = [(row["split"], Example(row["text"], (Choice(row["label"]),))) for row in csv.DictReader(file)]
        topics = [e for split, e in told if split == "train"], [e for split, e in told if split != "train"]
    if arguments.weights and entities:
        ner_beside_the_pipeline(arguments.weights, mixed([e.data for e in entities[1]]), arguments.rounds)
    else:
        print("ner: left out; it needs --weights and --entities")
    if entities:
        crf_beside_crfsuite(entities[0][:300], [e.data for e in entities[1]], arguments.rounds)
    else:
        print("ner-crf: left out; it needs --entities")
    if arguments.encoder and topics:
        embeddings_twice(arguments.encoder, [e.data for e in topics[1]])
    else:
        print("embeddings: left out; they need --encoder and --topics")
    if arguments.no_curves:
        return
    print("\n| adapter | " + " | ".join(str(size or "all") for size in SIZES) + " |")
    print("|---|" + "--:|" * len(SIZES))
    rows_of = curves(arguments, entities, topics)
    if arguments.plot and rows_of:
        plot(rows_of, arguments.plot)


if __name__ == "__main__":
    main()
