"""Publishing into a small Label Studio: each open task gets one prediction, whatever happens on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from lsml.adapters.base import Adapter
from lsml.binding import bind
from lsml.errors import Cancelled, StudioError
from lsml.labeling import parse_labeling_config
from lsml.publishing import Patience, PublishInputs, PublishResult, publish
from lsml.recipe import load_recipe
from lsml.studio.client import Studio
from lsml.studio.connection import fetcher
from lsml.values import Choice
from lsml.versions import names_of
from tests.conftest import TOPICS, write_recipe
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.web import Answer, Asked, Web

V1, V2, V3 = (f"triage-v{number}-00000000" for number in (1, 2, 3))


class Sure(Adapter):
    """A model that is as sure of Bug as the text says."""

    name = "sure"
    own_names = False

    def predict(self, batch):
        return [[Choice("Bug", float(text))] for text in batch]


def tasks(count: int) -> dict[int, dict]:
    """So many tasks, of which the later ones are less sure."""
    return {id: {"text": str(round(1 - id / (2 * count), 4))} for id in range(1, count + 1)}


@contextmanager
def publishing(studio: SmallStudio, folder: Path, **settings) -> Iterator[Callable[[], PublishResult]]:
    """A function that publishes version 2 into `studio`."""
    recipe = load_recipe(write_recipe(folder))
    binding = bind(recipe, parse_labeling_config(TOPICS))
    model = binding.models[0]
    with Web(studio) as web, Studio(web.url, TOKEN) as client:
        inputs = PublishInputs(
            predictions=client.predictions(7), binding=binding,
            adapters={model.key: Sure(model.spec.options, model.target)}, model_version=V2, fetch=fetcher(recipe, None),
            patience=Patience(first_s=0.01, longest_s=0.02, check=settings.pop("check", lambda: None)),
            ours=names_of("triage"), **settings,
        )  # fmt: skip
        yield lambda: publish(inputs)


def test_every_open_task_gets_one_prediction_the_least_sure_first(tmp_path):
    studio = SmallStudio(tasks(10), labelled={1, 2})
    with publishing(studio, tmp_path, batch=3) as run:
        published = run()
    assert [studio.held(task) for task in studio.tasks] == [[], [], *[[V2]] * 8]
    assert [done for done in studio.log if done.startswith("post")] == ["post 10,9,8", "post 7,6,5", "post 4,3"]
    assert str(published) == f"published {V2}: 8 tasks"
    stored = studio.predictions[1]
    assert stored["score"] == pytest.approx(0.5)


def test_order_id_posts_the_oldest_first(tmp_path):
    studio = SmallStudio(tasks(4))
    with publishing(studio, tmp_path, batch=2, order="id") as run:
        run()
    assert [done for done in studio.log if done.startswith("post")] == ["post 1,2", "post 3,4"]


def test_order_diverse_posts_what_is_unsure_and_unlike_the_others_first_with_its_place_as_the_score(
    tmp_path, monkeypatch
):
    # Tasks 1 and 2 are alike, and the model is less sure of both than of the third.
    texts = {1: {"text": "0.5"}, 2: {"text": "0.51"}, 3: {"text": "0.8"}, 4: {"text": "0.99"}}
    monkeypatch.setattr(Sure, "features", lambda self, batch: np.eye(2)[[int(float(text) >= 0.6) for text in batch]])
    studio = SmallStudio(texts)
    with publishing(studio, tmp_path, batch=2, order="diverse") as run:
        run()
    assert [done for done in studio.log if done.startswith("post")] == ["post 1,3", "post 2,4"]
    assert [studio.predictions[number]["score"] for number in sorted(studio.predictions)] == [0, 0.25, 0.5, 0.75]


def test_the_version_is_shown_as_soon_as_there_is_something_to_show(tmp_path):
    backends = [
        {"id": 3, "url": "http://other:1", "title": "somebody else's", "model_version": "bert-7"},
        {"id": 4, "url": "http://lsml:9090", "title": V1, "model_version": V2},
    ]
    studio = SmallStudio(tasks(6), backends=backends, model_version=V1)
    with publishing(studio, tmp_path, batch=2) as run:
        run()
    assert studio.log[:2] == ["post 6,5", f"title {V2}"], "before the rest is posted"
    assert studio.model_version == V2
    assert [backend["title"] for backend in studio.backends] == ["somebody else's", V2]


def test_a_model_that_is_shown_keeps_its_login_and_the_others_of_this_recipe_their_titles(tmp_path):
    backends = [{"id": id, "url": f"http://lsml:{id}", "title": V1, "model_version": None} for id in (4, 5)]
    studio = SmallStudio(tasks(1), backends=backends)
    login = {"auth_method": "BASIC_AUTH", "basic_auth_user": "ann", "basic_auth_pass": "open-sesame"}
    with publishing(studio, tmp_path, backend_login=login) as run:
        run()
    assert [backend["title"] for backend in backends] == [V2, V1], "Label Studio asks the first alone"
    assert backends[0].items() >= login.items()
    assert "auth_method" not in backends[1]


def test_a_slow_model_is_shown_long_before_it_is_through(tmp_path, monkeypatch):
    monkeypatch.setattr(import_module("lsml.publishing.publish"), "WINDOW_S", 0.0)
    studio = SmallStudio(tasks(200))
    with publishing(studio, tmp_path, batch=500) as run:
        run()
    posted = [done.count(",") + 1 for done in studio.log if done.startswith("post")]
    assert posted[0] == 32
    assert sum(posted) == 200


def test_what_is_stale_is_deleted_and_what_others_made_is_not(tmp_path):
    studio = SmallStudio(tasks(4), labelled={1})
    foreign = ("bert-7", "triage-v1", "triage-v1-0000000g", f"my-{V1}", f"{V1}-mine", "other-v1-00000000")
    for task in studio.tasks:
        for version in (V1, "triage-v0-11111111", *foreign):
            studio.add(task, version)
    with publishing(studio, tmp_path) as run:
        published = run()
    assert [studio.held(task) for task in studio.tasks] == [[*foreign], *[[*foreign, V2]] * 3]
    assert published.deleted == 8
    assert studio.model_version == V2, "Label Studio forgets which version it shows when it deletes another"


def test_keep_leaves_the_newest_versions_before_the_served_one(tmp_path):
    studio = SmallStudio(tasks(1))
    for version in ("triage-v9-00000000", "triage-v10-00000000", "triage-v1-00000000"):
        studio.add(1, version)
    with publishing(studio, tmp_path, keep=2) as run:
        run()
    assert studio.held(1) == ["triage-v10-00000000", V2]


def test_tasks_that_have_the_version_are_left_and_a_second_publishing_does_nothing(tmp_path):
    studio = SmallStudio(tasks(5))
    for task in (1, 3):
        studio.add(task, V2)
    with publishing(studio, tmp_path, batch=2) as run:
        assert run().posted == 3
        done = list(studio.log)
        assert run().posted == 0
    assert studio.log == done
    assert all(studio.held(task) == [V2] for task in studio.tasks)


@pytest.mark.parametrize("stored", [False, True], ids=["nothing was stored", "everything was stored"])
@pytest.mark.parametrize("failure", [Answer(500), Answer(502), Answer(503, headers={"Retry-After": "0"}), Answer(429)])
def test_where_nobody_says_what_was_stored_nothing_is_missed_and_nothing_doubled(
    tmp_path, stored, failure, monkeypatch
):
    monkeypatch.setattr("lsml.studio.api._PAUSE_S", 0.01)
    failures = Counter()

    def before(asked: Asked) -> Answer | None:
        failures[asked.method, asked.path] += 1
        if failures[asked.method, asked.path] % 3 == 0:
            return None
        if stored and asked.method == "POST":
            studio.answer(asked)
        return failure

    studio = SmallStudio(tasks(9), before=before)
    with publishing(studio, tmp_path, batch=4) as run:
        run()
    assert all(studio.held(task) == [V2] for task in studio.tasks)


def test_predictions_that_are_stored_late_are_deleted_as_doubles(tmp_path):
    late: list[Asked] = []

    def before(asked: Asked) -> Answer | None:
        if asked.method == "POST" and not late:
            late.append(asked)
            return Answer(504)
        if asked.method == "POST":
            answer = studio.answer(asked)
            studio.answer(late[0])
            return answer
        return None

    studio = SmallStudio(tasks(3), before=before)
    with publishing(studio, tmp_path) as run:
        run()
    assert all(studio.held(task) == [V2] for task in studio.tasks)
    assert len(studio.log) == len(["post", "post", "show"])


def test_a_task_that_is_deleted_meanwhile_costs_only_itself(tmp_path):
    def before(asked: Asked) -> Answer | None:
        if asked.method == "POST":
            studio.tasks.pop(2, None)
        return None

    studio = SmallStudio(tasks(5), before=before)
    with publishing(studio, tmp_path) as run:
        published = run()
    assert {task: studio.held(task) for task in studio.tasks} == {1: [V2], 3: [V2], 4: [V2], 5: [V2]}
    assert published.dropped == {"deleted": 1}
    assert "1 not predicted (deleted: task 2 was deleted)" in str(published)


def test_a_prediction_that_label_studio_refuses_costs_only_itself(tmp_path):
    def before(asked: Asked) -> Answer | None:
        if asked.method == "POST" and any(one["task"] == 4 for one in json.loads(asked.body)):
            return Answer(400, b'{"validation_errors": ["Prediction 0: no such label"]}')
        return None

    studio = SmallStudio(tasks(9), before=before)
    with publishing(studio, tmp_path) as run:
        published = run()
    assert [len(studio.held(task)) for task in studio.tasks] == [1, 1, 1, 0, 1, 1, 1, 1, 1]
    assert published.dropped == {"refused": 1}
    assert "no such label" in str(published)


def test_a_task_that_cannot_be_predicted_is_counted_and_the_others_are_published(tmp_path):
    studio = SmallStudio({1: {"text": "0.5"}, 2: {"title": "no text"}, 3: {"text": "0.6"}})
    with publishing(studio, tmp_path) as run:
        published = run()
    assert [len(studio.held(task)) for task in studio.tasks] == [1, 0, 1]
    assert list(published.dropped.values()) == [1]
    assert "task 2" in str(published)


def test_tasks_that_come_meanwhile_are_published_too(tmp_path):
    def before(asked: Asked) -> Answer | None:
        if asked.method == "POST":
            studio.tasks.setdefault(99, {"text": "0.7"})
            studio.labelled.discard(1)
        return None

    studio = SmallStudio(tasks(3), labelled={1}, before=before)
    with publishing(studio, tmp_path) as run:
        run()
    assert all(studio.held(task) == [V2] for task in (1, 2, 3, 99))


def test_scores_go_into_a_field_of_the_data_and_nothing_else_of_it_changes(tmp_path):
    studio = SmallStudio(tasks(5), labelled={5})
    studio.tasks[2]["score"] = "somebody else's"
    studio.tasks[3] |= {"score": 0.1, "note": None}
    before = {task: dict(data) for task, data in studio.tasks.items()}
    with publishing(studio, tmp_path, score_field="score") as run:
        run()
    assert studio.tasks[1] == {"text": "0.9", "score": 0.9}
    assert studio.tasks[2] == before[2]
    assert studio.tasks[3] == before[3] | {"score": 0.7}
    assert studio.tasks[5] == before[5]
    assert all(studio.held(task) == [V2] for task in range(1, 5))


def test_a_task_is_not_done_before_its_score_is_written(tmp_path):
    def before(asked: Asked) -> Answer | None:
        if asked.method == "PATCH" and asked.path == "/api/tasks/2/":
            raise_here.append(asked)
            return Answer(403, b"{}")
        if asked.method == "PATCH" and asked.path == "/api/tasks/1/":
            studio.tasks.pop(1)
        return None

    raise_here: list[Asked] = []
    studio = SmallStudio(tasks(3), before=before)
    with (
        publishing(studio, tmp_path, score_field="score", order="id") as run,
        pytest.raises(StudioError, match="may not change"),
    ):
        run()
    assert raise_here, "and the task that was deleted stopped nothing"
    assert studio.predictions == {}


def test_a_task_that_is_to_stay_without_a_prediction_gets_none(tmp_path):
    studio = SmallStudio(tasks(6))
    with publishing(studio, tmp_path, skip=lambda task: task in ("2", "5")) as run:
        published = run()
    assert [len(studio.held(task)) for task in studio.tasks] == [1, 0, 1, 1, 0, 1]
    assert str(published) == (
        f"published {V2}: 4 tasks; 2 not predicted (held out: the validation set is annotated without predictions "
        "(training.holdout of the recipe: blind))"
    )


def test_it_stops_when_it_is_told_to_also_while_label_studio_is_away(tmp_path):
    def check() -> None:
        if len(asked) > 5:
            raise Cancelled("cancelled: another version was promoted")

    asked: list[Asked] = []

    def before(one: Asked) -> Answer | None:
        asked.append(one)
        return Answer(503) if one.method == "POST" else None

    studio = SmallStudio(tasks(3), before=before)
    with (
        publishing(studio, tmp_path, check=check) as run,
        pytest.raises(Cancelled, match="another version was promoted"),
    ):
        run()
    assert studio.predictions == {}


@pytest.mark.parametrize(
    ("status", "says"), [(401, "token"), (403, "may not add predictions"), (404, "does not exist")]
)
def test_a_refusal_is_a_sentence(tmp_path, status, says):
    studio = SmallStudio(tasks(3), before=lambda asked: Answer(status, b"{}") if asked.method == "POST" else None)
    with publishing(studio, tmp_path) as run, pytest.raises(StudioError, match=says):
        run()
