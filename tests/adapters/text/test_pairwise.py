"""What people prefer is learnt from their comparisons."""

import random

import numpy as np
import pytest

from lsml.adapters.base import Example, Target
from lsml.adapters.text.pairwise import PairwiseOptions, TextPairwise
from lsml.errors import AdapterError, NotEnoughData
from lsml.labeling.items import Items
from lsml.metrics import judge
from lsml.values import Choice, Ranking
from tests.support.drawings import discs

SIDES = ("left", "right")
TARGET = Target(SIDES, kinds={"choice": SIDES})
WORTH = {"thanks": 2.0, "please": 1.5, "sorry": 1.0, "well": 0.0, "hm": -0.5, "no": -1.5, "never": -2.0}


def answers(count, seed=1, noise=0.0):
    """Comparisons of answers: people prefer those with friendlier words, and err now and then."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        texts = [" ".join(draw.choices([*WORTH, "the", "card", "is", "blocked"], k=6)) for _ in SIDES]
        worth = [sum(WORTH.get(word, 0.0) for word in text.split()) + noise * draw.gauss(0, 1) for text in texts]
        found.append(Example(Items(SIDES, tuple(texts)), (Choice(SIDES[worth[1] > worth[0]]),)))
    return found


def learnt(examples):
    adapter = TextPairwise(PairwiseOptions(), TARGET)
    adapter.fit(examples, 1)
    return adapter


@pytest.fixture(scope="module")
def adapter():
    return learnt(answers(150))


def chosen(values):
    return max(values, key=lambda value: value.score).label


def test_comparisons_of_new_texts_are_right(adapter):
    tests = answers(200, seed=2)
    said = adapter.predict([example.data for example in tests])
    right = [chosen(values) == example.values[0].label for example, values in zip(tests, said, strict=True)]
    assert np.mean(right) > 0.85


def test_which_image_people_prefer_is_learnt_from_their_comparisons(tmp_path):
    """They prefer red to blue, on whichever side."""
    pytest.importorskip("skimage")
    made = discs(tmp_path, 36)
    drawn = {colour: [str(path) for path, own in made if own == colour] for colour in ("Red", "Blue")}
    examples = []
    for number, pair in enumerate(zip(drawn["Red"], drawn["Blue"], strict=False)):
        side = number % 2
        examples.append(Example(Items(SIDES, paths=pair[::-1] if side else pair), (Choice(SIDES[side]),)))
    adapter = learnt(examples[:8])
    said = adapter.predict([example.data for example in examples[8:]])
    assert [chosen(values) for values in said] == [example.values[0].label for example in examples[8:]]
    adapter.save(tmp_path)
    again = TextPairwise(PairwiseOptions(), TARGET)
    again.load(tmp_path)
    assert again.predict([examples[9].data]) == adapter.predict([examples[9].data])
    mixed = [*examples[:2], *answers(2)]
    with pytest.raises(AdapterError, match=r"^some tasks compare texts and others images; make a project for each$"):
        learnt(mixed)


def test_the_answer_is_the_opposite_where_the_texts_change_sides(adapter):
    one, other = adapter.predict([Items(SIDES, ("thanks", "never")), Items(SIDES, ("never", "thanks"))])
    assert [value.score for value in one] == pytest.approx([value.score for value in other][::-1])
    assert chosen(one) == "left" and chosen(other) == "right"
    assert [value.score for value in adapter.predict([Items(SIDES, ("same", "same"))])[0]] == [0.5, 0.5]


def test_people_who_always_choose_one_side_are_no_preference_for_it():
    adapter = learnt([Example(Items(SIDES, ("same words", "same words")), (Choice("left"),)) for _ in range(20)])
    assert [value.score for value in adapter.predict([Items(SIDES, ("new", "other"))])[0]] == pytest.approx([0.5, 0.5])


def test_longer_answers_can_be_what_people_prefer():
    draw = random.Random(3)
    texts = [[" ".join(f"w{draw.randrange(10**6)}" for _ in range(count)) for count in (3, 12)] for _ in range(40)]
    adapter = learnt([Example(Items(SIDES, tuple(pair)), (Choice("right"),)) for pair in texts])
    assert chosen(adapter.predict([Items(SIDES, ("a b c d e f g h i j k l m n", "a b"))])[0]) == "left"


def test_its_probabilities_say_how_often_it_is_right():
    adapter = learnt(answers(300, noise=3.0))
    tests = answers(400, seed=5, noise=3.0)
    said = adapter.predict([example.data for example in tests])
    right = np.array([chosen(values) == example.values[0].label for example, values in zip(tests, said, strict=True)])
    sure = np.array([max(value.score for value in values) for values in said])
    assert abs(right.mean() - sure.mean()) < 0.08


def test_one_comparison_is_too_few():
    with pytest.raises(NotEnoughData, match="^1 comparisons have an answer; annotate at least two$"):
        learnt([*answers(1), Example(Items(SIDES, ("a", "b")), ())])


def lists(count, seed=1, buckets=False):
    """Lists of answers, which people put in the order of their worth; with buckets, the best ones only."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        texts = [" ".join(draw.choices([*WORTH, "the", "card", "is"], k=6)) for _ in range(5)]
        worth = [sum(WORTH.get(word, 0.0) for word in text.split()) for text in texts]
        names = tuple(f"n{place}" for place in range(5))
        order = sorted(range(5), key=lambda place: -worth[place])
        if buckets:
            good = [place for place in order if worth[place] > 0]
            order = sorted(set(order) - set(good)) + good
        groups = tuple("best" if worth[place] > 0 else "_" for place in order) if buckets else ()
        found.append(Example(Items(names, tuple(texts)), (Ranking(tuple(names[place] for place in order), groups),)))
    return found


@pytest.mark.parametrize(("buckets", "least"), [(False, 0.85), (True, 0.7)])
def test_lists_are_put_in_order_and_sorted_into_buckets(buckets, least):
    labels = ("_", "best") if buckets else ()
    adapter = TextPairwise(PairwiseOptions(), Target(labels, kinds={"ranking": labels}))
    adapter.fit(lists(60, buckets=buckets), 1)
    tests = lists(60, seed=2, buckets=buckets)
    said = adapter.predict([example.data for example in tests])
    judged = judge(Ranking, [(example.values, values) for example, values in zip(tests, said, strict=True)])
    assert judged["value"] > least
    assert all(0.5 <= values[0].score <= 1 for values in said)


def test_images_are_put_in_order_and_texts_beside_them_are_not(tmp_path):
    """They prefer red to blue to green."""
    pytest.importorskip("skimage")
    made = discs(tmp_path, 45)
    drawn = {colour: [str(path) for path, own in made if own == colour] for colour in ("Red", "Blue", "Green")}
    names, examples = ("r", "b", "g"), []
    for number, three in enumerate(zip(*drawn.values(), strict=True)):
        turn = number % 3
        mixed = Items(names[turn:] + names[:turn], paths=three[turn:] + three[:turn])
        examples.append(Example(mixed, (Ranking(names),)))
    adapter = TextPairwise(PairwiseOptions(), Target((), kinds={"ranking": ()}))
    adapter.fit(examples[:10], 1)
    tests = [example.data for example in examples[10:]]
    texts = Items(("a", "b"), ("one", "two"))
    said = adapter.predict([tests[0], texts, *tests[1:]])
    assert said.pop(1) == [] == adapter.predict([texts])[0]
    assert [values[0].order for values in said] == [names] * len(tests)


def test_rankings_in_which_nothing_is_preferred_are_too_few():
    adapter = TextPairwise(PairwiseOptions(), Target(("_", "best"), kinds={"ranking": ("_", "best")}))
    alike = Example(Items(("a", "b"), ("one text", "other text")), (Ranking(("a", "b"), ("_", "_")),))
    with pytest.raises(NotEnoughData, match="^no item is preferred to another of its task; annotate more$"):
        adapter.fit([alike] * 5, 1)
