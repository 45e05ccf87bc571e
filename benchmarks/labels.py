"""A thousand labels: /predict for 250 tasks beside the bare call of scikit-learn, by the CPU time of one process.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.labels

The texts differ in each round, so that nothing is answered from a cache. The bare call is `predict_proba` of a pipeline with
the text classifier's features; its weights come from one step of training, because they decide no time.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from lsml.cli import main as cli
from lsml.recipe import Recipe, load_recipe

LABELS, TASKS, ROUNDS = 1000, 250, 15
WORDS = [f"w{number}" for number in range(5 * LABELS)]
draw = random.Random(0)


def text(label: int) -> str:
    """Return a text with four words of its label among eight of any."""
    return " ".join([WORDS[5 * label + draw.randrange(5)] for _ in range(4)] + draw.choices(WORDS, k=8))


def cpu_ms(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return (time.process_time() - began) * 1000


def trained(folder: Path, names: list[str], examples: list[tuple[str, str]]) -> Recipe:
    """Return a recipe whose model in `folder`/data was trained on (text, label) pairs."""
    choices = "".join(f'<Choice value="{name}"/>' for name in names)
    (folder / "config.xml").write_text(
        f'<View><Text name="t" value="$text"/><Choices name="c" toName="t">{choices}</Choices></View>'
    )
    recipe = folder / "labels.yaml"
    recipe.write_text(
        "lsml: 1\nname: labels\nlabeling_config: config.xml\ntraining: {holdout: 0}\n"
        "tags:\n  Choices: {adapter: text-classifier, options: {C: 1, class_weight: none}}\n"
    )
    with (folder / "examples.csv").open("w", encoding="utf-8") as file:
        file.writelines(f"{text},{label}\n" for text, label in [("text", "label"), *examples])
    options = ("--data-dir", str(folder / "data"), "--text-column", "text", "--label-column", "label")
    done = CliRunner().invoke(cli, ["train", str(recipe), str(folder / "examples.csv"), *options])
    if done.exit_code:
        raise SystemExit(done.output)
    return load_recipe(recipe)


def main() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    from lsml.server.app import create_app
    from lsml.store import Store
    from lsml.store.queue import open_queue

    warnings.simplefilter("ignore")
    names = [f"L{number:04d}" for number in range(LABELS)]
    examples = [(text(number % LABELS), names[number % LABELS]) for number in range(2 * LABELS)]
    with tempfile.TemporaryDirectory() as folder:
        recipe = trained(Path(folder), names, examples)
        store = Store(Path(folder) / "data", recipe.storage, recipe.name)
        client = create_app(recipe, store, open_queue(store.directory)).test_client()
        chars = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
        union = make_union(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), chars)
        bare = make_pipeline(union, LogisticRegression(max_iter=1))
        bare.fit(*zip(*examples, strict=True))
        ours, theirs = [], []
        for _ in range(ROUNDS + 1):
            texts = [text(draw.randrange(LABELS)) for _ in range(TASKS)]
            asked = {"tasks": [{"id": id, "data": {"text": one}} for id, one in enumerate(texts)]}
            ours.append(cpu_ms(lambda asked=asked: client.post("/predict", json=asked)))
            theirs.append(cpu_ms(lambda texts=texts: bare.predict_proba(texts)))
        store.close()
    mine, other = statistics.median(ours[1:]), statistics.median(theirs[1:])
    print(f"{LABELS} labels, {TASKS} tasks: {mine:.1f} ms of CPU time, bare call {other:.1f} ms: {mine / other:.2f}x")


if __name__ == "__main__":
    main()
