"""The commands that look at recipes: validate, explain, gallery, new, adapters, schema, and lsml itself."""

from __future__ import annotations

import json
import re

import pytest

from lsml import __version__
from lsml.adapters import adapter_names
from lsml.cli import VERBS
from lsml.recipe import load_recipe
from lsml.recipe.gallery import gallery_recipes
from tests.conftest import REPOSITORY, TOPICS
from tests.support.commands import lsml, refused, said, write_recipe

WRONG = """lsml: 1
name: two words
tags:
  Choice: text-classifier
  Choices: {adapter: text-clasifier}
  Choices#topic:
    adapter: text-classifier
    options: {ngram: [1, 2], C: "a
      b"}
training: {holdout: 2, evry: 3}
"""
MINIMAL = "lsml: 1\nname: minimal\ntags:\n  Choices: text-classifier\n"


@pytest.fixture
def recipe(tmp_path):
    return write_recipe(tmp_path)


def test_lsml_alone_lists_every_verb_with_what_it_does(tmp_path):
    text = said(lsml("--help", cwd=tmp_path))
    for verb, (_, what) in VERBS.items():
        assert re.search(rf"^  {verb} +{' +'.join(re.escape(word) for word in what.split())}$", text, re.M) or (
            f"  {verb} " in text and " ".join(what.split()) in " ".join(text.split())
        )
    assert said(lsml("--version", cwd=tmp_path)) == f"lsml, version {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, tmp_path):
    assert said(lsml(verb, "--help", cwd=tmp_path)).startswith(f"Usage: python -m lsml {verb} ")


def test_an_unknown_command_says_which_one_was_meant(tmp_path):
    assert refused(lsml("traim", cwd=tmp_path)).endswith("\nError: no command `traim`; did you mean `train`?")
    assert refused(lsml("xyzzy", cwd=tmp_path)).endswith("\nError: no command `xyzzy`")


def test_validate_says_what_a_valid_recipe_binds(recipe, tmp_path):
    assert said(lsml("validate", recipe.name, cwd=tmp_path)) == (
        "triage.yaml: valid; bound: Choices#topic -> text-classifier\n"
    )


def test_validate_says_that_a_recipe_without_config_waits_for_label_studio(tmp_path):
    (tmp_path / "minimal.yaml").write_text(MINIMAL)
    assert said(lsml("validate", "minimal.yaml", cwd=tmp_path)) == (
        "minimal.yaml: valid; it has no labeling config, so its binding is known only when Label Studio connects\n"
    )


def test_validate_says_everything_that_is_wrong_one_physical_line_each(tmp_path):
    (tmp_path / "wrong.yaml").write_text(WRONG)
    lines = refused(lsml("validate", "wrong.yaml", cwd=tmp_path)).splitlines()
    assert lines == [
        "wrong.yaml:2:1: name: expected at most 64 letters, digits, `.`, `_` and `-`, the first a letter or digit, "
        "got `two words`",
        "wrong.yaml:4:3: tags.Choice: not a control tag; did you mean `Choices`?",
        "wrong.yaml:5:13: tags.Choices.adapter: expected one of " + ", ".join([*adapter_names(), "auto"]) + ", got "
        "`text-clasifier`; did you mean `text-classifier`?",
        "wrong.yaml:8:15: tags.Choices#topic.options.ngram: unknown option; did you mean `ngrams`?",
        "wrong.yaml:8:30: tags.Choices#topic.options.C: expected a number above 0 up to 1000000, or auto, got `a b`",
        "wrong.yaml:10:12: training.holdout: expected a share between 0 and 0.5, got 2",
        "wrong.yaml:10:24: training.evry: unknown key; did you mean `every`?",
    ]


def test_validate_prints_problems_as_json_for_programs(recipe, tmp_path):
    (tmp_path / "wrong.yaml").write_text(WRONG)
    done = lsml("validate", "wrong.yaml", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "")
    problems = json.loads(done.stdout)
    assert len(problems) == 7
    assert problems[1] == {
        "file": "wrong.yaml", "line": 4, "column": 3, "key": "tags.Choice",
        "message": "not a control tag; did you mean `Choices`?",
    }  # fmt: skip
    assert json.loads(said(lsml("validate", recipe.name, "--json", cwd=tmp_path))) == []


def test_a_recipe_that_is_not_there_is_a_problem_like_any_other(tmp_path):
    assert refused(lsml("validate", "none.yaml", cwd=tmp_path)) == (
        "none.yaml:1:1: no such file; `lsml new` writes a recipe to start from"
    )


def test_validate_reads_a_labeling_config_from_a_file(recipe, tmp_path):
    (tmp_path / "config.xml").write_text(TOPICS.replace('name="topic"', 'name="other"'))
    assert said(lsml("validate", recipe.name, "--labeling-config", "config.xml", cwd=tmp_path)) == (
        "triage.yaml: valid; bound: Choices#other -> text-classifier\n"
    )
    assert refused(lsml("validate", recipe.name, "--labeling-config", "none.xml", cwd=tmp_path)) == (
        "none.xml: cannot be read: No such file or directory"
    )
    (tmp_path / "broken.xml").write_text("<View><Text")
    assert refused(lsml("validate", recipe.name, "--labeling-config", "broken.xml", cwd=tmp_path)) == (
        "broken.xml:1:7: a tag or a quotation mark that opens here is never closed; close it"
    )


@pytest.mark.parametrize("verb", ["validate", "explain"])
def test_a_config_without_what_the_recipe_names_says_what_it_has_instead(recipe, tmp_path, verb):
    (tmp_path / "other.xml").write_text(
        '<View><Text name="t" value="$t"/><Labels name="l" toName="t"><Label value="A"/></Labels></View>'
    )
    lines = said(lsml(verb, recipe.name, "--labeling-config", "other.xml", cwd=tmp_path)).splitlines()
    assert sorted(lines) == sorted(
        [
            "unbound: Labels#l: no key under `tags` matches it",
            "warning: `Choices` matches nothing in the labeling config, which has Labels#l",
            "triage.yaml: valid; nothing is bound" if verb == "validate" else "nothing is bound",
        ]
    )


def test_explain_shows_control_object_adapter_and_labels(recipe, tmp_path):
    assert said(lsml("explain", recipe.name, cwd=tmp_path)) == (
        "Choices#topic -> Text#text ($text) -> text-classifier -> Billing, Bug, Question (learns)\n"
    )


def test_explain_says_that_spans_inside_others_are_not_learnt(tmp_path):
    config = '<View><Text name="t" value="$t"/><Labels name="who" toName="t"><Label value="A"/></Labels></View>'
    path = write_recipe(tmp_path, "tags:\n  Labels: ner\n", config=config)
    assert (
        "Labels#who: ner is trained only on the longest of overlapping or nested spans, and finds none inside "
        "another" in said(lsml("explain", path.name, cwd=tmp_path)).splitlines()
    )


def test_explain_says_what_stays_unbound_and_why(tmp_path):
    config = TOPICS.replace("</View>", '<Number name="minutes" toName="text"/>\n</View>')
    path = write_recipe(tmp_path, config=config)
    answer, unbound = said(lsml("explain", path.name, cwd=tmp_path)).splitlines()
    assert answer.startswith("Choices#topic -> ")
    assert unbound.startswith("unbound: ") and "Number#minutes" in unbound


@pytest.mark.parametrize("verb", ["validate", "explain"])
@pytest.mark.parametrize("config", ["", "labeling_config: config.xml\n"])
def test_a_library_that_is_not_installed_is_said_before_it_is_needed(tmp_path, verb, config):
    (tmp_path / "config.xml").write_text(
        '<View><Image name="i" value="$i"/><RectangleLabels name="b" toName="i"><Label value="car"/></RectangleLabels></View>'
    )
    (tmp_path / "draw.yaml").write_text(f"lsml: 1\nname: draw\n{config}tags:\n  RectangleLabels: yolo\n")
    text = said(lsml(verb, "draw.yaml", cwd=tmp_path, environment=without(tmp_path, "ultralytics")))
    model = "b:yolo" if config else "yolo"
    assert f'{model}: its library is not installed: pip install "lsml[yolo]"' in text.splitlines()


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ('<TextArea name="n" toName="text"/>', "TextArea#n: no key under `tags` matches it"),
        (
            '<MagicWand name="n" toName="text"/>',
            "MagicWand#n: no adapter supports MagicWand yet, so only people annotate it",
        ),
        ('<Number name="n" toName="text"/>', "Number#n: no key under `tags` matches it"),
        (
            '<Rating name="n" toName="text" perRegion="true"/>',
            "Rating#n is for each region (perRegion), and its adapters predict for the whole task",
        ),
    ],
)
def test_explain_says_at_once_what_no_key_would_change(tmp_path, tag, why):
    path = write_recipe(tmp_path, config=TOPICS.replace("</View>", f"{tag}\n</View>"))
    assert said(lsml("explain", path.name, cwd=tmp_path)).splitlines()[1] == f"unbound: {why}"


def without(folder, module):
    """An environment in which a module is not installed, whatever this machine has."""
    (folder / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name, *more: None if name == {module!r} else find(name, *more)\n"
    )
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize(
    ("name", "module", "line"),
    [
        ("detection", "ultralytics", 'its library is not installed: pip install "lsml[yolo]"'),
        ("few-shot-topics", "transformers", 'its library is not installed: pip install "lsml[transformers]"'),
        ("smart-segmentation", "cv2", 'its library is not installed: pip install "lsml[images]"'),
    ],
)
def test_new_says_what_the_recipe_needs_and_the_command_that_mends_it(tmp_path, name, module, line):
    first, *more = said(lsml("new", name, cwd=tmp_path, environment=without(tmp_path, module))).splitlines()
    assert first == f"wrote {name}.yaml; edit it, then: lsml run {name}.yaml"
    assert any(one.endswith(line) for one in more), more


def test_an_adapter_whose_library_is_missing_is_not_offered_as_installed(tmp_path):
    lines = said(lsml("adapters", cwd=tmp_path, environment=without(tmp_path, "skimage"))).splitlines()
    images = next(line for line in lines if line.startswith("image-classifier: "))
    assert '; learns; not installed: pip install "lsml[images]"; licence: ' in images


def test_explain_of_a_recipe_without_config_shows_what_it_names(tmp_path):
    (tmp_path / "minimal.yaml").write_text(MINIMAL)
    assert said(lsml("explain", "minimal.yaml", cwd=tmp_path)) == (
        "Choices -> text-classifier\nminimal.yaml: has no labeling config, so its binding is known only when Label "
        "Studio connects; to see it now, add `labeling_config:`, or give a file with --labeling-config\n"
    )


def test_a_label_in_another_script_is_shown_in_any_pipe(tmp_path):
    path = write_recipe(tmp_path, config=TOPICS.replace('"Bug"', '"Ошибка"'))
    assert "Billing, Ошибка, Question" in said(lsml("explain", path.name, cwd=tmp_path))
    western = {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    assert r"Billing, \u041e\u0448" in said(lsml("explain", path.name, cwd=tmp_path, environment=western))


def test_gallery_lists_every_recipe_with_its_description_and_what_to_install(tmp_path):
    lines = said(lsml("gallery", cwd=tmp_path, environment=without(tmp_path, "ultralytics"))).splitlines()
    assert [line.partition(" Needs: ")[0] for line in lines] == [
        f"{name}: {load_recipe(path).description}" for name, path in gallery_recipes().items()
    ]
    needs = {line.partition(":")[0]: line.partition(" Needs: ")[2] for line in lines}
    assert needs["detection"] == 'pip install "lsml[yolo]"' and needs["sentiment"] == ""


def test_what_is_listed_is_had_as_json_too(tmp_path):
    gallery = json.loads(said(lsml("gallery", "--json", cwd=tmp_path, environment=without(tmp_path, "ultralytics"))))
    assert [one["name"] for one in gallery] == list(gallery_recipes())
    [detection] = [one for one in gallery if one["name"] == "detection"]
    assert (detection["adapters"], detection["needs"]) == (["yolo"], ['pip install "lsml[yolo]"'])

    adapters = {one["name"]: one for one in json.loads(said(lsml("adapters", "--json", cwd=tmp_path)))}
    assert adapters["text-classifier"]["learns"] and "Choices" in adapters["text-classifier"]["tags"]
    assert json.loads(said(lsml("adapters", "grabcut", "--json", cwd=tmp_path))) == adapters["grabcut"]

    path = write_recipe(tmp_path)
    explained = json.loads(said(lsml("explain", path.name, "--json", cwd=tmp_path)))
    assert explained["models"] == [
        {"control": "Choices#topic", "object": "Text#text ($text)", "adapter": "text-classifier",
         "labels": "Billing, Bug, Question", "learns": "learns"},
    ]  # fmt: skip


def test_new_writes_over_nothing_unless_it_is_forced_to(tmp_path):
    mine = tmp_path / "sentiment.yaml"
    mine.write_text("mine")
    assert refused(lsml("new", "sentiment", cwd=tmp_path)) == (
        "sentiment.yaml: exists; choose another name with -o, or overwrite it with --force"
    )
    assert mine.read_text() == "mine"
    assert said(lsml("new", "sentiment", "--force", cwd=tmp_path)) == (
        "wrote sentiment.yaml; edit it, then: lsml run sentiment.yaml\n"
    )
    _, _, kept = gallery_recipes()["sentiment"].read_text().partition("schema.json\n#\n")  # not beside the copy
    assert mine.read_text() == kept != ""


def test_new_writes_where_it_is_told_a_file_or_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    assert said(lsml("new", "topics", "-o", "mine.yaml", cwd=tmp_path)) == (
        "wrote mine.yaml; edit it, then: lsml run mine.yaml\n"
    )
    said(lsml("new", "topics", "-o", "folder", cwd=tmp_path))
    assert (tmp_path / "mine.yaml").read_bytes() == (tmp_path / "folder" / "topics.yaml").read_bytes()
    assert refused(lsml("new", "topics", "-o", "no/mine.yaml", cwd=tmp_path)) == (
        "no/mine.yaml: cannot be written: there is no folder no"
    )


def test_new_of_an_unknown_recipe_names_those_there_are(tmp_path):
    text = refused(lsml("new", "sentimant", cwd=tmp_path))
    assert text.startswith("the gallery has no recipe `sentimant`; did you mean `sentiment`?")
    assert text.endswith(f"it has {', '.join(gallery_recipes())}")


def test_adapters_is_one_line_an_adapter(tmp_path):
    *lines, empty, hint = said(lsml("adapters", cwd=tmp_path)).splitlines()
    assert [line.partition(":")[0] for line in lines] == adapter_names()
    assert (empty, hint) == ("", "`lsml adapters NAME` lists the options of an adapter.")
    assert (
        "text-classifier: answers Choices, Taxonomy; reads Chat, HyperText, Paragraphs, Pdf, Text; learns; installed; "
        "licence: BSD-3-Clause (scikit-learn)" in lines
    )
    yolo = next(line for line in lines if line.startswith("yolo: "))
    assert "; reads Image, Video; learns; " in yolo and "; licence: AGPL-3.0" in yolo
    detector = next(line for line in lines if line.startswith("detector: "))
    assert "; reads Image; learns; " in detector and "; licence: Apache-2.0 (transformers, " in detector


def test_adapters_with_a_name_shows_that_one(tmp_path):
    text = said(lsml("adapters", "text-regressor", cwd=tmp_path))
    assert text.startswith("text-regressor: ") and "\n    alpha (default " in text and "text-classifier" not in text
    refusal = refused(lsml("adapters", "text-regresor", cwd=tmp_path))
    assert refusal.startswith("no adapter `text-regresor`; did you mean `text-regressor`?")
    assert "\n" not in refusal


def test_the_builtin_schema_is_the_committed_one(tmp_path):
    committed = (REPOSITORY / "schemas" / "recipe.schema.json").read_text(encoding="utf-8")
    assert said(lsml("schema", "--builtin", cwd=tmp_path)) == committed
    assert said(lsml("schema", "--builtin", "-o", "here.json", cwd=tmp_path)) == "wrote here.json\n"
    assert (tmp_path / "here.json").read_text(encoding="utf-8") == committed


def test_the_schema_of_everything_installed_is_json_and_has_at_least_the_builtin_adapters(tmp_path):
    schema = json.loads(said(lsml("schema", cwd=tmp_path)))
    assert {"text-classifier", "text-regressor"} <= set(schema["$defs"]["adapter"]["enum"])


def test_the_schema_goes_to_no_folder_that_is_not_there(tmp_path):
    assert refused(lsml("schema", "-o", "no/such.json", cwd=tmp_path)) == (
        "no/such.json: cannot be written: there is no folder no"
    )
    assert refused(lsml("schema", "-o", ".", cwd=tmp_path)) == ".: cannot be written: it is a folder"


def test_an_output_that_is_no_plain_file_stays_what_it_is(tmp_path):
    (tmp_path / "link.json").symlink_to("target.json")
    (tmp_path / "target.json").write_text("old")
    said(lsml("schema", "--builtin", "-o", "link.json", cwd=tmp_path))
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "target.json").read_text(encoding="utf-8"))["$schema"]
