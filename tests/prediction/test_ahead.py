"""The files of the next tasks are fetched while a model computes on these, and not all of them at once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, ClassVar

import pytest
from PIL import Image

from lsml.adapters.base import Adapter
from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.prediction import Outcome, Predictor, Speed, predict_in_time
from lsml.prediction.ahead import WINDOW
from lsml.recipe import load_recipe
from lsml.studio.connection import fetcher
from lsml.values import Choice
from tests.conftest import write_recipe
from tests.support.backend import until
from tests.support.web import Answer, Asked, Web

TURN = 16
CONFIG = """<View><Image name="image" value="$image"/>
<Choices name="kind" toName="image"><Choice value="wide"/><Choice value="tall"/></Choices></View>"""


def picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 4)).save(content, "PNG")
    return content.getvalue()


class Watching(Adapter):
    """Says that every image is wide, and looks at the server's requests while it computes on the first batch."""

    name, consumes, produces = "watching", frozenset({"Image"}), frozenset({Choice})  # type: ignore[assignment]
    ready: ClassVar[bool] = True  # type: ignore[assignment]

    def __init__(self, asked: list[Asked], awaited: int) -> None:
        self.asked, self.awaited = asked, awaited
        self.batches: list[int] = []

    def predict(self, batch: Any) -> list[list[Choice]]:
        if not self.batches:
            until("files of later tasks are fetched", lambda: len(self.asked) >= self.awaited, 20)
        self.batches.append(len(batch))
        return [[Choice("wide", 1.0)] for _ in batch]


def predicted(web: Web, tasks: int, adapter: Adapter, folder: Path) -> list[Outcome]:
    """The outcomes of a request with a file for each task."""
    loaded = load_recipe(
        write_recipe(folder, "tags:\n  Choices: image-classifier\nmedia: {private: true}\n", config=CONFIG)
    )
    binding = bind(loaded, parse_labeling_config(CONFIG))
    predictor = Predictor(binding, {binding.models[0].key: adapter}, fetcher(loaded, None), "v")
    asked = [{"id": number, "data": {"image": f"{web.url}/{number}"}} for number in range(tasks)]
    return predict_in_time(predictor, asked, speed=Speed(60))


def test_files_of_later_tasks_are_fetched_while_a_model_computes_but_not_all_of_them(tmp_path: Path) -> None:
    seen: list[int] = []

    class Counting(Watching):
        def predict(self, batch: Any) -> list[list[Choice]]:
            said = super().predict(batch)
            seen.append(len(self.asked))
            return said

    with Web(lambda _: Answer(200, picture())) as web:
        adapter = Counting(web.asked, TURN + WINDOW)
        outcomes = predicted(web, 120, adapter, tmp_path)
        assert len(web.asked) == 120
    assert seen[0] == TURN + WINDOW
    assert adapter.batches[0] == TURN and max(adapter.batches) <= WINDOW and sum(adapter.batches) == 120
    assert all(outcome.prediction is not None for outcome in outcomes)


def test_a_file_that_fails_costs_its_task_alone(tmp_path: Path) -> None:
    with Web(lambda asked: Answer(404) if asked.path == "/20" else Answer(200, picture())) as web:
        outcomes = predicted(web, 40, Watching(web.asked, 0), tmp_path)
    assert [number for number, outcome in enumerate(outcomes) if outcome.prediction is None] == [20]
    [(_, sentence)] = outcomes[20].dropped
    assert sentence.startswith(f"task 20: {web.url}/20: ")


@pytest.mark.parametrize("tasks", [1, 40])
def test_nothing_is_fetched_for_a_model_that_is_not_asked(tmp_path: Path, tasks: int) -> None:
    class Untrained(Watching):
        ready = False

    with Web(lambda _: Answer(200, picture())) as web:
        outcomes = predicted(web, tasks, Untrained(web.asked, 0), tmp_path)
        assert web.asked == []
    assert all(outcome.prediction is None for outcome in outcomes)
