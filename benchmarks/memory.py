"""The memory of `lsml serve` under concurrent requests, with several settings of glibc's allocator, which has an arena of freed
memory for each thread.

    python benchmarks/memory.py [--weights NER_FOLDER]

`text-classifier` with 200 labels, learnt from 2,000 drawn texts; with `--weights` also `ner`. Eight clients each send requests of
1, 16, 50 and 250 tasks (`ner`: 1, 4 and 16) in turn, with new texts each time. Needs psutil.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from text import (
    PROJECT,
    Client,
    Texts,
    export,
    generate,
    labeling_config,
    lsml_server,
    predict_request,
    train,
    write_recipe,
)

SETTINGS: dict[str, dict[str, str]] = {
    "none": {},
    "MALLOC_ARENA_MAX=2": {"MALLOC_ARENA_MAX": "2"},
    "MALLOC_ARENA_MAX=1": {"MALLOC_ARENA_MAX": "1"},
    "MALLOC_TRIM_THRESHOLD_=131072": {"MALLOC_TRIM_THRESHOLD_": "131072"},
}
CLIENTS = 8


def measured(
    name: str, recipe: Path, config: str, project: str, texts: Texts, sizes: Sequence[int], requests: int
) -> None:
    """Print a row for each setting."""
    for setting, variables in SETTINGS.items():
        os.environ.update(variables)
        with lsml_server(recipe, recipe.parent / "log") as server:
            server.client.send(predict_request([texts[0][0]], config, project))
            before, cpu_s, began = server.memory(), server.cpu_s(), time.perf_counter()

            def client(index: int, port: int = server.port) -> None:
                connection = Client(port)
                for number in range(requests):
                    size = sizes[(index + number) % len(sizes)]
                    start = (index * requests + number) * 31
                    some = [f"{texts[(start + step) % len(texts)][0]} {start + step}" for step in range(size)]
                    connection.send(predict_request(some, config, project))
                connection.close()

            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(client, range(CLIENTS)))
            took, used = time.perf_counter() - began, server.cpu_s() - cpu_s
            print(
                f"| {name} | {setting} | {before:.0f} | {server.memory():.0f} | {took:.1f} | {used:.1f} |", flush=True
            )
        for variable in variables:
            del os.environ[variable]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--requests", type=int, default=40, help="of each client")
    arguments = parser.parse_args()
    print(
        "| model | setting | after one request, MiB | after the load, MiB | s | s of the processor |\n|---|---|--:|--:|--:|--:|"
    )
    with tempfile.TemporaryDirectory() as folder:
        texts = generate(2000, 200)
        recipe = write_recipe(Path(folder) / "classifier", texts, 20_000)
        train(recipe, export(texts, Path(folder) / "texts.json"))
        config = labeling_config(texts)
        measured("text-classifier", recipe, config, PROJECT, texts, (1, 16, 50, 250), arguments.requests)
        if arguments.weights:
            from lsml.adapters.base import Target
            from lsml.adapters.text.ner import Ner

            names = Ner.class_names(Ner.Options(weights=str(arguments.weights)), Target())["span"]
            labels = "".join(f'<Label value="{name}"/>' for name in names)
            config = f'<View><Labels name="e" toName="text">{labels}</Labels><Text name="text" value="$text"/></View>'
            other = Path(folder) / "ner" / "recipe.yaml"
            other.parent.mkdir()
            tags = {"Labels": {"adapter": "ner", "options": {"weights": str(arguments.weights.resolve())}}}
            other.write_text(json.dumps({"lsml": 1, "name": "ner", "labeling_config": config, "tags": tags}))
            measured("ner", other, config, PROJECT, texts, (1, 4, 16), max(1, arguments.requests // 4))


if __name__ == "__main__":
    main()
