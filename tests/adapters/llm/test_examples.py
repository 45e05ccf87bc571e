"""Annotated tasks become examples: those with a whole answer, in bounded number, the most similar ones last."""

import pytest

from lsml.adapters.base import Example, Question
from lsml.adapters.llm.documents import ShownPart
from lsml.adapters.llm.examples import Examples
from lsml.errors import NotEnoughData, VersionError
from lsml.values import Choice, Number, Span, Text

TOPIC = Question("topic", "choice", ("A", "B"))
TAGS = Question("tags", "choice", ("A", "B"), multiple=True)
WHO = Question("who", "span", ("P",))
STARS = Question("stars", "number", whole=True)
SAID = Question("said", "text")


def chosen(examples, *questions):
    return Examples.chosen(examples, questions, 512, 1)


def answers(examples):
    return {example.parts[0].text: example.answer for example in examples.nearest([ShownPart("document", "x")], 50)}


def test_an_answer_is_written_as_the_model_should_give_it():
    example = Example(
        "Ann left 🤖 Bob",
        (),
        {
            "topic": (Choice("B"),), "tags": (Choice("A"), Choice("gone")), "stars": (Number(4.0),),
            "who": (Span(11, 14, "P"), Span(0, 3, "P"), Span(0, 1, "gone")), "said": (Text("one"), Text("two")),
        },
    )  # fmt: skip
    found, _ = chosen([example, Example("y", (), example.by_control | {"who": ()})], TOPIC, TAGS, WHO, STARS, SAID)
    assert answers(found)["Ann left 🤖 Bob"] == {
        "topic": "B", "tags": ["A"], "stars": 4, "said": "one\ntwo",
        "who": [{"text": "Ann", "label": "P"}, {"text": "Bob", "label": "P"}],
    }  # fmt: skip


def test_tasks_without_a_whole_answer_or_too_long_are_left_out_and_said():
    whole = [Example(text, (Choice("A"),)) for text in ("one", "two", "two", " ")]
    found, note = chosen([*whole, Example("three", ()), Example("x" * 5000, (Choice("A"),))], TOPIC)
    assert set(answers(found)) == {"one", "two"}
    assert note == (
        "not used as examples: 1 have more than 4000 characters; 1 lack an answer for one of the control tags"
    )
    assert chosen(whole, TOPIC)[1] is None
    with pytest.raises(NotEnoughData, match="1 annotated tasks can be examples; annotate at least two"):
        chosen(whole[:1], TOPIC)


def test_there_are_not_more_than_a_prompt_can_be_chosen_from():
    many = [Example(f"text {number}", (Choice("A"),)) for number in range(5100)]
    found, _ = chosen(many, TOPIC)
    assert len(found.nearest([ShownPart("document", "text 7")], 6000)) == 5000


def test_texts_without_a_word_are_examples_like_all():
    found, _ = chosen([Example("?", (Choice("A"),)), Example("!", (Choice("B"),))], TOPIC)
    assert len(found.nearest([ShownPart("document", "?")], 1)) == 1


def test_images_are_similar_by_their_colours(tmp_path):
    from PIL import Image

    for name, colour in (
        ("red", (200, 30, 20)),
        ("dark-red", (190, 20, 30)),
        ("blue", (10, 20, 220)),
        ("asked", (205, 25, 25)),
    ):
        Image.new("RGB", (64, 48), colour).save(tmp_path / f"{name}.png")
    examples = [
        Example(tmp_path / "red.png", (Choice("A"),)),
        Example(tmp_path / "blue.png", (Choice("B"),)),
        Example(tmp_path / "dark-red.png", (Choice("A"),)),
    ]
    found, _ = chosen(examples, TOPIC)
    from lsml.adapters.llm.documents import parts_of

    near = found.nearest(parts_of(tmp_path / "asked.png", 512), 2)
    assert [example.answer for example in near] == [{"topic": "A"}] * 2


def test_a_damaged_file_is_a_version_error(tmp_path):
    found, _ = chosen([Example(text, (Choice("A"),)) for text in ("one", "two")], TOPIC)
    found.save(tmp_path)
    assert answers(Examples.load(tmp_path, "llm")) == answers(found)
    (tmp_path / "examples.json").write_text("[{")
    with pytest.raises(VersionError, match="llm cannot read it: .*; restore it, or train again"):
        Examples.load(tmp_path, "llm")
