"""Language, sound and series adapters beside what one writes with the bare library: time, memory and quality.

    python -m benchmarks.language_rows [--quick] [ROW ...]

Each side of each row runs in a process of its own, with one thread, forked from this one, which has imported the libraries. It builds
its model (and trains it, where it learns), answers once, and then answers three times (`--quick`: once, to fewer inputs). *ms*: processor time of one answer to all inputs,
the median of these times, which a busy machine changes little. *MiB*: the most memory beyond that of the imports. Texts, sounds and series
are drawn. `gliner` and `seq2seq` begin with random weights, and `llm` and `remote` ask a server of the tests, as no package brings a small
model: there the quality shows that both do the same. What a row lacks on this machine is said. Needs a system that can fork.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import permutations
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lsml.adapters import get_adapter
from lsml.adapters.base import Example, Question, Target
from lsml.labeling.items import Items
from lsml.metrics import judge
from lsml.values import Choice, Interval, Moment, Ranking, Relation, Span

SEED = 7


class Side(NamedTuple):
    """One side of a row: `answer` takes the number of the round, `quality` what it answered."""

    answer: Callable[[int], Any]
    quality: Callable[[Any], float]


class Row(NamedTuple):
    """`few`, `many`: inputs with `--quick`, and without; `make`: returns lsml's side (True) or the bare one, for so many;
    `needs`: modules that are imported first.
    """

    bare: str
    metric: str
    few: int
    many: int
    make: Callable[[bool, int, Path], Side]
    needs: tuple[str, ...] = ()


def fitted(name: str, target: Target, examples: Sequence[Example], **options: Any) -> Any:
    adapter = made(name, target, **options)
    adapter.fit(examples, SEED)
    return adapter


def made(name: str, target: Target, **options: Any) -> Any:
    import msgspec

    kind = get_adapter(name)
    return kind(msgspec.convert(options, kind.Options), target)


def share(right: Sequence[bool]) -> float:
    return sum(right) / len(right)


def best(values: Sequence[Any]) -> Any:
    return max(values, key=lambda one: one.score)


def told(text: str, turn: int) -> str:
    """A text that no cache has seen."""
    return f"{text} {turn}"


def tickets(count: int, seed: int) -> list[tuple[str, str]]:
    from tests.conftest import tickets

    return tickets(count, seed)


# --- texts -----------------------------------------------------------------------------------------------------------


def zero_shot(ours: bool, count: int, _folder: Path) -> Side:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from tests.support.transformer_models import sentence_encoder

    pairs, folder = tickets(count, 3), str(sentence_encoder())
    labels = tuple(sorted({label for _, label in pairs}))

    def right(answers: Sequence[str]) -> float:
        return share([said == label for said, (_, label) in zip(answers, pairs, strict=True)])

    if ours:
        target = Target(labels, questions=(Question("topic", "choice", labels),))
        adapter = made("zero-shot", target, encoder=folder, device="cpu")
        return Side(
            lambda turn: [best(v).label for v in adapter.predict([told(text, turn) for text, _ in pairs])], right
        )
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)

    def rows(texts: list[str]) -> Any:
        inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**inputs).last_hidden_state
        seen = inputs["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((hidden * seen).sum(1) / seen.sum(1))

    def answer(turn: int) -> list[str]:
        near = (
            rows([told(text, turn) for text, _ in pairs]) @ rows([f"This text is about {label}." for label in labels]).T
        )
        return [labels[place] for place in near.argmax(1).tolist()]

    return Side(answer, right)


def gliner(ours: bool, count: int, folder: Path) -> Side:
    from tests.support.sentences import sentences
    from tests.support.transformer_models import tiny_gliner

    labels, tests = ("PER", "LOC"), sentences(count, seed=9)
    texts = [example.data for example in tests]
    start = tiny_gliner(folder / "start", [example.data for example in sentences(60)])
    target = Target(labels, multiple=True, questions=(Question("e", "span", labels, True),))
    tuning = {"learning_rate": 5e-3, "epochs": 25, "train_batch": 4, "device": "cpu"}
    adapter = fitted("gliner", target, sentences(36), weights=str(start), **tuning)

    def f1(answers: Any) -> float:
        return float(judge(Span, [(one.values, said) for one, said in zip(tests, answers, strict=True)])["value"])

    if ours:
        return Side(lambda _: adapter.predict(texts), f1)
    from gliner import GLiNER

    (folder / "learnt").mkdir()
    adapter.save(folder / "learnt")
    model = GLiNER.from_pretrained(str(folder / "learnt"), local_files_only=True)

    def answer(_: int) -> list[list[Span]]:
        return [
            [
                Span(one["start"], one["end"], one["label"], one["score"])
                for one in model.predict_entities(text, list(labels))
            ]
            for text in texts
        ]

    return Side(answer, f1)


def seq2seq(ours: bool, count: int, folder: Path) -> Side:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    from lsml.values import Text
    from tests.support.transformer_models import tiny_seq2seq

    answers = {"Billing": "about money", "Bug": "it is broken", "Question": "needs help"}
    pairs = tickets(count, 5)
    start = tiny_seq2seq(folder / "start", [*(text for text, _ in tickets(80, 0)), *answers.values()])
    examples = [Example(text, (Text(answers[label]),)) for text, label in tickets(60, 7)]
    tuning = {"learning_rate": 5e-3, "epochs": 20, "device": "cpu", "max_answer": 8}
    adapter = fitted("seq2seq", Target(), examples, weights=str(start), **tuning)

    def right(said: Sequence[str]) -> float:
        return share([one == answers[label] for one, (_, label) in zip(said, pairs, strict=True)])

    if ours:
        return Side(lambda _: [one.text for [one] in adapter.predict([text for text, _ in pairs])], right)
    (folder / "learnt").mkdir()
    adapter.save(folder / "learnt")
    model, tokenizer = (kind.from_pretrained(folder / "learnt") for kind in (AutoModelForSeq2SeqLM, AutoTokenizer))

    def answer(_: int) -> list[str]:
        with torch.inference_mode():
            made = [
                model.eval().generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=8) for text, _ in pairs
            ]
        return [tokenizer.decode(row[0], skip_special_tokens=True).strip() for row in made]

    return Side(answer, right)


def dates(ours: bool, count: int, _folder: Path) -> Side:
    def letters(number: int, seed: int) -> list[Example]:
        draw, found = random.Random(seed), []
        for _ in range(number):
            days = {
                name: f"2026-{draw.randint(1, 12):02d}-{draw.randint(13, 28):02d}" for name in ("sent", "due", "born")
            }
            parts = [f"it was {name} on {day} ." for name, day in days.items()]
            draw.shuffle(parts)
            found.append(Example(" ".join(parts), (Moment(days["due"]),)))
        return found

    tests = letters(count, 2)

    def right(answers: Sequence[str]) -> float:
        return share([said == one.values[0].at for said, one in zip(answers, tests, strict=True)])

    if ours:
        adapter = fitted("dates", Target(), letters(40, 1))
        return Side(lambda _: [best(v).at for v in adapter.predict([one.data for one in tests])], right)
    from dateparser.search import search_dates

    def first(text: str) -> str:
        found = search_dates(text, languages=["en"])
        return found[0][1].date().isoformat() if found else ""

    return Side(lambda _: [first(one.data) for one in tests], right)


def relations(ours: bool, count: int, _folder: Path) -> Side:
    from tests.support.companies import LABELS, example

    tests = [example(seed) for seed in range(100, 100 + count)]

    def f1(answers: Any) -> float:
        return float(judge(Relation, [(one.values, said) for one, said in zip(tests, answers, strict=True)])["value"])

    train = [example(seed) for seed in range(30)]
    if ours:
        adapter = fitted("relations", Target(LABELS, multiple=True, kinds={"relation": LABELS}), train, C=10)
        return Side(
            lambda _: [[v for v in some if v.score >= 0.5] for some in adapter.predict([one.data for one in tests])], f1
        )
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def pairs(marked: Any) -> Iterator[tuple[str, str, str]]:
        for one, to in permutations(range(len(marked.regions)), 2):
            a, b = marked.regions[one], marked.regions[to]
            between = marked.text[min(a.end, b.end) : max(a.start, b.start)]
            words = " ".join(f"between_{word}" for word in between.split())
            yield (
                f"from_{a.label} to_{b.label} {'after' if one > to else 'before'} {words}",
                marked.ids[one],
                marked.ids[to],
            )

    rows = [
        (text, {(v.source, v.target): v.label for v in one.values}.get((a, b), ""))
        for one in train
        for text, a, b in pairs(one.data)
    ]
    model = make_pipeline(CountVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10, max_iter=1000))
    model.fit(*zip(*rows, strict=True))

    def answer(_: int) -> list[list[Relation]]:
        found = []
        for one in tests:
            some = list(pairs(one.data))
            said = model.predict([text for text, _, _ in some])
            found.append(
                [Relation(a, b, str(label), 1.0) for (_, a, b), label in zip(some, said, strict=True) if label]
            )
        return found

    return Side(answer, f1)


# --- comparisons -----------------------------------------------------------------------------------------------------

WORTH = {"thanks": 2.0, "please": 1.5, "sorry": 1.0, "well": 0.0, "hm": -0.5, "no": -1.5, "never": -2.0}


def compared(count: int, seed: int, size: int) -> list[tuple[tuple[str, ...], list[int]]]:
    """(texts, their places from the best one on): people prefer friendlier words."""
    draw, found = random.Random(seed), []
    for _ in range(count):
        texts = tuple(" ".join(draw.choices([*WORTH, "the", "card", "is"], k=6)) for _ in range(size))
        worth = [sum(WORTH.get(word, 0.0) for word in text.split()) for text in texts]
        found.append((texts, sorted(range(size), key=lambda place: -worth[place])))
    return found


def ordered(ours: bool, count: int, size: int) -> Side:
    """Pairs for size 2, lists for more; the quality is the share of pairs in the right order."""
    train, tests = compared(300 // size, 1, size), compared(count, 2, size)
    names = ("left", "right") if size == 2 else tuple(f"n{place}" for place in range(size))

    def right(orders: Sequence[Sequence[int]]) -> float:
        return share(
            [
                said.index(a) < said.index(b)
                for said, (_, order) in zip(orders, tests, strict=True)
                for place, a in enumerate(order)
                for b in order[place + 1 :]
            ]
        )

    if ours:
        target = Target(names, kinds={"choice": names}) if size == 2 else Target((), kinds={"ranking": ()})

        def value(order: Sequence[int]) -> Choice | Ranking:
            return Choice(names[order[0]]) if size == 2 else Ranking(tuple(names[place] for place in order), ())

        adapter = fitted("pairwise", target, [Example(Items(names, texts), (value(order),)) for texts, order in train])

        def places(values: Any) -> list[int]:
            if size == 2:
                return [names.index(one.label) for one in sorted(values, key=lambda one: -one.score)]
            return [names.index(name) for name in values[0].order]

        batch = [Items(names, texts) for texts, _ in tests]
        return Side(lambda _: [places(values) for values in adapter.predict(batch)], right)
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectors = TfidfVectorizer(ngram_range=(1, 2)).fit([text for texts, _ in train for text in texts])
    rows = [[vectors.transform([text]) for text in texts] for texts, _ in train]
    from scipy.sparse import vstack

    won = [
        some[a] - some[b]
        for some, (_, order) in zip(rows, train, strict=True)
        for place, a in enumerate(order)
        for b in order[place + 1 :]
    ]
    model = LogisticRegression(fit_intercept=False, max_iter=1000)
    model.fit(vstack([*won, *(-row for row in won)]), [1] * len(won) + [0] * len(won))

    def answer(_: int) -> list[list[int]]:
        scores = model.decision_function(vectors.transform([text for texts, _ in tests for text in texts]))
        return [np.argsort(-some).tolist() for some in scores.reshape(-1, size)]

    return Side(answer, right)


# --- sounds and series -----------------------------------------------------------------------------------------------


def speech(ours: bool, count: int, folder: Path) -> Side:
    import jiwer

    from lsml.adapters.sound.whisper import load_whisper
    from tests.support.speaking import SENTENCES, spoken

    paths = [spoken(folder / f"{number}.wav", text) for number, text in enumerate(SENTENCES[:count])]
    plain = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.ReduceToListOfListOfWords()])

    def wrong(said: list[str]) -> float:
        return float(jiwer.wer(list(SENTENCES[:count]), said, reference_transform=plain, hypothesis_transform=plain))

    if ours:
        adapter = made("speech", Target(), model="base", beam=1, language="en", device="cpu", threads=1)
        return Side(lambda _: [v[0].text if v else "" for v in adapter.predict(paths)], wrong)
    model = load_whisper("base", "cpu", 1)  # the library's own model

    def heard(path: Path) -> str:
        return " ".join(part.text.strip() for part in model.transcribe(str(path), language="en", beam_size=1)[0])

    return Side(lambda _: [heard(path) for path in paths], wrong)


def sounds(ours: bool, count: int, folder: Path) -> Side:
    from tests.support.sounds import KINDS, clips

    train, tests = clips(folder, range(10)), clips(folder, range(100, 100 + count))

    def right(said: Sequence[str]) -> float:
        return share([one == kind for one, (_, kind) in zip(said, tests, strict=True)])

    if ours:
        examples = [Example(path, (Choice(kind),)) for path, kind in train]
        adapter = fitted("audio-classifier", Target(KINDS), examples)
        return Side(lambda _: [best(v).label for v in adapter.predict([path for path, _ in tests])], right)
    import soundfile
    from scipy.signal import spectrogram
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def row(path: Path) -> Any:
        samples, rate = soundfile.read(path, dtype="float32")
        bands = np.log(spectrogram(samples, rate, nperseg=400)[2] + 1e-10)
        return np.concatenate([bands.mean(1), bands.std(1)])

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit([row(path) for path, _ in train], [kind for _, kind in train])
    return Side(lambda _: list(model.predict([row(path) for path, _ in tests])), right)


def series(ours: bool, count: int, _folder: Path) -> Side:
    from benchmarks.series import Baseline
    from tests.support.signals import ACTIVITIES, activities

    train, tests = activities(range(10)), activities(range(100, 100 + count))

    def f1(answers: Any) -> float:
        return float(judge(Interval, [(one.values, said) for one, said in zip(tests, answers, strict=True)])["value"])

    if ours:
        adapter = fitted("time-series", Target(ACTIVITIES, multiple=True, kinds={"interval": ACTIVITIES}), train)
    else:
        adapter = Baseline(1.0)
        adapter.fit(train)
    return Side(lambda _: adapter.predict([one.data for one in tests]), f1)


# --- services --------------------------------------------------------------------------------------------------------


@contextmanager
def elsewhere(module: str, name: str) -> Iterator[str]:
    """The URL of a server of the tests, in a process of its own."""
    here, there = multiprocessing.Pipe()

    def serve(pipe: Connection) -> None:
        with getattr(importlib.import_module(module), name)() as web:
            pipe.send(web.url)
            pipe.recv()

    process = multiprocessing.get_context("fork").Process(target=serve, args=(there,))
    process.start()
    try:
        yield here.recv()
    finally:
        here.send(None)
        process.join()


def llm(ours: bool, count: int, folder: Path) -> Side:
    from tests.support.language_model import KEY, MODEL

    url, pairs = (folder / "url").read_text(), tickets(count, 3)
    labels = tuple(sorted({label for _, label in pairs}))
    texts = [f"{text} {label}" for text, label in pairs]

    def right(said: Sequence[str]) -> float:
        return share([one == label for one, (_, label) in zip(said, pairs, strict=True)])

    if ours:
        target = Target(labels, questions=(Question("topic", "choice", labels),))
        adapter = made("llm", target, base_url=f"{url}/v1", model=MODEL, api_key=KEY)
        return Side(lambda turn: [best(v).label for v in adapter.predict([told(t, turn) for t in texts])], right)
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY)
    one = {
        "type": "object",
        "properties": {"topic": {"type": "string", "enum": list(labels)}},
        "required": ["topic"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": one}}

    def answer(turn: int) -> list[str]:
        said = []
        for text in texts:
            shown = f"<document {'0' * 24}>\n{told(text, turn)}\n</document {'0' * 24}>"
            asked = [{"role": "system", "content": "Classify the document."}, {"role": "user", "content": shown}]
            made = client.chat.completions.create(model=MODEL, messages=asked, response_format=form)  # type: ignore[call-overload]
            said.append(json.loads(made.choices[0].message.content)["topic"])
        return said

    return Side(answer, right)


def remote(ours: bool, count: int, folder: Path) -> Side:
    url, pairs = (folder / "url").read_text(), tickets(count, 3)

    def right(said: Sequence[str]) -> float:
        return share(
            [one == ("Bug" if "crash" in text else "Billing") for one, (text, _) in zip(said, pairs, strict=True)]
        )

    if ours:
        options = {"url": f"{url}/v1/read", "private": True, "each": "topics[*]", "authorization": "Bearer sesame"}
        adapter = made("remote", Target(("Billing", "Bug"), kinds={"choice": ("Billing", "Bug")}), **options)
        return Side(lambda _: [best(v).label for v in adapter.predict([text for text, _ in pairs])], right)
    from urllib.request import Request, urlopen

    def asked(text: str) -> str:
        headers = {"Content-Type": "application/json", "Authorization": "Bearer sesame"}
        with urlopen(Request(f"{url}/v1/read", json.dumps({"text": text}).encode(), headers)) as answer:
            return str(json.load(answer)["topics"][0]["label"])

    return Side(lambda _: [asked(text) for text, _ in pairs], right)


SERVERS = {"llm": ("tests.support.language_model", "language_model"), "remote": ("tests.support.service", "service")}
ROWS = {
    "zero-shot": Row(
        "transformers, mean of the tokens, cosine", "accuracy", 30, 300, zero_shot, ("torch", "transformers")
    ),
    "gliner": Row(
        "`GLiNER.predict_entities`, one text at a time", "span F1", 24, 200, gliner, ("torch", "transformers", "gliner")
    ),
    "seq2seq": Row("`generate`, one text at a time", "accuracy", 30, 200, seq2seq, ("torch", "transformers")),
    "llm": Row("the openai client, one request after the other", "accuracy", 20, 100, llm, ("openai", "httpx")),
    "remote": Row("urllib, one request after the other", "accuracy", 20, 200, remote, ("httpx",)),
    "dates": Row(
        "`dateparser.search_dates`, the first date",
        "accuracy",
        10,
        100,
        dates,
        ("dateparser.search", "sklearn.linear_model"),
    ),
    "relations": Row("scikit-learn on the words between", "relation F1", 20, 100, relations, ("sklearn.linear_model",)),
    "pairwise": Row(
        "scikit-learn on the difference of TF-IDF",
        "accuracy",
        100,
        1000,
        lambda ours, count, _: ordered(ours, count, 2),
        ("sklearn.linear_model",),
    ),
    "pairwise, lists": Row(
        "the same", "pairs in order", 40, 300, lambda ours, count, _: ordered(ours, count, 5), ("sklearn.linear_model",)
    ),
    "speech": Row("`WhisperModel.transcribe`", "word error rate", 1, 6, speech, ("faster_whisper", "jiwer")),
    "audio-classifier": Row(
        "scikit-learn on scipy's spectrogram",
        "accuracy",
        30,
        200,
        sounds,
        ("sklearn.linear_model", "scipy.signal", "soundfile"),
    ),
    "time-series": Row("scikit-learn's boosting on windows of 1 s", "segment F1", 3, 10, series, ("sklearn.ensemble",)),
}


class Measured(NamedTuple):
    """One side: processor seconds of an answer, MiB, quality."""

    seconds: float
    memory: float
    quality: float


def apart(row: Row, ours: bool, count: int, rounds: int, url: str) -> Measured | str:
    """Measure one side in a forked process."""
    here, there = multiprocessing.Pipe()

    def measure() -> None:
        with tempfile.TemporaryDirectory() as folder:
            os.environ.setdefault("LSML_CACHE_DIR", f"{folder}/cache")
            there.send(measured(row, ours, count, rounds, url))

    process = multiprocessing.get_context("fork").Process(target=measure)
    process.start()
    there.close()
    try:
        found: Measured | str = here.recv()
    except EOFError:
        found = "its process died"
    process.join()
    return found


def measured(row: Row, ours: bool, count: int, rounds: int, url: str = "") -> Measured | str:
    """Measure one side in this process. Return why not, where something is missing."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "url").write_text(url)
        unit = 1 if sys.platform == "darwin" else 1024
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            side = row.make(ours, count, Path(folder))
        except (ImportError, OSError, AssertionError) as error:
            return f"{type(error).__name__}: {error}"
        side.answer(0)
        seconds, said = [], None
        for turn in range(1, rounds + 1):
            began = time.process_time()
            said = side.answer(turn)
            seconds.append(time.process_time() - began)
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 2**20
        return Measured(statistics.median(seconds), more, side.quality(said))


def line(name: str, row: Row, quick: bool) -> str:
    """A row of the table."""
    count, rounds = (row.few, 1) if quick else (row.many, 3)
    if name in SERVERS:
        with elsewhere(*SERVERS[name]) as url:
            return shown(name, row, count, *(apart(row, ours, count, rounds, url) for ours in (True, False)))
    return shown(name, row, count, *(apart(row, ours, count, rounds, "") for ours in (True, False)))


def shown(name: str, row: Row, count: int, ours: Measured | str, bare: Measured | str) -> str:
    """A row of the table, or why there is none."""
    if isinstance(ours, str) or isinstance(bare, str):
        return f"{name}: left out; {ours if isinstance(ours, str) else bare}"
    return (
        f"| {name}, {count} | {row.bare} | {1000 * ours.seconds:.3g} | {1000 * bare.seconds:.3g} | "
        f"{ours.seconds / bare.seconds:.2f}x | {ours.memory:.0f} | {bare.memory:.0f} | {row.metric} | "
        f"{ours.quality:.3f} | {bare.quality:.3f} |"
    )


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all, if none is named")
    parser.add_argument("--quick", action="store_true", help="few inputs and one round")
    found = parser.parse_args(arguments)
    unknown = set(found.rows) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return found


def main() -> None:
    arguments = parsed()
    rows = arguments.rows or list(ROWS)
    for module in dict.fromkeys(module for name in rows for module in ROWS[name].needs):
        with suppress(ImportError):  # the row says it
            importlib.import_module(module)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    print("| adapter, inputs | bare | lsml, ms | bare, ms | ratio | lsml, MiB | bare, MiB | quality | lsml | bare |")
    print("|---|---|--:|--:|--:|--:|--:|---|--:|--:|", flush=True)
    for name in rows:
        print(line(name, ROWS[name], arguments.quick), flush=True)


if __name__ == "__main__":
    main()
