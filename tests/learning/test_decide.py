"""What is promoted and why: enough tasks or too few, wrong labels, a label that is lost, ground truth."""

import random

import msgspec
import pytest

from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.learning.compare import compare
from lsml.learning.decide import LEAST_JUDGED
from lsml.recipe import Promote, load_recipe, share_of
from lsml.values import Choice
from lsml.versions import ENOUGH, Decision, Why
from tests.conftest import TOPICS, tickets, write_recipe
from tests.learning.test_train import annotated, project  # noqa: F401 (a fixture)
from tests.support.plugins import SlowTopics, register

MODEL = "topic:text-classifier"
LABELS = ("Billing", "Bug", "Question")


def with_wrong(pairs, share, seed=1):
    """The same with a share of wrong labels."""
    draw = random.Random(seed)
    wrong = set(draw.sample(range(len(pairs)), round(share * len(pairs))))
    return [
        (text, draw.choice([one for one in LABELS if one != label]) if number in wrong else label)
        for number, (text, label) in enumerate(pairs)
    ]


@pytest.fixture
def topics(tmp_path):
    """The binding of the tickets' recipe."""
    return bind(load_recipe(write_recipe(tmp_path)), parse_labeling_config(TOPICS))


def answers(*rows):
    """Pairs of one control: (annotated label, predicted label, how many tasks)."""
    return {"topic": [[((Choice(true),), (Choice(said),))] for true, said, count in rows for _ in range(count)]}


def compared(binding, new, promoted, **rule):
    return compare(
        binding, {"topic"}, (new, promoted), Promote(**rule), against="v1", by="held-out tasks", seed=1
    )  # fmt: skip


def test_the_interval_holds_the_gain_and_is_wider_with_fewer_tasks(topics):
    widths = []
    for times in (1, 10):
        new = answers(("Bug", "Bug", 18 * times), ("Billing", "Billing", 14 * times), ("Billing", "Bug", 2 * times))
        old = answers(("Bug", "Bug", 16 * times), ("Bug", "Billing", 2 * times), ("Billing", "Billing", 13 * times),
                      ("Billing", "Bug", 3 * times))  # fmt: skip
        found = compared(topics, new, old)
        low, high = found.interval
        assert low < found.gain < high
        assert (found.tasks, found.metric, found.confidence) == (34 * times, "macro_f1", 0.8)
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
    assert compared(topics, new, old) == compared(topics, new, old)


def test_more_confidence_is_a_wider_interval(topics):
    new, old = answers(("Bug", "Bug", 30), ("Bug", "Billing", 5)), answers(("Bug", "Billing", 9), ("Bug", "Bug", 26))
    (low, high), (lower, higher) = (compared(topics, new, old, confidence=c).interval for c in (0.6, 0.99))
    assert lower < low < high < higher


def test_another_metric_is_compared_where_the_recipe_names_it(topics):
    new = answers(("Bug", "Bug", 36), ("Billing", "Bug", 4))
    found = compared(
        topics, new, answers(("Bug", "Billing", 20), ("Bug", "Bug", 16), ("Billing", "Billing", 4)), metric="accuracy"
    )
    assert (found.metric, found.new, found.promoted) == ("accuracy", 0.9, 0.5)
    assert compared(topics, new, new, metric="r2").metric == "macro_f1"


def test_a_label_that_is_lost_is_told_although_the_whole_got_better(topics):
    new = answers(("Bug", "Bug", 50), ("Question", "Question", 50), ("Billing", "Bug", 6))
    old = answers(("Bug", "Question", 40), ("Bug", "Bug", 10), ("Question", "Bug", 40), ("Question", "Question", 10),
                  ("Billing", "Billing", 6))  # fmt: skip
    found = compared(topics, new, old)
    assert found.gain > 0 and found.interval[0] > 0
    assert found.dropped == "Billing"
    assert (found.labels["Billing"].promoted, found.labels["Billing"].new, found.labels["Billing"].tasks) == (1, 0, 6)
    sentence = Decision(False, Why.LABEL_DROPPED, found).sentence
    assert sentence.startswith(
        "Billing got worse than with v1: 1.000 before, 0.000 now on 6 tasks with it; overall on 106 held-out tasks (0."
    )
    assert compared(topics, new, old, worst_label_drop=1).dropped is None


def test_a_label_on_very_few_tasks_refuses_nothing_and_is_told(topics):
    new, old = (
        answers(("Bug", "Bug", 60), ("Billing", "Bug", 2)),
        answers(("Bug", "Bug", 60), ("Billing", "Billing", 2)),
    )
    found = compared(topics, new, old)
    assert found.dropped is None
    assert Decision(True, Why.BETTER, found).cautions(0.05) == (
        "Billing dropped from 1.000 to 0.000 on 2 tasks with it, too few to be certain",
    )
    assert Decision(False, Why.UNSURE, found).cautions(0.05) == ()


def test_a_label_that_fell_by_chance_refuses_nothing(topics):
    new = answers(("Bug", "Bug", 50), ("Billing", "Billing", 9), ("Billing", "Bug", 3))
    old = answers(("Bug", "Bug", 50), ("Billing", "Billing", 10), ("Billing", "Bug", 2))
    found = compared(topics, new, old)
    assert found.labels["Billing"].drop > 0.05 and found.dropped is None


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize("before", [60, 240])
def test_a_version_that_learnt_wrong_labels_does_not_beat_one_that_did_not(project, before, share):  # noqa: F811
    """Few tasks are judged by cross-validation, many by those that are held out; the wrong labels are among them, too."""
    here = project()
    pairs = tickets(2 * before, seed=5)
    here.train(annotated(pairs[:before]))
    card = here.train(annotated(with_wrong(pairs, share)))
    decision = card.decisions[MODEL]
    assert decision.compared.by == ("cross-validation" if before == 60 else "held-out tasks")
    assert decision.compared.tasks >= ENOUGH
    assert (here.promoted, decision.taken) == (1, False), decision.sentence


def test_a_version_without_the_wrong_labels_beats_the_one_that_learnt_them(project):  # noqa: F811
    here = project()
    pairs = tickets(240, seed=5)
    here.train(annotated(with_wrong(pairs, 0.4)))
    decision = here.train(annotated(pairs)).decisions[MODEL]
    assert (here.promoted, decision.why) == (2, Why.BETTER), decision.sentence


def test_where_a_model_learns_slowly_few_tasks_are_a_coin_toss_and_it_says_so(project, monkeypatch):  # noqa: F811
    register(monkeypatch, SlowTopics)
    here = project("tags: {Choices: slow-topics}\n")
    here.train(annotated(tickets(60)))
    decision = here.train(annotated(tickets(90))).decisions["topic:slow-topics"]
    fair = [id for id in range(1, 91) if share_of(str(id)) < 0.2]
    assert LEAST_JUDGED <= len(fair) < ENOUGH
    assert (decision.taken, decision.why, decision.compared.by) == (False, Why.COIN_TOSS, "held-out tasks")
    assert decision.sentence.startswith(
        "a coin toss, because an evaluation needs 30 tasks: it is not better on them, so v1 stays: on "
    )


def test_a_gain_must_be_as_large_as_the_recipe_says(project):  # noqa: F811
    here = project("training: {promote: {min_gain: 0.9}}\n")
    pairs = tickets(240, seed=5)
    here.train(annotated(with_wrong(pairs, 0.4)))
    decision = here.train(annotated(pairs)).decisions[MODEL]
    assert (decision.taken, decision.why) == (False, Why.NOT_BETTER)
    assert decision.compared.gain > 0


def test_tasks_with_a_ground_truth_judge_and_teach_nothing(project):  # noqa: F811
    here = project("training: {holdout: {from: ground_truth}}\n")
    tasks = [
        msgspec.structs.replace(
            task,
            annotations=tuple(msgspec.structs.replace(one, ground_truth=int(task.id) > 60) for one in task.annotations),
        )
        for task in annotated(tickets(100))
    ]
    card = here.train(tasks)
    assert (card.held_out, card.models[MODEL].examples) == (40, 60)
    assert card.metrics["topic"]["examples"] == 40
