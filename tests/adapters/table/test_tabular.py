"""The adapter of columns: what it learns from gaps and codes, the same numbers as scikit-learn, files that nobody wrote."""

import random
from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.parts.boosted_trees import Forest, probabilities
from lsml.adapters.parts.columns import Columns
from lsml.adapters.parts.state import load_state, save_state
from lsml.adapters.table.tabular import Tabular
from lsml.errors import VersionError
from lsml.values import Choice, Number


def customers(count, seed=1):
    draw = random.Random(seed)
    for number in range(count):
        yield {
            "tier": draw.choice(["gold", "silver", "bronze", "", None]),
            "age": draw.choice([draw.randint(18, 90), str(draw.randint(18, 90)), "n/a"]),
            "since": f"202{draw.randint(0, 5)}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}T09:30:00Z",
            "postcode": f"{draw.randint(1, 5):05d}",
            "id": f"c{number}",
        }


def team(row):
    if row["tier"] == "gold":
        return "Premium"
    return "New" if row["since"] > "2024" else ("Unknown age" if row["age"] == "n/a" else "Usual")


def stars(row):
    return 4.0 if row["tier"] == "gold" else 2.0 + (row["postcode"] == "00003")


def learnt(rows, answer, target=None, **options):
    adapter = Tabular(Tabular.Options(**options), target or Target(tuple(sorted({answer(row) for row in rows}))))
    value = Choice if isinstance(answer(rows[0]), str) else Number
    adapter.fit([Example(row, (value(answer(row)),)) for row in rows], seed=1)
    return adapter


def test_it_learns_categories_dates_numbers_and_gaps():
    rows, others = list(customers(300)), list(customers(200, seed=2))
    adapter = learnt(rows, team)
    said = [max(values, key=lambda value: value.score).label for values in adapter.predict(others)]
    assert np.mean([label == team(row) for label, row in zip(said, others, strict=True)]) > 0.95
    assert adapter.notes == (
        "read as number: age; read as category: postcode, tier; read as date: since",
        "left out, because they do not differ between tasks: id",
    )


def test_a_number_has_the_score_of_how_far_its_members_agree():
    rows = list(customers(300))
    adapter = learnt(rows, stars)
    known, unlike = adapter.predict([{**rows[0], "tier": "gold"}, {"tier": "silver", "postcode": "00003"}])
    assert abs(known[0].value - 4) < 0.3 and abs(unlike[0].value - 3) < 0.5
    assert 0 < unlike[0].score <= 1 and known[0].score > 0.8


def test_one_model_answers_labels_and_a_number_at_once(tmp_path):
    rows = list(customers(100))
    adapter = Tabular(Tabular.Options(), Target(("Premium", "New", "Usual", "Unknown age"), multiple=True))
    adapter.fit([Example(row, (Choice(team(row)), Number(stars(row)))) for row in rows], seed=1)
    [values] = adapter.predict(rows[:1])
    assert [type(value) for value in values].count(Number) == 1 and len(values) == 5
    adapter.save(tmp_path)
    again = Tabular(Tabular.Options(), adapter.target)
    again.load(tmp_path)
    assert again.predict(rows[:9]) == adapter.predict(rows[:9])


@pytest.mark.parametrize("classes", [2, 3, 0])
def test_its_trees_answer_as_scikit_learn_does(classes):
    draw = np.random.default_rng(3)
    rows = draw.normal(size=(200, 4))
    rows[draw.random(rows.shape) < 0.2] = np.nan
    told = np.nan_to_num(rows[:, 0]) + np.isnan(rows[:, 1])
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    answers = np.digitize(told, np.linspace(-0.5, 1, classes)[1:]) if classes else told
    model = kind(max_iter=20, min_samples_leaf=3, early_stopping=False).fit(rows, answers)
    raw = Forest.of_model(model, 20).outputs(rows)
    if classes:
        np.testing.assert_allclose(probabilities([raw], multiple=False), model.predict_proba(rows), rtol=1e-9)
    else:
        np.testing.assert_allclose(raw[:, 0], model.predict(rows), rtol=1e-9)


def test_cells_are_read_as_what_most_of_their_column_are():
    rows = [
        {"n": cell, "d": day, "c": code}
        for cell, day, code in [
            (1, "2026-01-31", "007"),
            (" 2.5e3 ", "2026-02-01T00:00:00+02:00", "008"),
            ("-", None, "007"),
        ]
        * 10
    ]
    columns, left_out = Columns.of(rows, {})
    assert columns.told == "read as category: c; read as date: d; read as number: n" and not left_out
    day = datetime(2026, 1, 31, 22, tzinfo=UTC)
    made = columns.features([rows[1], {"n": "many", "d": "soon", "c": "009"}])
    # 007 is commoner than 008; a Saturday in January, 22 o'clock in UTC
    assert made[0].tolist() == [0, 1, day.timestamp() / 86_400, 1, 5, 22, 2500]
    assert made[1].tolist()[:2] == [0, 0] and np.isnan(made[1][2:]).all()


def test_kinds_of_the_recipe_win_over_what_cells_look_like():
    rows = [{"code": place % 4} for place in range(40)]
    assert Columns.of(rows, {})[0].told == "read as number: code"
    assert Columns.of(rows, {"code": "category"})[0].told == "read as category: code"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([{"a": 1}, {"a": 1}], "no column differs between tasks; there are a; give others under `inputs`"),
        ([{}, {}], "no column differs between tasks; there are none; give others under `inputs`"),
        ([{"id": "x"}, {"id": "y"}], "no column differs between tasks; there are id; give others under `inputs`"),
    ],
)
def test_columns_that_tell_nothing_are_too_little_to_learn_from(rows, why):
    adapter = Tabular(Tabular.Options(), Target(("A", "B")))
    with pytest.raises(NotEnoughData) as caught:
        adapter.fit([Example(row, (Choice(label),)) for row, label in zip(rows, "AB", strict=True)], seed=1)
    assert str(caught.value) == why


@pytest.mark.parametrize("part", ["left", "feature", "roots", "value", "baseline", "columns"])
def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path, part):
    rows = list(customers(60))
    learnt(rows, team).save(tmp_path)
    state = load_state(tmp_path, "tabular")
    one = state["learnt"][0]
    if part == "columns":
        one["columns"] = one["columns"][:1]
    elif part == "left":
        one["forests"][0]["left"] = np.zeros_like(one["forests"][0]["left"])  # back to the root, for ever
    else:
        one["forests"][0][part] = one["forests"][0][part][1:]
    del state["format"]
    save_state(tmp_path, state)
    with pytest.raises(VersionError, match="tabular cannot read it"):
        Tabular(Tabular.Options(), Target()).load(tmp_path)


def test_tasks_whose_columns_are_alike_are_near_each_other_before_anything_was_learnt():
    rows = [{"age": age, "tier": tier} for age, tier in [(20, "a"), (21, "a"), (80, "b"), (None, "b"), ("n/a", "a")]]
    features = Tabular(Tabular.Options(), Target(("x",))).features(rows)
    assert np.isfinite(features).all()
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    assert apart[0, 1] < apart[0, 4] < apart[0, 2]
    assert Tabular(Tabular.Options(), Target(("x",))).features([{"age": 1}, {"age": 1}]) is None


def test_ten_tasks_of_labels_that_are_all_rare_are_learnt():
    rows = [{"age": 10 * number + number % 3} for number in range(10)]
    adapter = learnt(rows, lambda row: f"label {row['age'] // 35}")
    assert {value.label for value in adapter.predict(rows[:1])[0]} == {"label 0", "label 1", "label 2"}


@pytest.mark.parametrize("multiple", [False, True])
def test_its_probabilities_are_those_that_held_out_examples_confirm(multiple):
    draw = np.random.default_rng(3)

    def some(count):
        for number in draw.normal(size=(count, 5)).tolist():
            right = "A" if number[0] > 0 else "B"
            yield dict(zip("abcde", number, strict=True)), right if draw.random() < 0.7 else "AB"[right == "A"]

    rows, others = list(some(200)), list(some(300))
    # So many trees know most of the examples by heart.
    adapter = Tabular(Tabular.Options(iterations=60), Target(("A", "B"), multiple=multiple))
    adapter.fit([Example(row, (Choice(label),)) for row, label in rows], seed=1)
    best = [max(values, key=lambda value: value.score) for values in adapter.predict([row for row, _ in others])]
    right = np.mean([value.label == label for value, (_, label) in zip(best, others, strict=True)])
    assert abs(np.mean([value.score for value in best]) - right) < 0.1
