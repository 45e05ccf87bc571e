"""Dates are found as they are written, and those that people take are learnt."""

import random

import pytest

from lsml.adapters.base import Example, Target
from lsml.adapters.parts.found_dates import DateFinder
from lsml.adapters.text.dates import Dates, DatesOptions
from lsml.errors import AdapterError, NotEnoughData
from lsml.values import Moment


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Invoice of 12 March 2024. Due by 2024-04-11 at 17:30.", ["2024-03-12", "2024-04-11T17:30"]),
        ("May 3rd, 2021, then June 4, 2021 10:15 pm", ["2021-05-03", "2021-06-04T22:15"]),
        ("He may go; 5 apples cost 3.20 in 1999", ["1999"]),
        ("Born in May 2020, left at 10:30", ["2020-05", "10:30"]),
        ("12-Mar-24 and 12 Mar '25 and Sept. 4, 2020 9am", ["2024-03-12", "2025-03-12", "2020-09-04T09:00"]),
        ("03/04/2021 or 31/12/2020", ["2021-03-04", "2020-12-31"]),
        ("2024-04-11T17:30:00Z", ["2024-04-11T17:30"]),
        ("tomorrow, on 3 May, 2024-13-45 or 30 February 2024 at 12 am", ["00:00"]),
        ("call 555-1234, version 1.2.3, 10.0.0.1, ISO 9001, 2024%", []),
        ("🤖 日本語 no date", []),
    ],
)
def test_dates_and_times_are_found_as_they_are_written(text, found):
    assert [one.at for one in DateFinder(["en"], None).find(text)] == found


def test_languages_name_the_months_and_say_what_comes_first():
    text = "12. März 2024, le 1er mars 2024 à 14:30, 2024年5月6日, 11.04.2024"
    assert [one.at for one in DateFinder(["de", "fr", "ja"], None).find(text)] == [
        "2024-03-12", "2024-03-01T14:30", "2024-05-06", "2024-04-11",
    ]  # fmt: skip
    assert [one.at for one in DateFinder(["en"], "DMY").find("03/04/2021")] == ["2021-04-03"]
    with pytest.raises(AdapterError, match="dateparser knows no language 'qq'; expected a code such as en or de"):
        DateFinder(["qq"], None)


def test_the_place_of_a_date_is_counted_in_code_points():
    text = "🤖 é 2024-04-11 ok"
    [one] = DateFinder(["en"], None).find(text)
    assert text[one.start : one.end] == "2024-04-11"


def letters(count, take, seed=1):
    """Letters with three dates in any order; people take the one after the words `take`."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        days = {name: f"2026-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}" for name in ("sent", "due", "born")}
        parts = [f"it was {name} on {day} ." for name, day in days.items()]
        draw.shuffle(parts)
        made.append(Example(" ".join(parts), (Moment(days[take]),)))
    return made


def best(values):
    return max(values, key=lambda value: value.score).at


def test_before_training_all_dates_are_alike_and_the_first_counts():
    [values] = Dates(DatesOptions(), Target()).predict(["of 2026-01-02, due 2026-03-04; 2026-01-02"])
    assert [value.at for value in values] == ["2026-01-02", "2026-03-04"]
    assert [value.score for value in values] == pytest.approx([1 / 3, 1 / 6])


def test_the_date_that_people_take_is_learnt_from_the_words_before_it():
    adapter = Dates(DatesOptions(), Target())
    adapter.fit(letters(40, "due"), 1)
    tests = letters(100, "due", seed=2)
    said = adapter.predict([example.data for example in tests])
    assert sum(best(values) == example.values[0].at for example, values in zip(tests, said, strict=True)) >= 98
    assert adapter.notes == ()


def test_the_latest_date_is_learnt_where_the_words_tell_nothing():
    draw = random.Random(3)
    examples = []
    for _ in range(140):
        days = [f"2026-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}" for _ in range(3)]
        examples.append(Example(" and ".join(days), (Moment(max(days)),)))
    adapter = Dates(DatesOptions(), Target())
    adapter.fit(examples[:40], 1)
    said = adapter.predict([example.data for example in examples[40:]])
    assert sum(best(values) == e.values[0].at for e, values in zip(examples[40:], said, strict=True)) >= 95


def test_scores_and_notes_tell_where_dates_are_not_in_their_texts():
    adapter = Dates(DatesOptions(), Target())
    adapter.fit([*letters(20, "due"), *(Example("nothing", (Moment("2026-01-01"),)) for _ in range(20))], 1)
    assert adapter.notes == ("the annotated date is not written in 20 of 40 texts",)
    [values] = adapter.predict([letters(1, "due", seed=9)[0].data])
    assert sum(value.score for value in values) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        ([Example("2026-01-01 or 2026-01-02", ())] * 3, "0 texts have a date; annotate at least two"),
        ([Example("of 2026-01-01", (Moment("2026-01-01"),))] * 3, "no text has the annotated date beside another one"),
    ],
)
def test_where_nothing_is_chosen_there_is_nothing_to_learn(examples, says):
    with pytest.raises(NotEnoughData, match=says):
        Dates(DatesOptions(), Target()).fit(examples, 1)


def test_a_time_is_told_from_a_date_with_a_time():
    adapter = Dates(DatesOptions(), Target())
    adapter.fit([Example(f"2026-01-01 at 0{hour}:30 or 12:00", (Moment(f"0{hour}:30"),)) for hour in range(1, 9)], 1)
    assert best(adapter.predict(["2026-01-01 at 09:45 or 12:00"])[0]) == "2026-01-01T09:45"
