"""The recipes that ask a service, each served against a small strict server of the tests."""

from __future__ import annotations

import pytest

from lsml.recipe.gallery import find_recipe
from tests.conftest import Backend
from tests.support.language_model import KEY, language_model
from tests.support.service import said
from tests.support.web import Web

KEY_OF_PROJECT = "7.1795424614"


@pytest.fixture
def serve(tmp_path, monkeypatch):
    made = []

    def start(name, **environment):
        for variable, value in environment.items():
            monkeypatch.setenv(variable, str(value))
        recipe = tmp_path / f"{name}.yaml"
        recipe.write_text(find_recipe(name).read_text(encoding="utf-8"), encoding="utf-8")
        made.append(Backend(recipe, tmp_path / "data"))
        return made[-1]

    yield start
    for backend in made:
        backend.store.close()


def predict(backend, texts):
    tasks = [{"id": id, "data": {"text": text}} for id, text in enumerate(texts, 1)]
    asked = {"tasks": tasks, "project": KEY_OF_PROJECT, "label_config": backend.recipe.labeling_config}
    answer = backend.post("/predict", asked)
    assert answer.status_code == 200, answer.text
    return answer.json["results"]


def test_language_model_answers_all_its_tags_with_one_request_for_each_task(serve, caplog):
    with language_model() as web:
        backend = serve("language-model", LSML_LLM_URL=f"{web.url}/v1", LSML_LLM_MODEL="tiny", OPENAI_API_KEY=KEY)
        first, second = predict(backend, ["Ann says it is a bug", "a question"])
    assert len(web.asked) == 2
    regions = {region["from_name"]: region["value"] for region in first["result"]}
    assert regions["topic"] == {"choices": ["Bug"]} and regions["urgency"] == {"rating": 5}
    assert regions["who"] == {"start": 0, "end": 3, "text": "Ann", "labels": ["Person"]}
    assert regions["summary"] == {"text": ["Ann says it is a bug"]}
    assert [region["from_name"] for region in second["result"]] == ["topic", "urgency", "summary"]
    assert all(
        0 < one["score"] < 1 and one["model_version"].startswith("language-model-v0-") for one in (first, second)
    )
    assert KEY not in caplog.text and KEY not in backend.client.get("/").text


def test_http_service_marks_what_the_service_finds(serve):
    found = [
        {"type": "human", "start": 0, "end": 3, "score": 0.9},
        {"type": "city", "start": 8, "end": 12, "score": 0.2},
    ]
    with Web(lambda asked: said({"entities": found})) as web:
        backend = serve(
            "http-service", LSML_SERVICE_URL=f"{web.url}/entities", LSML_SERVICE_AUTHORIZATION="Bearer sesame"
        )
        (prediction,) = predict(backend, ["Ann saw Oslo"])
    assert [region["value"] for region in prediction["result"]] == [
        {"start": 0, "end": 3, "text": "Ann", "labels": ["Person"]}
    ]
    assert web.asked[0].headers["authorization"] == "Bearer sesame"
    assert web.asked[0].body == b'{"document": {"content": "Ann saw Oslo"}, "language": "en"}'
