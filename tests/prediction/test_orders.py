"""In which order tasks are answered best: unsure ones, unlike each other, and typical ones before anything was learnt."""

import numpy as np
import pytest

from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.prediction import Predictor, diverse_order, predict_tasks, task_features, typical_order
from lsml.recipe import load_recipe
from lsml.values import Choice
from tests.conftest import TOPICS, tickets, write_recipe
from tests.support.fetching import no_fetch


def around(*angles):
    """Rows of length 1 in the plane."""
    radians = np.radians(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_what_is_unsure_and_unlike_what_came_before_comes_next():
    features = around(0, 1, 2, 90)
    assert diverse_order([0.9, 0.89, 0.88, 0.5], features, 4)[:2] == [0, 3]
    assert diverse_order([0.9, 0.89, 0.88, 0.5], None, 4) == [0, 1, 2, 3]


def test_what_was_annotated_before_counts_as_chosen():
    assert diverse_order([0.5, 0.5], around(0, 90), 1, known=around(2)) == [1]


def test_every_task_comes_once_also_twins_and_those_without_doubt():
    order = diverse_order([0.0, 0.0, 0.3, 0.3], around(0, 0, 0, 0), 10)
    assert sorted(order) == [0, 1, 2, 3]


def test_before_anything_is_learnt_the_most_typical_task_of_the_largest_cluster_comes_first():
    features = around(-8, -4, 0, 4, 8, 90, 92)
    assert typical_order(features, 2) == [2, 5] or typical_order(features, 2) == [2, 6]
    assert sorted(typical_order(features, 7)) == list(range(7))
    assert typical_order(None, 3) == []


def test_features_are_the_adapters_own_and_tell_what_is_alike(tmp_path):
    binding = bind(load_recipe(write_recipe(tmp_path)), parse_labeling_config(TOPICS))
    adapters = {model.key: model.new_adapter() for model in binding.models}
    texts = ["refund the invoice", "refund my invoice", "the screen freezes", None]
    tasks = [{"id": number, "data": {"text": text} if text else {}} for number, text in enumerate(texts)]
    rows = task_features(binding, adapters, tasks, no_fetch)
    near = rows @ rows.T
    assert near[0, 1] > near[0, 2]
    assert np.allclose(np.linalg.norm(rows[:3], axis=1), 1) and not rows[3].any()
    many = [{"id": number, "data": {"text": text}} for number, (text, _) in enumerate(tickets(200))]
    assert task_features(binding, adapters, many, no_fetch).shape == (200, 64)


def test_an_adapter_without_features_has_none(tmp_path):
    recipe = load_recipe(write_recipe(tmp_path, "tags: {Choices: transformers-classifier}\n"))
    binding = bind(recipe, parse_labeling_config(TOPICS))
    adapters = {model.key: model.new_adapter() for model in binding.models}
    assert task_features(binding, adapters, [{"id": 1, "data": {"text": "a b"}}], no_fetch) is None


TWO = """<View><Text name="text" value="$text"/>
<Choices name="topic" toName="text"><Choice value="Billing"/><Choice value="Bug"/><Choice value="Question"/></Choices>
<Choices name="tone" toName="text"><Choice value="Calm"/><Choice value="Angry"/></Choices></View>"""


@pytest.mark.parametrize(("of", "expected"), [("", min), ("Choices#topic", "topic"), ("Choices#tone", "tone")])
def test_the_score_is_that_of_the_tag_that_the_recipe_names(tmp_path, of, expected):
    class Says:
        ready, own_names, only_interactive = True, False, False

        def __init__(self, *pairs):
            self.values = [Choice(label, score=score) for label, score in pairs]

        def predict_above(self, batch, floor):
            return [self.values for _ in batch]

    text = f"score: {{by: margin, of: {of}}}\n" if of else "score: {by: margin}\n"
    binding = bind(load_recipe(write_recipe(tmp_path, text, config=TWO)), parse_labeling_config(TWO))
    adapters = {
        "topic:text-classifier": Says(("Bug", 0.9), ("Billing", 0.1)),
        "tone:text-classifier": Says(("Calm", 0.6), ("Angry", 0.4)),
    }
    [outcome] = predict_tasks(Predictor(binding, adapters, no_fetch, "v"), [{"id": 1, "data": {"text": "x"}}])
    margins = {"topic": 0.8, "tone": 0.2}
    wanted = min(margins.values()) if expected is min else margins[expected]
    assert outcome.prediction["score"] == pytest.approx(wanted)
