"""text-matcher finds what a list, a pattern or an annotator named, where it stands, and in time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.parts.mentions import fold
from lsml.adapters.parts.text_spans import word_bounds
from lsml.adapters.text.matcher import TextMatcher, TextMatcherOptions
from lsml.errors import RecipeError, VersionError
from lsml.recipe import load_recipe
from lsml.values import Choice, Span
from tests.conftest import write_recipe

LABELS = ("DATE", "LOC", "ORG", "PER")


def matcher(**options):
    return TextMatcher(TextMatcherOptions(**options), Target(LABELS, multiple=True))


def said(adapter, text):
    [spans] = adapter.predict([text])
    return [(text[span.start : span.end], span.label) for span in spans]


def others(text, *marked, adapter=None, label="PER"):
    """The places of what is answered where the n-th occurrences of words are marked."""
    prompts = []
    for word, occurrence in marked:
        start = -1
        for _ in range(occurrence + 1):
            start = text.index(word, start + 1)
        prompts.append(Span(start, start + len(word), label))
    return [
        (span.start, text[span.start : span.end], span.label) for span in (adapter or matcher()).respond(text, prompts)
    ]


def keywords(*words, **options):
    return matcher(keywords={"ORG": list(words)}, **options)


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [
        (["C++"], "C++ and C and C+++", ["C++", "C++"]),
        (["a.c"], "abc a.c", ["a.c"]),
        (["(", "[a-z]*"], "( abc [a-z]*", ["(", "[a-z]*"]),
        (["Ann"], "Ann, Anna, Joann, Ann's (Ann) Ann_1 Ann2", ["Ann", "Ann", "Ann"]),
        (["New York", "New York Times", "York"], "New York, the New York Times, York", ["New York", "New York Times", "York"]),
        (["New York"], "New\nYork New\u00a0 York NewYork", ["New\nYork", "New\u00a0 York"]),
        (["  New   York "], "New York", ["New York"]),
        (["東京"], "東京は東京都です", ["東京", "東京"]),
        (["हिन्दी"], "हिन्दी हिन्दीa", ["हिन्दी"]),
        (["e"], "e\u0301 e", ["e"]),
        (["🤖"], "🤖🤖 a🤖", ["🤖", "🤖", "🤖"]),
        (["a"], "a A", ["a", "A"]),
    ],
)  # fmt: skip
def test_keywords_are_found_as_they_are_written(words, text, found):
    assert said(keywords(*words), text) == [(word, "ORG") for word in found]


@pytest.mark.parametrize(
    ("case", "found"),
    [
        ("auto", ["US", "Acme", "ACME", "aspirin", "Aspirin"]),
        ("match", ["US", "Acme", "aspirin"]),
        ("ignore", ["US", "us", "Acme", "ACME", "acme", "aspirin", "Aspirin"]),
    ],
)
def test_capitals_count_as_the_recipe_says(case, found):
    adapter = keywords("US", "Acme", "aspirin", case=case)
    assert [word for word, _ in said(adapter, "US us Acme ACME acme aspirin Aspirin")] == found


def test_one_form_may_mean_two_things_where_its_capitals_tell_them_apart():
    adapter = matcher(keywords={"LOC": ["US"], "PER": ["us"]}, case="match")
    assert said(adapter, "US and us") == [("US", "LOC"), ("us", "PER")]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("İİİ ẞẞ ﬁﬁ ŉ Acme", "Acme"),
        ("Straße STRASSE strasse", "strasse"),
        ("ΑΣ ας αΣ", "ας"),
        ("İstanbul", "İSTANBUL"),
        ("ﬁne", "FINE"),
    ],
)
def test_folding_that_changes_lengths_shifts_no_offset(text, word):
    found = [span for span, _ in said(keywords(word, case="ignore"), text)]
    assert found and all(span.casefold() == word.casefold() for span in found)


def test_half_of_a_character_is_no_match():
    assert said(keywords("s", case="ignore", whole_words=False), "ß s") == [("s", "ORG")]


@given(st.text(max_size=40))
def test_every_place_of_a_folded_text_leads_back_to_the_original(text):
    folded = fold(text)
    assert folded.unfolded(0) == 0
    assert folded.unfolded(len(folded.text)) == len(text)
    places = [place for at in range(len(folded.text) + 1) if (place := folded.unfolded(at)) is not None]
    assert places == sorted(set(places))
    assert fold(folded.text).text == folded.text or "\u0345" in text  # folding is done once; one mark folds twice


@given(st.lists(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"]), min_size=1, max_size=4), min_size=1, max_size=5), st.text(max_size=40), st.booleans())  # fmt: skip
def test_what_is_found_is_what_was_looked_for(words, text, whole):
    words = [word for word in words if word.strip()]
    if not words:
        return
    spans = keywords(*words, case="match", whole_words=whole).predict([text])[0]
    starts, ends = map(set, word_bounds(text))
    for span in spans:
        assert " ".join(text[span.start : span.end].split()) in {" ".join(word.split()) for word in words}
        assert not whole or (span.start in starts and span.end in ends)
    if not whole and text and not text[0].isspace() and not text[-1].isspace():
        assert keywords(text, case="match", whole_words=False).predict([text])[0] == [Span(0, len(text), "ORG", 1.0)]


def test_patterns_find_whole_matches_and_nothing_empty():
    adapter = matcher(patterns={"DATE": [r"\d{4}-\d\d-\d\d", r"x*"], "PER": [r"(?<=Dr\. )\w+"]})
    assert said(adapter, "on 2024-05-01 Dr. Ödön") == [("2024-05-01", "DATE"), ("Ödön", "PER")]


def test_the_longest_of_what_overlaps_wins_whoever_named_it():
    adapter = matcher(keywords={"LOC": ["Paris"]}, patterns={"ORG": ["Paris [A-Z]\\w+"]})
    assert said(adapter, "Paris Match in Paris") == [("Paris Match", "ORG"), ("Paris", "LOC")]


def test_a_bad_pattern_costs_its_time_and_no_more(caplog):
    adapter = matcher(patterns={"PER": ["(a+)+$"], "ORG": ["b+"]}, timeout=0.2)
    text = "a" * 100_000 + "!bbb"
    began = time.monotonic()
    for _ in range(3):
        assert said(adapter, text) == [("bbb", "ORG")]
    assert time.monotonic() - began < 10
    began = time.monotonic()
    assert adapter.predict([text] * 20) == [[Span(100_001, 100_004, "ORG", 1.0)]] * 20
    assert time.monotonic() - began < 5  # it is left out by now
    assert [record.getMessage().partition("; ")[2] for record in caplog.records] == [
        "it finds nothing there", "it finds nothing there", "it is no longer used; rewrite it"
    ]  # fmt: skip


def test_ten_thousand_keywords_in_a_million_characters_take_seconds_at_most():
    words = [f"{one}{other}" for one in "abcdefghij" for other in range(1000)]
    text = " ".join(f"{words[place % 10_000]} filler" for place in range(0, 1_000_000, 13))[:1_000_000]
    began = time.monotonic()
    [spans] = keywords(*words).predict([text])
    assert len(spans) > 70_000
    assert time.monotonic() - began < 20


def test_a_selection_is_answered_with_its_other_mentions():
    text = "Ann met Anna. ANN and ann\nwith Ann"
    assert others(text, ("Ann", 0)) == [(14, "ANN", "PER"), (31, "Ann", "PER")]
    assert others(text, ("Ann", 2)) == [(0, "Ann", "PER"), (14, "ANN", "PER")]
    assert others(text, ("ann", 0), adapter=matcher(case="ignore")) == [(0, "Ann", "PER"), (14, "ANN", "PER"), (31, "Ann", "PER")]  # fmt: skip


def test_part_of_a_word_is_found_within_words():
    assert others("unhappy unfair until", ("un", 0)) == [(8, "un", "PER"), (15, "un", "PER")]


def test_spaces_around_a_selection_do_not_count_and_several_are_answered_together():
    assert others("a Bob b Bob c", (" Bob ", 0)) == [(8, "Bob", "PER")]
    assert others("Bob Eve Bob Eve", ("Bob", 0), ("Eve", 0)) == [(8, "Bob", "PER"), (12, "Eve", "PER")]


def test_a_selection_that_says_nothing_is_answered_with_nothing():
    adapter = matcher()
    assert adapter.respond("a b", [Span(1, 2, "PER")]) == []
    assert adapter.respond("a a", [Span(0, 1, "Gone")]) == []
    assert adapter.respond("a a", [Choice("PER")]) == []
    assert adapter.respond("a", [Span(4, 9, "PER")]) == []


def marked(*texts):
    """Examples from texts with [mentions](LABEL)."""
    examples = []
    for text in texts:
        plain, spans = "", []
        for piece in text.replace("[", "\0[").replace(")", ")\0").split("\0"):
            if piece.startswith("["):
                mention, _, label = piece[1:-1].partition("](")
                spans.append(Span(len(plain), len(plain) + len(mention), label))
                plain += mention
            else:
                plain += piece
        examples.append(Example(plain, tuple(spans)))
    return examples


def test_what_was_marked_is_found_again_as_surely_as_it_was_right():
    adapter = matcher()
    adapter.fit(marked("[Acme](ORG) grew", "Acme fell, [Acme](ORG) rose, [Acme](ORG) slept", "no"), 7)
    assert adapter.predict(["to Acme"]) == [[Span(3, 7, "ORG", 4 / 6)]]


def test_spaces_that_were_marked_with_a_mention_do_not_count():
    adapter = matcher()
    adapter.fit(marked("by [ Acme ](ORG)and", "no"), 7)
    assert said(adapter, "Acme") == [("Acme", "ORG")]


def test_nothing_is_answered_over_what_is_marked_already():
    prompts = [Span(0, 3, "PER"), Span(2, 9, "LOC")]
    assert others("Bob Bob x Bob", ("Bob", 0)) == [(4, "Bob", "PER"), (10, "Bob", "PER")]
    assert [span.start for span in matcher().respond("Bob Bob x Bob", prompts)] == [10]


def test_what_is_ambiguous_is_not_remembered():
    adapter = matcher()
    adapter.fit(
        marked("[Jordan](PER) plays", "in [Jordan](LOC)", "[May](PER) sings", "May was cold", "[Ada](PER) [Ada](PER)"),
        7,
    )
    assert said(adapter, "Jordan May Ada") == [("Ada", "PER")]


def test_a_word_within_a_longer_mention_does_not_speak_against_it():
    adapter = matcher()
    adapter.fit(
        marked("[New York](LOC) is big", "[New York Times](ORG), [New York Times](ORG), [New York Times](ORG)"), 7
    )
    assert said(adapter, "New York, New York Times") == [("New York", "LOC"), ("New York Times", "ORG")]


def test_the_recipe_decides_what_it_names():
    adapter = matcher(keywords={"LOC": ["Paris"]})
    adapter.fit(marked("[Paris](PER) sang", "[Paris](PER) and [Nicky](PER)"), 7)
    assert said(adapter, "Paris, Nicky") == [("Paris", "LOC"), ("Nicky", "PER")]


def test_nothing_to_look_for_is_not_ready_and_yet_answers_a_person():
    adapter = matcher()
    assert not adapter.ready and adapter.predict(["a"]) == [[]]
    assert others("a b a", ("a", 0), adapter=adapter) == [(4, "a", "PER")]
    assert keywords("a").ready and matcher(patterns={"PER": ["a"]}).ready


@pytest.mark.parametrize(
    ("examples", "sentence"),
    [
        (marked("a", "b"), "0 of 2 texts have a marked span; annotate at least two texts, and a span in one"),
        (
            marked("[May](PER) May", "May"),
            ("none of 1 phrases is annotated in most of its occurrences; annotate more texts"),
        ),
    ],
)
def test_too_little_to_learn_is_a_sentence(examples, sentence):
    with pytest.raises(NotEnoughData) as caught:
        matcher().fit(examples, 7)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2}', '{"format": 1, "mentions": [["a"]]}', None])
def test_a_damaged_version_is_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "mentions.json").write_text(content)
    with pytest.raises(VersionError, match=r"text-matcher cannot read it: .*; restore it, or train again"):
        matcher().load(tmp_path)


def test_a_file_of_keywords_is_read_beside_the_recipe(tmp_path):
    (tmp_path / "names.tsv").write_text("\ufeffAda Lovelace\tPER\r\n\r\nAcme \t ORG\n", encoding="utf-8")
    recipe = load_recipe(
        write_recipe(tmp_path, "tags:\n  Labels: {adapter: text-matcher, options: {file: names.tsv}}\n")
    )
    adapter = TextMatcher(recipe.models[0].options, Target(LABELS))
    assert said(adapter, "Ada Lovelace of Acme") == [("Ada Lovelace", "PER"), ("Acme", "ORG")]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("{patterns: {DATE: ['(a']}}", "patterns.DATE: `(a` is not a regular expression: missing ) at position 2"),
        ("{keywords: {A: [x], B: ['x ']}}", "`x ` is a keyword of A and of B; keep it under one of them"),
        ("{keywords: {A: [' ']}}", "keywords.A: a keyword is blank; remove it"),
        ("{file: gone.tsv}", "file: there is no gone.tsv; give an existing file"),
        ("{file: bad.tsv}", "file: line 2 of bad.tsv is not a keyword, a tab and a label; correct it"),
        ("{file: latin.tsv}", "file: latin.tsv is not UTF-8; save it as UTF-8"),
    ],
)
def test_what_is_wrong_with_its_options_is_an_error_of_the_recipe(tmp_path, options, problem):
    (tmp_path / "bad.tsv").write_text("a\tA\nb\n")
    (tmp_path / "latin.tsv").write_bytes(b"caf\xe9\tA\n")
    path = write_recipe(tmp_path, f"tags:\n  Labels:\n    adapter: text-matcher\n    options: {options}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert [str(one).partition("triage.yaml:")[2] for one in caught.value.problems] == [
        f"13:5: tags.Labels.options: {problem}"
    ]
