"""Tasks that a model is judged by, blind: nobody who asks for a project's predictions is told what it says of them."""

import pytest

from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.learning.examples import held_out
from lsml.learning.snapshot import AnnotatedExample
from lsml.recipe import load_recipe
from tests.conftest import PROJECT_KEY, TOPICS, tickets, write_recipe

BLIND = "training: {holdout: {share: 0.3, blind: true}}\n"


def bound(folder, text):
    return bind(load_recipe(write_recipe(folder, text)), parse_labeling_config(TOPICS))


def test_what_is_hidden_is_what_the_model_is_judged_by(tmp_path):
    binding = bound(tmp_path, BLIND)
    ids = [str(id) for id in range(1, 500)]
    hidden = [id for id in ids if binding.hides(id)]
    examples = [AnnotatedExample(id, {}, {}) for id in ids]
    assert hidden == [example.task for example in examples if held_out(binding.models[0], example, set())]
    assert 0.2 < len(hidden) / len(ids) < 0.4
    assert [binding.hides(int(id)) for id in hidden] == [True] * len(hidden)
    assert not binding.hides(None)


@pytest.mark.parametrize(
    "text", ["", "training: {holdout: 0.3}\n", "training: {holdout: {share: 0.3}}\n", "training: false\n"]
)
def test_nothing_is_hidden_where_the_recipe_does_not_say_so(tmp_path, text):
    binding = bound(tmp_path, text)
    assert not any(binding.hides(id) for id in range(500))


def test_to_hide_them_changes_nothing_that_was_learnt(tmp_path):
    digests = {
        bound(tmp_path, text).models[0].options_digest
        for text in (BLIND, "training: {holdout: 0.3}\n", "training: {holdout: {share: 0.3}}\n")
    }
    assert len(digests) == 1


def test_a_project_is_told_no_prediction_for_them_and_that_is_counted(backend):
    server = backend(BLIND)
    server.annotate(tickets(60))
    server.train()
    ids = list(range(1000, 1020))
    tasks = [{"id": id, "data": {"text": "refund the invoice"}} for id in ids]
    asked = {"tasks": tasks, "project": PROJECT_KEY, "label_config": TOPICS}
    results = server.post("/predict", asked).json["results"]
    binding = bind(server.recipe, parse_labeling_config(TOPICS))
    assert [result == [] for result in results] == [binding.hides(id) for id in ids]
    assert 2 < results.count([]) < 12
    assert f'lsml_dropped_total{{reason="held out"}} {results.count([])}.0' in server.client.get("/metrics").text
    drawing = server.post("/predict", {**asked, "params": {"context": {"result": []}}}).json["results"]
    assert [result["result"] == [] for result in drawing] == [binding.hides(id) for id in ids]
