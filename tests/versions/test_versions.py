"""A version's name says what decides its predictions, and a model that a version does not fit starts untrained."""

import pytest

from tests.conftest import PROJECT_KEY, TOPICS, tickets


def served(backend, config, field="text"):
    """(`model_version` of /setup, what /predict answers, the warnings of the API) for a labeling config."""
    name = backend.post("/setup", {"project": PROJECT_KEY, "schema": config}).json["model_version"]
    task = {"id": 1, "data": {field: "invoice refund charged"}}
    body = {"project": PROJECT_KEY, "label_config": config, "tasks": [task]}
    (result,) = backend.post("/predict", body).json["results"]
    return name, result, backend.client.get(f"/api/projects/{PROJECT_KEY}").json["warnings"]


@pytest.mark.parametrize(
    ("changed", "field", "warning"),
    [
        (
            TOPICS.replace("$text", "$body"),
            "body",
            "topic:text-classifier: its control or object changed after v1, so it starts untrained",
        ),
        (
            TOPICS.replace('name="topic"', 'name="subject"'),
            "text",
            "subject:text-classifier: v1 does not hold it, so it starts untrained",
        ),
    ],
)
def test_a_model_that_the_version_does_not_fit_starts_untrained_under_another_name(backend, changed, field, warning):
    here = backend()
    here.annotate(tickets(30))
    here.train()
    name, prediction, warnings = served(here, TOPICS)
    assert prediction["model_version"] == name
    assert warnings == []
    other, nothing, warnings = served(here, changed, field)
    assert other != name
    assert (nothing, warnings) == ([], [warning])
    assert served(here, TOPICS) == (name, prediction, [])


def test_a_label_that_is_added_changes_neither_the_name_nor_the_predictions(backend):
    here = backend()
    here.annotate(tickets(30))
    here.train()
    more = TOPICS.replace('<Choice value="Bug"/>', '<Choice value="Bug"/><Choice value="Praise"/>')
    assert served(here, more) == served(here, TOPICS)
