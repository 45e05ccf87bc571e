"""The recipes that ask a service, each served against a small strict server of the tests."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lsml.adapters.llm.budget import Budget
from lsml.cli import main
from lsml.recipe.gallery import find_recipe
from lsml.recipe.holdout import share_of
from tests.conftest import Backend
from tests.support.language_model import KEY, documents, language_model
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


def test_a_used_up_budget_is_told_on_the_page_and_by_status(serve, tmp_path):
    with language_model() as web:
        backend = serve("language-model", LSML_LLM_URL=f"{web.url}/v1", LSML_LLM_MODEL="tiny", OPENAI_API_KEY=KEY)
        backend.post("/setup", {"project": KEY_OF_PROJECT, "schema": backend.recipe.labeling_config})
        predict(backend, ["it is a bug"])
        Budget("llm", backend.recipe.models[0].options).spend(999_000, 1000)
        (before, after) = predict(backend, ["it is a bug", "another bug"])
    assert before["result"] and after == [] and len(web.asked) == 1
    why = "llm: 1000100 tokens were used today, and the recipe allows 1000000 (options.tokens_per_day)"
    assert why in backend.client.get("/").text
    recipe, data = str(tmp_path / "language-model.yaml"), str(tmp_path / "data")
    shown = CliRunner().invoke(main, ["status", recipe, "--data-dir", data])
    assert why in shown.output and "until then only cached answers are used" in shown.output


def test_examples_of_the_prompt_are_never_held_out_tasks(serve, tmp_path):
    topics, words = ("Bug", "Billing", "Question"), ("parser", "invoice", "button")
    texts = [f"{topics[place % 3]} {words[place % 3]} {place}" for place in range(30)]
    with language_model() as web:
        backend = serve("language-model", LSML_LLM_URL=f"{web.url}/v1", LSML_LLM_MODEL="tiny", OPENAI_API_KEY=KEY)
        export = tmp_path / "export.json"
        export.write_text(json.dumps([annotated(id, text) for id, text in enumerate(texts, 1)]), "utf-8")
        data = str(tmp_path / "data")
        trained = CliRunner().invoke(main, ["train", str(backend.recipe_path), str(export), "--data-dir", data])
        assert trained.exit_code == 0, trained.output
        held_out = {text for id, text in enumerate(texts, 1) if share_of(str(id)) < 0.2}
        judged = [documents(one) for one in web.asked]
        assert {shown[-1] for shown in judged} == held_out
        examples = {text for shown in judged for text in shown[:-1]}
        assert examples and examples <= set(texts) - held_out and max(map(len, judged)) == 6
        Budget("llm", backend.recipe.models[0].options).spend(1_000_000, 0)
        again = CliRunner().invoke(main, ["train", str(backend.recipe_path), str(export), "--data-dir", data])
    assert again.exit_code == 1 and "tokens were used today, and the recipe allows 1000000" in again.output


def annotated(id, text):
    topic, length = text.split()[0], len(text.split())
    values = [
        ("topic", "choices", {"choices": [topic]}), ("urgency", "rating", {"rating": length}),
        ("summary", "textarea", {"text": [text]}),
        ("who", "labels", {"start": 0, "end": len(topic), "text": topic, "labels": ["Person"]}),
    ]  # fmt: skip
    result = [
        {"id": f"{id}{name}", "from_name": name, "to_name": "text", "type": type_, "value": value}
        for name, type_, value in values
    ]
    return {"id": id, "data": {"text": text}, "annotations": [{"id": id, "result": result}]}


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


def test_existing_backend_is_asked_as_label_studio_asks_it(serve):
    region = {"from_name": "entities", "to_name": "text", "type": "labels"}
    found = [{**region, "value": {"start": 0, "end": 3, "labels": [name]}, "score": 0.9} for name in ("Person", "Dog")]

    def answer(asked):
        return said({"model_version": "7"} if asked.path == "/setup" else {"results": [{"result": found}]})

    with Web(answer) as web:
        backend = serve("existing-backend", LSML_BACKEND_URL=web.url, LSML_BACKEND_AUTHORIZATION="Basic abc")
        (prediction,) = predict(backend, ["Ann saw Oslo"])
    assert [one["value"]["labels"] for one in prediction["result"]] == [["Person"]]
    assert {asked.path for asked in web.asked} == {"/setup", "/predict"}
    assert all(asked.headers["authorization"] == "Basic abc" for asked in web.asked)
