"""ner-crf learns spans from few sentences, with exact offsets in any script."""

import json
import random
import threading
import time
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.parts.text_spans import outermost, tokens
from lsml.adapters.parts.word_features import Lexicon, stretches
from lsml.adapters.text import ner_crf
from lsml.adapters.text.ner_crf import NerCrf
from lsml.errors import VersionError
from lsml.metrics.calibration import calibration
from lsml.values import Span
from tests.support.sentences import sentences


def learnt(examples, labels=("LOC", "PER"), **options):
    adapter = NerCrf(NerCrf.Options(**options), Target(labels))
    adapter.fit(examples, 7)
    return adapter


def said(adapter, text):
    return [(text[span.start : span.end], span.label) for span in adapter.predict([text])[0]]


@pytest.fixture(scope="module")
def adapter():
    return learnt(sentences(40))


def test_twenty_sentences_teach_names_that_were_never_seen():
    adapter = learnt(sentences(20))
    right = sum(
        [(s.start, s.end, s.label) for s in adapter.predict([example.data])[0]]
        == [(s.start, s.end, s.label) for s in example.values]
        for example in sentences(50, seed=9, unseen=True)
    )
    assert right >= 40


def test_each_word_has_the_probability_of_its_tag_also_where_nothing_was_found(adapter):
    known, strange = adapter.predict(["Anna lives in Paris .", "nobody came ."])
    assert len(known.decisions) == 5
    assert strange == [] and len(strange.decisions) == 3 and all(0.5 < score <= 1 for score in strange.decisions)


def unsure(count, seed):
    """Texts with three names each, of which a coin says whether they are people or places."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        text, spans = "", []
        for cue in ("with", "near", "from"):
            name = draw.choice("bcdfg").upper() + draw.choice("aeiou") + draw.choice("lmnrst") + draw.choice("aeio")
            text += f"{cue} "
            spans.append(Span(len(text), len(text) + len(name), "PER" if draw.random() < 0.6 else "LOC"))
            text += f"{name} "
        made.append(Example(text, tuple(spans)))
    return made


@pytest.mark.parametrize("few", [True, False])
def test_scores_are_nearer_to_how_often_spans_are_right_and_stay_so_in_a_version(few, tmp_path, monkeypatch):
    monkeypatch.setattr(ner_crf, "_MOST_TRIED", 200 if few else 10)
    adapter, others = learnt(unsure(60, 1), c1=0.0, c2=0.01), unsure(100, 2)

    def error(model):
        answers = model.predict([example.data for example in others])
        return calibration(
            [
                (span.score, msgspec.structs.replace(span, score=None) in example.values)
                for example, spans in zip(others, answers, strict=True)
                for span in spans
            ]
        )["calibration_error"]

    now = error(adapter)
    adapter.save(tmp_path)
    loaded = NerCrf(NerCrf.Options(), adapter.target)
    loaded.load(tmp_path)
    assert error(loaded) == now
    (tmp_path / "facts.json").write_text(
        (tmp_path / "facts.json").read_text().replace(json.dumps(adapter._calibration), "[1.0, 0.0]")
    )
    loaded.load(tmp_path)
    assert now < 0.5 * error(loaded), "an older version has the scores that it had"


def test_two_names_beside_each_other_stay_two_and_words_stay_whole():
    examples = [Example(f"{a} {b} met", (Span(0, len(a), "PER"), Span(len(a) + 1, len(a) + 1 + len(b), "PER")))
                for a in ("Anna", "Otto", "Hanna") for b in ("Bob", "Lena", "Ava")]  # fmt: skip
    assert said(learnt(examples, ("PER",)), "Otto Ava met") == [("Otto", "PER"), ("Ava", "PER")]
    cut = [Example("Berliners sing", (Span(0, 6, "LOC"),)), Example("we sing", ())] * 4
    assert said(learnt(cut, ("LOC",)), "Berliners sing") == [("Berliners", "LOC")]


def test_spans_inside_others_are_learnt_and_found_nowhere_else(tmp_path):
    cities = ("Oxford", "Oslo", "Rome", "Vienna")
    nested = [
        Example(f"{who} left University of {city} today", (Span(start, start + 14 + len(city), "ORG"), Span(start + 14, start + 14 + len(city), "LOC")))
        for who in ("Ann", "Bert") for city in cities for start in (len(who) + 6,)
    ]  # fmt: skip
    adapter = learnt(nested, ("LOC", "ORG"))
    assert adapter.notes == ()
    text = "Zoe left University of Rome today"
    assert said(adapter, text) == [("University of Rome", "ORG"), ("Rome", "LOC")]
    assert ("Rome", "LOC") not in said(adapter, "Rome is far")
    adapter.save(tmp_path)
    loaded = NerCrf(adapter.options, adapter.target)
    loaded.load(tmp_path)
    assert loaded.predict([text]) == adapter.predict([text])
    assert list(loaded.predict([text])[0].decisions) == list(adapter.predict([text])[0].decisions)


def test_spans_across_the_ends_of_others_are_learnt():
    crossing = [
        Example(f"{word} {house} of {city} Road", (Span(start, end, "ORG"), Span(end - len(city), end + 5, "STREET")))
        for word in ("the", "a")
        for house in ("Bank", "Club")
        for city in ("Oslo", "Rome", "Bonn")
        for start in (len(word) + 1,)
        for end in (start + len(house) + 4 + len(city),)
    ]
    found = said(learnt(crossing, ("ORG", "STREET")), "the Bank of Rome Road")
    assert found == [("Bank of Rome", "ORG"), ("Rome Road", "STREET")]


def test_spans_too_deep_inside_others_are_told_of():
    text = "University of Oxford opened"
    spans = (Span(0, 27, "ALL"), Span(0, 20, "ORG"), Span(14, 20, "LOC"))
    adapter = learnt([Example(text, spans), Example("it opened", ())] * 4, ("ALL", "LOC", "ORG"))
    assert adapter.notes == ("4 spans were not used for training: they overlap several longer ones",)
    assert learnt(sentences(12)).notes == ()


def test_a_text_is_read_with_what_the_others_say_of_its_words():
    texts = [(example.data, outermost(example.values, None)) for example in sentences(12)] + [("Anna and oslo", [])]
    for place, (text, spans) in enumerate(texts):
        others = Lexicon.of([*texts[:place], *texts[place + 1 :]])
        for token in tokens(text):
            word = token.text.lower()
            assert Lexicon.of(texts).without(text, spans).says(word).own == others.says(word).own
    lexicon = Lexicon.of([("in Oslo", [Span(3, 7, "LOC")]), ("Oslo", []), ("an Oslo", [Span(3, 7, "LOC")])])
    assert lexicon.says("oslo").own == ("lex=-LOC 2", "lex=O 1", "case=capital")
    assert lexicon.says("unheard").own == ()


def test_a_label_may_be_called_anything():
    for label in ("O", "small", "-", "I-PER", "日本", "a b"):
        examples = [Example(one.data, tuple(Span(s.start, s.end, label) for s in one.values)) for one in sentences(20)]
        assert said(learnt(examples, (label,)), "Anna lives in Paris .") == [("Anna", label), ("Paris", label)]


def test_labels_of_one_place_are_all_learnt_and_answered():
    both = [
        Example(f"{who} went to {where} .", (Span(0, len(who), "PER"), *(Span(len(who) + 9, len(who) + 9 + len(where), label) for label in ("ORG", "LOC"))))
        for who in ("Anna", "Bert", "Carl")
        for where in ("Paris", "Rome", "Oslo")
    ]  # fmt: skip
    adapter = learnt(both, ("LOC", "ORG", "PER"))
    assert said(adapter, "Dora went to Paris .") == [("Dora", "PER"), ("Paris", "LOC"), ("Paris", "ORG")]
    assert len({span.score for span in adapter.predict(["Dora went to Paris ."])[0][1:]}) == 1


def test_thousands_of_nested_spans_are_sorted_out_at_once():
    spans = [Span(start, 20_000, "PER") for start in range(10_000)] + [Span(0, end, "PER") for end in range(1, 10_000)]
    began = time.monotonic()
    assert outermost(spans, None) == [Span(0, 20_000, "PER")]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ада Лавлейс жила.", ["Ада", "Лавлейс", "жила", "."]),
        ("東京は首都", ["東", "京", "は", "首", "都"]),
        ("e\u0301te\u0301 C++ 12:30", ["e\u0301te\u0301", "C", "+", "+", "12", ":", "30"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("a_b\r\n\tc", ["a", "_", "b", "c"]),
        ("❤️ 🤖", ["❤️", "🤖"]),
    ],
)
def test_tokens_of_any_script(text, expected):
    found = tokens(text)
    assert [token.text for token in found] == expected
    assert [text[token.start : token.end] for token in found] == expected


@given(st.text(max_size=80))
def test_tokens_hold_every_character_that_is_no_space_once_and_in_order(text):
    found = tokens(text)
    assert all(text[token.start : token.end] == token.text for token in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    held = {place for token in found for place in range(token.start, token.end)}
    assert {place for place, character in enumerate(text) if character.isalnum()} <= held
    assert [token for stretch in stretches(text) for token in stretch] == found


@given(st.text(max_size=60))
def test_no_text_is_too_odd_and_no_span_leaves_it(adapter, text):
    [spans] = adapter.predict([text])
    assert all(0 <= span.start < span.end <= len(text) and 0 <= span.score <= 1 for span in spans)


def test_a_long_text_is_read_to_its_end(adapter):
    filler = "it rained and nobody came to see us that day , " * 2000
    assert said(adapter, filler + "Anna lives in Paris .")[-2:] == [("Anna", "PER"), ("Paris", "LOC")]


def test_texts_without_a_span_are_not_enough():
    with pytest.raises(NotEnoughData, match="0 of 2 texts have a marked span; annotate at least two texts"):
        learnt([Example("a b", ()), Example("c d", ())])


def test_the_same_texts_give_the_same_file(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        learnt(sentences(20)).save(tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


@pytest.mark.parametrize("harm", ["cut", "empty", "other", "facts", "gone"])
def test_a_damaged_version_is_one_sentence_and_never_reaches_the_library(tmp_path, harm):
    learnt(sentences(20)).save(tmp_path)
    model, facts = tmp_path / "model.crfsuite", tmp_path / "facts.json"
    if harm == "cut":
        model.write_bytes(model.read_bytes()[:-100])
    elif harm == "facts":
        facts.write_text('{"format": 1, "lexicon": [1]}')
    elif harm == "gone":
        facts.unlink()
    else:
        model.write_bytes(b"" if harm == "empty" else b"MZ" + model.read_bytes()[2:])
    with pytest.raises(VersionError, match="ner-crf cannot read it: .*; restore it, or train again"):
        NerCrf(NerCrf.Options(), Target(("LOC", "PER"))).load(tmp_path)


def test_many_threads_share_one_model(adapter):
    texts = [example.data for example in sentences(30, seed=3)]
    expected, wrong = adapter.predict(texts), []

    def ask():
        draw = random.Random(threading.get_ident())
        for _ in range(50):
            place = draw.randrange(len(texts))
            if adapter.predict([texts[place]])[0] != expected[place]:
                wrong.append(place)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def capitalised(count, seed):
    """Sentences of new words, of which those in capitals are names after `in`, and persons after `met`."""
    draw = random.Random(seed)
    for _ in range(count):
        text, spans = "", []
        for _ in range(draw.randint(2, 5)):
            word = "".join(draw.choice("bdgkmnrst") + draw.choice("aeiou") for _ in range(3))
            cue, label = draw.choice([("in", "LOC"), ("met", "PER"), ("so", None)])
            text += f"{cue} "
            if label:
                spans.append(Span(len(text), len(text) + 6, label))
            text += f"{word.title() if label else word} "
        yield Example(text.strip(), tuple(spans))


def test_where_few_signs_tell_each_name_cross_validation_advises_to_look_at_few():
    train, test = list(capitalised(15, 1)), list(capitalised(40, 2))

    def right(**options):
        values = learnt(train, **options).predict([example.data for example in test])
        told = [{(v.start, v.end, v.label) for v in of} for of in values]
        wanted = [{(v.start, v.end, v.label) for v in example.values} for example in test]
        return sum(map(len, (one & two for one, two in zip(told, wanted, strict=True)))) / sum(map(len, wanted))

    advised = right()
    assert advised == right(c1=0.05, c2=0.01) > right(c1=0.0, c2=0.1)
