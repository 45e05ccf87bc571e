"""What Label Studio's own editor draws for our spans, and what we read of a person's selections: in a real browser."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lsml.binding import control_of
from lsml.controls import Control
from lsml.labeling import AnnotatedTask, LabelingConfig, parse_labeling_config
from lsml.labeling.objects import read_object
from lsml.labeling.view import View
from lsml.store import Store
from lsml.values import Relation, Span
from tests.support.backend import RunningBackend, until
from tests.support.fetching import no_fetch
from tests.support.language_model import KEY, language_model
from tests.support.sentences import sentences

pytestmark = [pytest.mark.studio, pytest.mark.usefixtures("browser"), pytest.mark.timeout(300)]

LABELS = '<Label value="PER"/><Label value="LOC"/>'
TEXT = f'<View><Labels name="label" toName="t">{LABELS}</Labels><Text name="t" value="$t"/></View>'
PAGE = (
    f'<View><HyperTextLabels name="label" toName="t">{LABELS}</HyperTextLabels><HyperText name="t" value="$t"/></View>'
)
INLINE = PAGE.replace('value="$t"', 'value="$t" inline="true"')
DIALOGUE = (
    f'<View><ParagraphLabels name="label" toName="t">{LABELS}</ParagraphLabels>'
    '<Paragraphs name="t" value="$t" layout="dialogue"/></View>'
)
NASTY = "  Ada 🤖 Lovelace\r\nmet\tBob  e\u0301 👩‍👩‍👧 at\rAcme & <Co> 𝔘𝔫\n\n שלום Zoë\u00a0X "
HTML = """<!doctype html><html><head><title>Ti</title><style>p{color:maroon}</style></head><body>
<!-- comment --><h1>Ada 🤖 Lovelace</h1>
<p>met   Bob<br>at <b>Ac</b>me &amp; <i>Co</i> <!-- x -->again<script>var x = 1</script>st e&#x301; 👩‍👩‍👧
   and 𝔘𝔫</p><table><tr><td>cell one<td>cell two</table><pre>
 a  b
c </pre><ul><li>one<li>two</ul><iframe src="/x">no</iframe><noscript><b>no</b></noscript>
<p>un<b>closed <i>bits</b> here</i> last &nbsp;one</body></html>
"""
CHAT: list[Any] = [
    {"author": "Ann 🤖", "text": "Hello 🤖 Ada e\u0301 Love\nlace  x"},
    {"author": "Bob", "text": ""},
    {"author": "Bob", "text": "my card, 👩‍👩‍👧 Acme"},
    {"author": "Ann", "text": "bye <b>you</b> http://example.org x"},
]
WORLDS = {"text": (TEXT, NASTY), "page": (PAGE, HTML), "inline": (INLINE, HTML), "dialogue": (DIALOGUE, CHAT)}


def parts(xml: str, value: Any) -> tuple[LabelingConfig, Control, View]:
    """The config, its control, and what the control is shown of a value."""
    config = parse_labeling_config(xml)
    [shown] = read_object(config.objects["t"], {"data": {"t": value}}, no_fetch)
    return config, control_of(config.controls[0], config), shown


def numbered(regions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": f"r{number}", **region} for number, region in enumerate(regions)]


def without_text(region: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in region["value"].items() if key != "text"}


@pytest.mark.parametrize("name", WORLDS)
def test_every_region_is_drawn_over_the_text_that_it_says(name, studio, editor, tmp_path):
    xml, value = WORLDS[name]
    _, control, shown = parts(xml, value)
    text = shown.data
    words = [(match.start(), match.end()) for match in re.finditer(r"\S+", text)]
    spans = [Span(start, end, "PER") for start, end in words]
    spans += [Span(one[0], other[1], "LOC") for one, other in pairwise(words)]
    spans.append(Span(words[0][0], words[-1][1], "LOC"))
    regions = numbered(control.encode(spans, "t", shown))
    project = studio.create_project(f"Drawn {name}", xml)
    prediction = {"model_version": "one", "result": regions}
    [task] = studio.import_tasks(project, [{"data": {"t": value}, "predictions": [prediction]}])
    editor.open(project, task, "t")
    drawn = editor.regions()
    editor.picture(tmp_path / f"{name}.png")

    # White space is not compared: the editor draws none between blocks, and a page has more than is shown.
    def letters(said: str) -> str:
        return "".join(said.split())

    # The content of <noscript> is no text for us, and nothing that a browser shows; the editor wraps it all the same.
    found = [letters(region["drawn"]).replace("<b>no</b>", "") for region in drawn]
    assert found == [letters(text[span.start : span.end]) for span in spans]
    # What it would submit is what it was given, and is read as what was meant.
    submitted = editor.serialized()
    assert [without_text(region) for region in submitted] == [without_text(region) for region in regions]
    assert control.decode(submitted, shown).values == tuple(spans)


SELECTIONS = {
    "text": [("t", said) for said in ("Ada 🤖 Love", "e\u0301", "👩‍👩‍👧 at", "<Co> 𝔘𝔫", "X ", "  Ada", "Bob  e")],
    "page": [("t", said) for said in ("🤖 Love", "Bob", "Acme & Co", "against", "𝔘𝔫", "one", "bits here")],
    "inline": [("t", said) for said in ("🤖 Love", "Acme & Co", "👩‍👩‍👧", "two")],
    "dialogue": [
        ('[data-testid="phrase:0"] [class*=dialoguetext]', "🤖 Ada e\u0301"),
        ('[data-testid="phrase:2"] [class*=dialoguetext]', "👩‍👩‍👧 Acme"),
        ('[data-testid="phrase:3"] [class*=dialoguetext]', "<b>you</b>"),
    ],
}


@pytest.mark.parametrize("name", WORLDS)
def test_what_a_person_selects_is_read_as_just_that(name, studio, editor):
    xml, value = WORLDS[name]
    _, control, shown = parts(xml, value)
    project = studio.create_project(f"Selected {name}", xml)
    [task] = studio.import_tasks(project, [{"t": value}])
    editor.open(project, task, "t")
    for number, (selector, said) in enumerate(SELECTIONS[name]):
        editor.select("PER" if number % 2 else "LOC", selector, said)
    submitted = editor.serialized()
    decoded = control.decode(submitted, shown).values
    read = [" ".join(shown.data[span.start : span.end].split()) for span in decoded]
    assert read == [" ".join(said.split()) for _, said in SELECTIONS[name]]
    assert [span.label for span in decoded] == ["PER" if number % 2 else "LOC" for number in range(len(read))]
    # Written anew, they are what the editor wrote.
    again = control.encode(decoded, "t", shown)
    assert control.decode(again, shown).values == decoded


def test_entities_are_learnt_predicted_drawn_corrected_and_learnt_again(studio, editor, tmp_path):
    recipe = tmp_path / "people.yaml"
    recipe.write_text("lsml: 1\nname: people\ntags:\n  Labels: ner-crf\ntraining: {every: 1000, quiet: 1s}\n")
    examples = sentences(48)
    data = [f"🤖 {example.data}\r\n\te\u0301 👩‍👩‍👧" for example in examples]
    with RunningBackend(recipe, tmp_path / "data") as lsml:
        project = studio.create_project("People", TEXT)
        tasks = studio.import_tasks(project, [{"t": text} for text in data])
        backend = studio.add_backend(project, lsml.address)
        _, control, _ = parts(TEXT, "x")
        for task, text, example in list(zip(tasks, data, examples, strict=True))[:40]:
            _, _, shown = parts(TEXT, text)
            moved = [Span(span.start + 2, span.end + 2, span.label) for span in example.values]
            studio.annotate(task, numbered(control.encode(moved, "t", shown)))
        studio.start_training(backend)
        lsml.settled(project)
        studio.retrieve_predictions(project, tasks[40:])
        right = 0
        for task, text, example in list(zip(tasks, data, examples, strict=True))[40:]:
            editor.open(project, task, "t")
            [prediction] = studio.predictions(task)
            slices = [text[r["value"]["start"] : r["value"]["end"]] for r in prediction["result"]]
            assert [region["drawn"] for region in editor.regions()] == slices
            right += sorted(slices) == sorted(text[s.start + 2 : s.end + 2] for s in example.values)
        assert right >= 7
        editor.picture(tmp_path / "people.png")

        editor.select("PER", "t", "e\u0301 👩‍👩‍👧")
        editor.submit()
        store = Store(lsml.data)
        try:
            key = lsml.project(project)["project"]

            def corrected() -> AnnotatedTask | None:
                return next((task for task in store.annotations.tasks(key) if task.id == str(tasks[-1])), None)

            learnt = until("the corrected task reaches lsml", corrected)
        finally:
            store.close()
        assert learnt is not None
        _, _, shown = parts(TEXT, data[-1])
        spans = control.decode(learnt.annotations[-1].result, shown).values
        assert data[-1][spans[-1].start : spans[-1].end] == "e\u0301 👩‍👩‍👧"
        assert len(spans) == len(slices) + 1


def test_a_mention_that_a_person_selects_is_answered_with_the_others(studio, editor, tmp_path):
    recipe = tmp_path / "mentions.yaml"
    recipe.write_text("lsml: 1\nname: mentions\ntags:\n  Labels: text-matcher\n")
    text = "🤖 Acme met\r\n\tBob e\u0301 of Acme, and Bob sued Acme."
    with RunningBackend(recipe, tmp_path / "data") as lsml:
        project = studio.create_project("Mentions", TEXT.replace('toName="t"', 'toName="t" smart="true"'))
        [task] = studio.import_tasks(project, [{"t": text}])
        studio.add_backend(project, lsml.address, is_interactive=True)
        editor.open(project, task, "t")
        editor.switch_on_auto_annotation()
        editor.select("LOC", "t", "Acme")
        until("three regions", lambda: len(editor.regions()) == 3)
        assert [region["drawn"] for region in editor.regions()] == ["Acme"] * 3
        editor.picture(tmp_path / "mentions.png")
        _, control, shown = parts(TEXT, text)
        spans = control.decode(editor.serialized(), shown).values
        assert sorted((span.start, span.label) for span in spans) == [
            (match.start(), "LOC") for match in re.finditer("Acme", text)
        ]


NESTED = """<View><Text name="t" value="$t"/><Choices name="kind" toName="t" allowNested="true">
<Choice value="Fruit"><Choice value="Red"/><Choice value="Other"/></Choice>
<Choice value="Boat"><Choice value="Sail"/><Choice value="Other" alias="misc"/></Choice></Choices></View>"""


def test_a_nested_choice_is_learnt_and_selected_by_its_path(studio, editor, tmp_path):
    """The editor selects `[["Boat", "misc"]]`, and nothing for `["misc"]`."""
    recipe = tmp_path / "nested.yaml"
    recipe.write_text("lsml: 1\nname: nested\ntags:\n  Choices: text-classifier\ntraining: {every: 1000, quiet: 1s}\n")
    kinds = {"red apple": ["Fruit", "Red"], "green pear": ["Fruit", "Other"], "sloop with sails": ["Boat", "Sail"],
             "rusty ferry": ["Boat", "misc"]}  # fmt: skip
    with RunningBackend(recipe, tmp_path / "data") as lsml:
        project = studio.create_project("Nested choices", NESTED)
        data = [f"{name} {number}" for number in range(10) for name in kinds]
        tasks = studio.import_tasks(project, [{"t": text} for text in data])
        backend = studio.add_backend(project, lsml.address)
        for number, task in enumerate(tasks[:36]):
            path = list(kinds.values())[number % 4]
            region = {"id": "a", "from_name": "kind", "to_name": "t", "type": "choices", "value": {"choices": [path]}}
            studio.annotate(task, [region])
        studio.start_training(backend)
        lsml.settled(project)
        studio.retrieve_predictions(project, tasks[36:])
        for task, path in zip(tasks[36:], kinds.values(), strict=True):
            [prediction] = studio.predictions(task)
            assert prediction["result"][0]["value"] == {"choices": [path]}
            editor.open(project, task, "t")
            assert editor.selected_choices("kind") == [path]


def test_predicted_relations_are_shown_and_kept_by_the_editor(studio, editor, tmp_path):
    config = (
        '<View><Relations><Relation value="founded"/></Relations><Labels name="l" toName="t"><Label value="PER"/>'
        '<Label value="ORG"/></Labels><Text name="t" value="$t"/></View>'
    )
    spans = [("p", 0, 3, "Ada", "PER"), ("o", 12, 16, "Acme", "ORG")]
    result = [
        {"id": id, "from_name": "l", "to_name": "t", "type": "labels",
         "value": {"start": start, "end": end, "text": text, "labels": [label]}}
        for id, start, end, text, label in spans
    ]  # fmt: skip
    parsed = parse_labeling_config(config)
    [arrow] = control_of(parsed.controls[-1], parsed).encode([Relation("p", "o", "founded", 0.9)], "t")
    project = studio.create_project("Relations", config)
    prediction = {"model_version": "one", "result": [*result, arrow]}
    [task] = studio.import_tasks(project, [{"data": {"t": "Ada founded Acme"}, "predictions": [prediction]}])
    editor.open(project, task, "t")
    editor.picture(tmp_path / "relations.png")
    [kept] = [one for one in editor.serialized() if one["type"] == "relation"]
    texts = {one["id"]: one["value"]["text"] for one in editor.serialized() if one["type"] == "labels"}
    assert (texts[kept["from_id"]], texts[kept["to_id"]]) == ("Ada", "Acme")
    assert (kept["labels"], kept["direction"]) == (["founded"], "right")


PROMPTED = """<View><Text name="t" value="$t"/>
<TextArea name="prompt" toName="t" smart="true" showSubmitButton="true" placeholder="Ask"/>
<Choices name="topic" toName="t"><Choice value="Bug"/><Choice value="Billing"/></Choices>
<TextArea name="answer" toName="t"/></View>"""


def test_a_prompt_that_a_person_types_is_answered_by_the_language_model(studio, editor, tmp_path):
    from selenium.webdriver.common.by import By

    def says(_document, _schema):
        typed = "What is it about?" in web.asked[-1].body.decode()
        return {"topic": "Bug" if typed else "Billing", "answer": "as asked" if typed else "unasked"}

    recipe = tmp_path / "asking.yaml"
    with language_model(says) as web:
        options = f"{{model: tiny, base_url: '{web.url}/v1', api_key: {KEY}}}"
        recipe.write_text(f"lsml: 1\nname: asking\ntags:\n  Choices, TextArea: {{adapter: llm, options: {options}}}\n")
        with RunningBackend(recipe, tmp_path / "data") as lsml:
            project = studio.create_project("Typed", PROMPTED)
            studio.add_backend(project, lsml.address, is_interactive=True)
            [task] = studio.import_tasks(project, [{"t": "The app crashes on start."}])
            editor.open(project, task, "t")
            editor.switch_on_auto_annotation()
            editor.record_prompts()
            box = editor.driver.find_element(By.CSS_SELECTOR, "[placeholder=Ask]")
            box.send_keys("What is it about?")
            box.find_element(By.XPATH, "ancestor::form//button").click()
            until("the prompt is sent", editor.prompts, 30)
            until("it is answered", lambda: "as asked" in str(editor.serialized()))
            if folder := os.environ.get("LSML_TEST_SCREENSHOTS"):
                editor.picture(Path(folder) / "typed-prompt.png")
            values = {one["from_name"]: one["value"] for one in editor.serialized()}
    assert values["topic"] == {"choices": ["Bug"]} and values["answer"] == {"text": ["as asked"]}
    assert values["prompt"]["text"] == ["What is it about?"], "what was typed stays"
