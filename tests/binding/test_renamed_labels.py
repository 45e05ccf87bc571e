"""Labels that had other names before: what was annotated, and what was learnt, under the old ones stays."""

import json

import pytest

from lsml.binding import Tally, bind, sentences
from lsml.binding.survey import survey
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.recipe import load_recipe
from lsml.values import Choice, Scored, Span
from tests.conftest import write_recipe
from tests.support.commands import export, lsml, refused, said, tickets
from tests.support.fetching import no_fetch

TEXT = '<Text name="o" value="$o"/>'
CHOICES = f"""{TEXT}<Choices name="c" toName="o"><Choice value="Bug"/><Choice value="Question" alias="q"/></Choices>"""
LABELS = f"""{TEXT}<Labels name="c" toName="o"><Label value="Person"/></Labels>"""
TREE = """<Choice value="Animals"><Choice value="Fauna"><Choice value="Owl"/></Choice></Choice>"""
TAXONOMY = f'{TEXT}<Taxonomy name="c" toName="o">{TREE}</Taxonomy>'
NESTED = f'{TEXT}<Choices name="c" toName="o" allowNested="true">{TREE}</Choices>'


def bound(tmp_path, xml, labels, adapter="text-classifier"):
    config = parse_labeling_config(f"<View>{xml}</View>")
    tag = config.controls[0].tag
    tags = f"tags: {{{tag}: {{adapter: {adapter}, labels: {labels}}}}}\n"
    return bind(load_recipe(write_recipe(tmp_path, tags, config=None)), config)


def region(type, **value):
    return {"from_name": "c", "to_name": "o", "type": type, "value": value}


def task(*results):
    return AnnotatedTask("1", {"o": "Ada met Bob"}, tuple(Annotation(str(n), one) for n, one in enumerate(results)))


@pytest.mark.parametrize(
    ("xml", "labels", "given", "now"),
    [
        (CHOICES, "{Bug: {was: Defect}}", ["Defect"], "Bug"),
        (CHOICES, "{Question: {was: [How, Why]}}", ["Why"], "q"),
        (CHOICES, "{q: {was: How}}", ["How"], "q"),
        (CHOICES, "{Bug: {was: Question}}", ["Question"], "q"),  # what is a label stays itself
        (TAXONOMY, "{Animals / Fauna: {was: Birds}}", [["Animals", "Birds", "Owl"]], "Animals / Fauna / Owl"),
        (TAXONOMY, "{Animals: {was: Beasts}, Fauna: {was: Birds}}", [["Beasts", "Birds"]], "Animals / Fauna"),
        (TAXONOMY, "{Owl: {was: Birds / Owls}}", [["Birds", "Owls"]], "Animals / Fauna / Owl"),
        (NESTED, "{Animals / Fauna: {was: Birds}}", [["Animals", "Birds", "Owl"]], "Animals / Fauna / Owl"),
        (NESTED, "{Owl: {was: Eule}}", ["Eule"], "Animals / Fauna / Owl"),
    ],
)
def test_an_annotation_under_a_former_name_is_one_of_the_label(tmp_path, xml, labels, given, now):
    key = "taxonomy" if "<Taxonomy" in xml else "choices"
    taught = bound(tmp_path, xml, labels).learn(task([region(key, **{key: given})]), no_fetch)
    assert taught.answers == {"c": [(Choice(now),)]}


def test_spans_too_and_it_is_said(tmp_path):
    binding = bound(tmp_path, LABELS, "{Person: {was: [PER]}}", "ner-crf")
    taught = binding.learn(task([region("labels", start=0, end=3, labels=["PER"])]), no_fetch)
    assert taught.answers == {"c": [(Span(0, 3, "Person"),)]}
    tally = Tally()
    tally.add("1", taught)
    assert sentences(tally.report()) == [
        "Labels#c: 1 of 1 spans of text understood: `PER` is read as `Person`; the recipe says so under `was`; first: "
        "task 1"
    ]


def test_a_version_that_learnt_a_former_name_answers_with_the_label(tmp_path):
    [model] = bound(tmp_path, CHOICES, "{Bug: {was: [Defect]}}").models
    told = Scored(["Bug", "Defect", "q"], frozenset({"Bug", "Defect", "q"}), [0.25, 0.5, 0.25])
    adapter = model.new_adapter()
    assert model.classes.translate(told, adapter) == [Choice("Bug", 0.75), Choice("q", 0.25)]
    same = Scored(["Bug", "q"], frozenset({"Bug", "q"}), [0.5, 0.5])
    assert model.classes.translate(same, adapter) is same
    assert model.facts(["Defect", "q"])[-1] == model.facts(["Bug", "q"])[-1]


def test_what_is_said_of_labels_that_are_none_or_that_are_labels_still_is_a_warning(tmp_path):
    labels = "{Bgu: {was: [x], threshold: 0.2}, Bug: {was: Question, description: A fault.}}"
    assert bound(tmp_path, CHOICES, labels).warnings == (
        "`labels.Bgu` is no label of Choices#c, which has Bug, Question, q",
        "`labels.Bug.was` names `Question`, which is still a label of Choices#c and is not renamed",
    )


def test_another_former_name_makes_the_next_training_start_over(tmp_path):
    one, two, none = (bound(tmp_path, CHOICES, f"{{Bug: {{was: [{was}]}}}}").models[0] for was in ("A", "A, B", ""))
    assert len({one.options_digest, two.options_digest, none.options_digest}) == 3


def test_a_survey_counts_what_is_kept_renamed_and_dropped(tmp_path):
    binding = bound(tmp_path, CHOICES, "{Bug: {was: Defect}}")

    def choose(*labels, name="c"):
        return [{**region("choices", choices=list(labels)), "from_name": name}]

    found = survey(
        binding, [task(choose("Bug"), choose("Defect")), task(choose("bugs")), task(choose("Calm", name="tone"))]
    )
    [counts] = found.controls
    assert (found.tasks, found.others) == (3, {"tone": 1})
    assert counts.labels == {"Bug": 2, "q": 0}
    assert counts.renamed == {"`Defect` is read as `Bug`": 1}
    assert (counts.dropped, counts.near) == ({"bugs": 1}, {"bugs": ("Bug",)})


def test_versions_tells_what_becomes_of_labels_before_it_does(tmp_path):
    write_recipe(tmp_path)
    (tmp_path / "old.json").write_text(json.dumps(export(tickets(30))))
    xml = (
        '<View><Text name="text" value="$text"/><Choices name="topic" toName="text"><Choice value="Billing"/>'
        '<Choice value="Fault"/><Choice value="Absent"/></Choices></View>'
    )
    (tmp_path / "new.xml").write_text(xml)
    asked = ["versions", "triage.yaml", "--labels", "--from", "old.json", "--labeling-config", "new.xml"]
    lines = said(lsml(*asked, cwd=tmp_path)).splitlines()
    assert lines[:5] == [
        "old.json: 30 annotated tasks",
        "Choices#topic: 10 kept, 0 renamed, 20 dropped",
        "    Billing: 10",
        "    Fault: 0",
        "    Absent: 0",
    ]
    assert lines[5] == (
        "    dropped 10: `Bug` is no longer a label of it; if it was renamed, write `labels: {LABEL: {was: [Bug]}}`"
    )
    recipe = tmp_path / "triage.yaml"
    short = "Choices: text-classifier"
    assert short in recipe.read_text()
    recipe.write_text(
        recipe.read_text().replace(short, "Choices: {adapter: text-classifier, labels: {Fault: {was: [Bug]}}}")
    )
    [told] = json.loads(said(lsml(*asked, "--json", cwd=tmp_path)))
    assert told["controls"][0]["labels"] == {"Billing": 10, "Fault": 10, "Absent": 0}
    assert told["controls"][0]["dropped"] == {"Question": 10}
    assert "Choices#topic: Fault: it was Bug\n" in said(
        lsml("explain", "triage.yaml", "--labeling-config", "new.xml", cwd=tmp_path)
    )
    none = refused(lsml("versions", "triage.yaml", "--labels", cwd=tmp_path))
    assert none == "no project has annotations here; name a file of annotated tasks with --from"
    alone = refused(lsml("versions", "triage.yaml", "--from", "old.json", cwd=tmp_path))
    assert alone == "--from and --labeling-config need --labels; add it"
