"""Planted wrong answers are found among right ones, and what is vouched for is believed."""

from __future__ import annotations

import random

import pytest

from lsml.binding import bind
from lsml.errors import NotEnoughData
from lsml.labeling import parse_labeling_config
from lsml.labeling.annotated import AnnotatedTasks
from lsml.learning.review import review
from lsml.recipe import load_recipe
from lsml.studio.connection import fetcher
from tests.conftest import TOPICS, export, tickets, write_recipe

LABELS = ["Billing", "Bug", "Question"]


def binding_of(folder, config=TOPICS, text=""):
    return bind(load_recipe(write_recipe(folder, text, config=config)), parse_labeling_config(config))


def planted(count: int, every: int) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Tickets with a wrong label each so many, and by task the right one of those."""
    draw = random.Random(0)
    pairs, right = [], {}
    for number, (text, label) in enumerate(tickets(count), 1):
        if number % every == 0:
            right[str(number)] = label
            label = draw.choice([other for other in LABELS if other != label])
        pairs.append((text, label))
    return pairs, right


def reviewed(binding, tasks):
    return review(binding, AnnotatedTasks(tasks), fetcher(binding.recipe, None))


def test_wrong_labels_are_found_with_what_is_right_in_their_place(tmp_path):
    pairs, right = planted(180, 15)
    found = reviewed(binding_of(tmp_path), export(pairs))
    assert found.tasks == 180
    suggested = {one.task: one.suggested for one in found.suspects}
    assert suggested.items() <= right.items(), "no right answer is suspect"
    assert len(suggested) >= 0.7 * len(right)
    assert all(one.given != one.suggested and one.quality < (one.confidence or 0) for one in found.suspects)
    assert [one.quality for one in found.suspects] == sorted(one.quality for one in found.suspects)


def test_right_labels_are_not_suspect(tmp_path):
    assert reviewed(binding_of(tmp_path), export(tickets(90))).suspects == []


def test_what_somebody_vouched_for_is_believed(tmp_path):
    pairs, _ = planted(120, 20)
    tasks = export(pairs)
    suspects = {one.task for one in reviewed(binding_of(tmp_path), tasks).suspects}
    believed = min(suspects)
    for task in tasks:
        if str(task["id"]) == believed:
            task["annotations"][0]["ground_truth"] = True
    found = reviewed(binding_of(tmp_path), tasks)
    assert {one.task for one in found.suspects} == suspects - {believed}
    assert found.notes == [
        "1 of 120 tasks trusted, not checked: Label Studio marks their annotations as ground truth, as it does with imported ones"
    ]


def test_the_same_text_twice_does_not_vouch_for_itself(tmp_path):
    pairs, right = planted(120, 20)
    twice = [*pairs, *(pairs[int(task) - 1] for task in right)]
    once, again = (
        {one.task for one in reviewed(binding_of(tmp_path), export(these)).suspects} for these in (pairs, twice)
    )
    assert len(again) > 1.5 * len(once) > 0


def test_of_several_labels_each_is_looked_at_by_itself(tmp_path):
    config = TOPICS.replace('toName="text"', 'toName="text" choice="multiple"', 1)
    first, second = tickets(150), tickets(151, seed=5)[1:]
    tasks = export([(f"{one[0]} {other[0]}", one[1]) for one, other in zip(first, second, strict=True)])
    for number, task in enumerate(tasks):
        both = {first[number][1], second[number][1]}
        task["annotations"][0]["result"][0]["value"]["choices"] = sorted(both)[: 1 if number == 40 else 2]
    suspects = reviewed(binding_of(tmp_path, config), tasks).suspects
    assert suspects[0].task == "41"
    assert suspects[0].suggested == ", ".join(sorted({first[40][1], second[40][1]}))


def test_spans_that_nothing_predicted_meets_are_suspect(tmp_path):
    config = (
        '<View><Text name="text" value="$text"/><Labels name="who" toName="text"><Label value="City"/></Labels></View>'
    )
    cities = ["Berlin", "Paris", "Madrid", "Vienna", "Oslo"]
    tasks = []
    for id in range(1, 61):
        city = cities[id % len(cities)]
        text = f"We moved to {city} in spring and stayed there"
        start = text.index(city) if id != 30 else text.index("spring")
        end = start + (len(city) if id != 30 else len("spring"))
        value = {"start": start, "end": end, "text": text[start:end], "labels": ["City"]}
        region = {"id": "a", "from_name": "who", "to_name": "text", "type": "labels", "value": value}
        tasks.append({"id": id, "data": {"text": text}, "annotations": [{"id": id, "result": [region]}]})
    (one,) = reviewed(binding_of(tmp_path, config, "tags: {Labels: ner-crf}\n"), tasks).suspects
    assert (one.task, one.given, one.suggested) == ("30", "City at 22 to 28", "City at 12 to 18")


def test_with_few_tasks_it_says_how_many_it_needs(tmp_path):
    with pytest.raises(NotEnoughData, match="5 tasks are annotated, and a review needs 20"):
        reviewed(binding_of(tmp_path), export(tickets(5)))


def test_what_does_not_learn_is_said(tmp_path):
    config = TOPICS.replace("</View>", '<Labels name="who" toName="text"><Label value="A"/></Labels></View>')
    text = "tags:\n  Choices: text-classifier\n  Labels: {adapter: text-matcher, options: {keywords: {A: [a]}}}\n"
    found = reviewed(binding_of(tmp_path, config, text), export(tickets(30)))
    assert [note.partition(":")[0] for note in found.notes] == ["who"]
