"""Whose annotations teach, and what several of one task teach together."""

import random

import pytest

from lsml.binding import Tally, bind, sentences
from lsml.binding.reliability import Votes, reliability
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.labeling.tasks import read_annotation
from lsml.recipe import LearnFrom, load_recipe
from tests.conftest import TOPICS, choice, write_recipe
from tests.support.fetching import no_fetch


def bound(tmp_path, learn_from):
    recipe = write_recipe(
        tmp_path, f"tags: {{Choices: text-classifier}}\ntraining: {{learn_from: {learn_from}}}\n", config=None
    )
    return bind(load_recipe(recipe), parse_labeling_config(TOPICS))


def task(*given, truths=()):
    """(label, who) for each annotation."""
    annotations = (
        Annotation(str(n), choice(label), annotator=who, ground_truth=n in truths)
        for n, (label, who) in enumerate(given)
    )
    return AnnotatedTask("1", {"text": "x"}, tuple(annotations))


def taught(binding, annotated, weights=None):
    return [answer[0].label for answer in binding.learn(annotated, no_fetch, weights).answers.get("topic", [])]


@pytest.mark.parametrize(
    ("learn_from", "labels"),
    [
        ("{annotators: [7], several: all}", ["Bug"]),
        ("{annotators: ['Ann@example.com', 9], several: all}", ["Bug", "Billing"]),
        ("{except_annotators: [7], several: all}", ["Billing", "Question"]),
        ("{annotators: [77]}", []),
        ("{ground_truth: only}", []),
        ("{}", ["Question"]),
    ],
)
def test_those_teach_whom_the_recipe_names(tmp_path, learn_from, labels):
    annotated = task(("Bug", "7 ann@example.com"), ("Billing", "9"), ("Question", ""))
    assert taught(bound(tmp_path, learn_from), annotated) == labels


@pytest.mark.parametrize(("mark", "labels"), [("any", ["Billing"]), ("prefer", ["Question"]), ("only", ["Question"])])
def test_a_ground_truth_means_what_the_recipe_says(tmp_path, mark, labels):
    annotated = task(("Question", "7"), ("Bug", "8"), ("Billing", "9"), ("Billing", "9"), truths={0})
    assert taught(bound(tmp_path, f"{{ground_truth: {mark}, several: majority}}"), annotated) == labels


def test_what_does_not_teach_is_counted_with_whose_it_is(tmp_path):
    tally = Tally()
    tally.add(
        "1", bound(tmp_path, "{annotators: [7]}").learn(task(("Bug", "7"), ("Bug", "8 bea@example.com")), no_fetch)
    )
    tally.add("2", bound(tmp_path, "{ground_truth: only}").learn(task(("Bug", "7")), no_fetch))
    assert sentences(tally.report()) == [
        "Choices#topic: 1 of 3 answers left out: by 8, who is excluded; see `training.learn_from` of the recipe; "
        "first: task 1",
        "Choices#topic: 1 of 3 answers left out: not marked as ground truth; `training: {learn_from: {ground_truth: "
        "prefer}}` uses them, too; first: task 2",
    ]


def test_three_careless_people_do_not_outvote_two_who_confirm_each_other(tmp_path):
    binding = bound(tmp_path, "{several: weighted}")
    draw = random.Random(4)
    names = ["Billing", "Bug", "Question"]
    truths = [draw.choice(names) for _ in range(200)]
    tasks = [
        task(
            (truth, "1"), (truth if draw.random() < 0.9 else "Bug", "2"), *((draw.choice(names), who) for who in "345")
        )
        for truth in truths
    ]
    weights = binding.weigh(tasks, no_fetch)
    assert min(weights["1"], weights["2"]) > 4 * max(weights[who] for who in "345")
    right = sum(taught(binding, one, weights) == [truth] for one, truth in zip(tasks, truths, strict=True))
    majority = bound(tmp_path, "{several: majority}")
    alone = sum(taught(majority, one) == [truth] for one, truth in zip(tasks, truths, strict=True))
    assert right > 180 and right > alone + 10
    assert majority.weigh(tasks, no_fetch) == {}


def test_ground_truths_tell_who_is_right_where_people_disagree():
    votes = [Votes((("a", 1), ("b", 2)), truth=1)] * 9
    weights = reliability(votes)
    assert weights["a"] > 2 and weights["b"] == pytest.approx(0.05)
    assert reliability([Votes((("a", 1), ("b", 2)))] * 9)["a"] == pytest.approx(0.05)  # nobody confirms either


@pytest.mark.parametrize(
    ("completed_by", "annotator"),
    [(7, "7"), ({"id": 7, "email": "ann@example.com"}, "7 ann@example.com"), ({"email": "a b"}, "ab"), (None, ""), ([], "")],
)  # fmt: skip
def test_an_annotation_tells_who_completed_it(completed_by, annotator):
    assert read_annotation({"id": 1, "result": [], "completed_by": completed_by}).annotator == annotator


def test_other_people_make_the_next_training_start_over(tmp_path):
    settings = ("{}", "{annotators: [7]}", "{except_annotators: [7]}", "{ground_truth: any}", "{several: weighted}")
    digests = {bound(tmp_path, one).models[0].options_digest for one in settings}
    assert len(digests) == len(settings)
    assert LearnFrom(ground_truth="prefer").settings() == []
