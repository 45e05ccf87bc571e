"""The adapter of relations: how well it finds those that are known, of spans and of boxes, and what it refuses."""

import pytest

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.parts.pairs import Scene
from lsml.adapters.parts.state import load_state, save_state
from lsml.adapters.text.relations import RelationsAdapter
from lsml.errors import VersionError
from lsml.metrics import judge
from lsml.values import Marked, Relation, Span
from tests.support.companies import LABELS, example, form


def learnt(examples, labels=LABELS, **options):
    adapter = RelationsAdapter(
        RelationsAdapter.Options(**options), Target(labels, multiple=True, kinds={"relation": labels})
    )
    adapter.fit(examples, seed=1)
    return adapter


def f1(adapter, examples):
    shown = [[one for one in found if one.score >= 0.5] for found in adapter.predict([one.data for one in examples])]
    return judge(Relation, list(zip([one.values for one in examples], shown, strict=True)))


@pytest.fixture(scope="module")
def reader():
    return learnt([example(seed) for seed in range(30)], C=10)


def test_thirty_texts_teach_the_relations_of_others(reader):
    judged = f1(reader, [example(seed) for seed in range(100, 140)])
    assert judged["metric"] == "relation_f1" and judged["value"] >= 0.95
    assert set(judged["per_label"]) == set(LABELS) and judged["relations"] > 40


def test_of_boxes_it_looks_at_where_they_stand():
    adapter = learnt([form(seed) for seed in range(20)], ("answered by",), C=10)
    assert f1(adapter, [form(seed) for seed in range(100, 120)])["value"] >= 0.95


def test_a_relation_points_from_one_region_to_the_other(reader):
    marked = Marked("Ada founded Acme .", ("p", "o"), (Span(0, 3, "Person"), Span(12, 16, "Company")))
    best = max(reader.predict([marked])[0], key=lambda value: value.score)
    assert (best.source, best.target, best.label) == ("p", "o", "founded") and best.score > 0.5


def test_regions_that_are_far_apart_are_no_pair():
    text = "a " + "x " * 40 + "b"
    marked = Marked(text, ("a", "b"), (Span(0, 1, "A"), Span(len(text) - 1, len(text), "A")))
    assert Scene(marked).pairs(39) == []
    assert [pair.apart for pair in Scene(marked).pairs(40)] == [40, 40]


def test_the_window_follows_from_the_longest_relation_or_is_said():
    regions = (Span(0, 1, "A"), Span(2, 3, "C"), Span(42, 43, "B"))
    marked = Marked("a " + "x " * 20 + "b", ("a", "c", "b"), regions)
    examples = 2 * [Example(marked, (Relation("a", "b", "founded"),))]
    assert learnt(examples).notes == ("looks for relations of spans with at most 30 words between them",)
    [found] = learnt(examples, window=5).predict([marked])
    assert {(one.source, one.target) for one in found} == {("a", "c"), ("c", "a")}


def test_relations_of_other_labels_and_of_unknown_regions_teach_nothing(reader):
    more = [
        Example(one.data, (*one.values, Relation("n0", "n1", "owns"), Relation("n0", "nowhere", "founded")))
        for one in (example(seed) for seed in range(30))
    ]
    batch = [example(200).data]
    assert learnt(more, C=10).predict(batch) == reader.predict(batch)


@pytest.mark.parametrize(
    ("examples", "why"),
    [
        ([], "0 tasks with a relation; draw some from one region to another in at least two"),
        ([Example(example(0).data, ()), example(1)],
         "1 task with a relation; draw some from one region to another in at least two"),
        (2 * [Example(Marked("a b", ("a", "b"), (Span(0, 1, "A"), Span(2, 3, "A"))),
                      (Relation("a", "b", "founded"), Relation("b", "a", "founded")))],
         "every pair of regions is related, and alike; annotate tasks where some are not"),
    ],
)  # fmt: skip
def test_it_says_what_is_missing_to_learn(examples, why):
    with pytest.raises(NotEnoughData) as caught:
        learnt(examples)
    assert str(caught.value) == why


@pytest.mark.parametrize("change", [{"window": None}, {"weights": 1}, {"labels": ["-"]}])
def test_a_damaged_version_is_refused(reader, tmp_path, change):
    reader.save(tmp_path)
    save_state(tmp_path, {**load_state(tmp_path, "relations"), **change})
    with pytest.raises(VersionError, match="relations cannot read it"):
        RelationsAdapter(RelationsAdapter.Options(), Target(LABELS)).load(tmp_path)
