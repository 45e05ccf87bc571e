"""Recipes as people write them, and every wrong one with the whole text of its problems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lsml.recipe.check
import lsml.recipe.models
from lsml.adapters import builtin_adapters
from lsml.adapters.base import Adapter, TrainableAdapter
from lsml.adapters.table.tabular import Tabular
from lsml.controls import CONTROLS
from lsml.errors import AdapterError, RecipeError
from lsml.recipe import Promote, Recipe, Selector, Training, load_recipe, recipe_schema
from lsml.values import Choice, Number

Size = Annotated[int, msgspec.Meta(ge=1, le=3)]


class TextOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ngrams: Annotated[tuple[Size, Size], msgspec.Meta(description="Words.")] = (1, 2)
    characters: Annotated[tuple[int, int] | None, msgspec.Meta(description="Characters.")] = None

    def __post_init__(self):
        if self.ngrams[0] > self.ngrams[1]:
            raise ValueError("ngrams: expected [low, high], got the low one above the high one")


class TokenOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Annotated[str | None, msgspec.Meta(description="A token.", extra={"decides": "secret"})] = None


class Learner(TrainableAdapter):
    name, produces, consumes, Options = "text-classifier", frozenset({Choice}), frozenset({"Text"}), TextOptions


class Counter(TrainableAdapter):
    name, produces, consumes = "text-regressor", frozenset({Number}), frozenset({"Text"})


class Pretrained(Adapter):
    name, produces, consumes, Options = "zero-shot", frozenset({Choice}), frozenset({"Text"}), TokenOptions


ADAPTERS = {one.name: one for one in (Learner, Counter, Pretrained, Tabular)}
HEAD = "lsml: 1\nname: triage\ntags:\n  Choices: text-classifier\n"


def _get(name):
    if name == "from-the-future":
        raise AdapterError("from-the-future says api = 2, and this lsml reads 1; upgrade lsml")
    return ADAPTERS[name]


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """What is installed here is the edge of the world; these tests bring their own."""
    for module in (lsml.recipe.check, lsml.recipe.models):
        monkeypatch.setattr(module, "adapter_names", lambda: [*sorted(ADAPTERS), "from-the-future"])
        monkeypatch.setattr(module, "get_adapter", _get)


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(text: str | bytes, environ: dict[str, str] | None = None) -> Recipe:
        Path("r.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_recipe(Path("r.yaml"), environ or {})

    return run


def test_four_lines_are_a_recipe(load):
    recipe = load(HEAD)
    assert recipe.name == "triage"
    assert [str(selector) for model in recipe.models for selector in model.selectors] == ["Choices"]
    assert recipe.models[0].options == TextOptions()
    assert recipe.models[0].training == recipe.training == Training()
    assert recipe.data_directory() == Path(".lsml/triage")
    assert recipe.data_directory(Path("x")) == Path("x")
    assert recipe.warnings == ()


def test_everything_that_can_be_said_arrives(load):
    recipe = load(
        """
lsml: 1
name: t
description: Sorts.
labeling_config: |
  <View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="No"/></Choices></View>
tags:
  Choices#c, Choices#d:
    - adapter: zero-shot
      labels: {No: nope, Yes: [yep, yes]}
      threshold: {default: 0.1, No: 0.3, 1: 1}
    - adapter: text-classifier
      options: {ngrams: [1, 3]}
      training: {every: 5}
  Number: {adapter: text-regressor, training: false}
score: margin
training: {quiet: 500ms, timeout: 90s, holdout: 0}
server: {host: 0.0.0.0, port: 0, secret_path: /a/b/, hosts: [lsml.example.com, x]}
storage: {directory: data}
x-notes: [anything, "${AT_ALL}"]
"""
    )
    first, second, third = recipe.models
    assert first.selectors == (Selector("Choices", "c"), Selector("Choices", "d"))
    assert first.labels == {"No": ("nope",), "Yes": ("yep", "yes")}
    assert first.threshold == {"default": 0.1, "No": 0.3, "1": 1.0}
    assert first.training is None
    assert (second.rank, second.options.ngrams, second.line) == (1, (1, 3), 12)
    assert second.training == Training(every=5, quiet_s=0.5, timeout_s=90.0, holdout=0.0)
    assert third.training is None
    assert recipe.score == "margin"
    assert recipe.server.secret_path == "a/b"
    assert recipe.server.hosts == ["lsml.example.com", "x"]
    assert "$text" in recipe.labeling_config


def test_a_list_of_models_may_say_what_they_do_together(load):
    models = load(
        "lsml: 1\nname: a\ntags:\n  Choices: {models: [zero-shot, {adapter: text-classifier}], combine: vote}\n"
    ).models
    assert [(model.adapter, model.rank, model.combine) for model in models] == [
        ("zero-shot", 0, "vote"), ("text-classifier", 1, "vote")
    ]  # fmt: skip
    assert load("lsml: 1\nname: a\ntags: {Choices: [zero-shot]}\n").models[0].combine == "first"


def test_a_label_may_be_written_in_full(load):
    [model] = load(
        "lsml: 1\nname: a\ntags:\n  Choices:\n    adapter: zero-shot\n    threshold: 0.6\n    labels:\n"
        "      Bug: {classes: [bug, defect], threshold: 0.3, description: A fault., was: Defect}\n"
        "      Calm: {was: [Quiet]}\n      Other: other\n"
    ).models
    assert model.labels == {"Bug": ("bug", "defect"), "Other": ("other",)}
    assert model.was == {"Bug": ("Defect",), "Calm": ("Quiet",)}
    assert (model.threshold, model.descriptions) == ({"default": 0.6, "Bug": 0.3}, {"Bug": "A fault."})


def test_training_false_at_the_top_can_be_lifted_for_one_tag(load):
    text = HEAD + "  Number: {adapter: text-regressor, training: {keep: 2}}\ntraining: false\n"
    recipe = load(text)
    assert recipe.training is None
    assert [model.training for model in recipe.models] == [None, Training(keep=2)]


def test_scalars_are_those_of_yaml_1_2(load):
    labels = "{No: Yes, On: off, 12:30: 2001-01-01, '1e3': y, 010: n}"
    recipe = load(
        f"lsml: 1\nname: a\ntags:\n  Choices: {{adapter: zero-shot, labels: {labels}}}\nserver: {{port: 010}}"
    )
    assert recipe.models[0].labels == {
        "No": ("Yes",),
        "On": ("off",),
        "12:30": ("2001-01-01",),
        "1e3": ("y",),
        "010": ("n",),
    }
    assert recipe.server.port == 10
    assert load(HEAD + "server: {port: 0x10}").server.port == 16
    assert load(HEAD + "server: {port: 0o14}").server.port == 12


def test_a_whole_number_may_be_written_as_a_float(load):
    recipe = load(HEAD + "server: {port: 9091.0}\ntraining: {keep: 1e1, quiet: 2.5}\n")
    assert (recipe.server.port, recipe.training.keep, recipe.training.quiet_s) == (9091, 10, 2.5)


def test_a_timeout_below_one_second_is_refused_in_every_form(load):
    for written in ("0.5", "500ms", "0.5s"):
        with pytest.raises(RecipeError, match="at least 1s"):
            load(HEAD + f"training: {{timeout: {written}}}\n")


def test_anchors_and_merges_work(load):
    text = "x-t: &t {keep: 2, every: 3}\n" + HEAD + "training:\n  <<: *t\n  every: 4\n"
    assert load(text).training == Training(keep=2, every=4)


def test_the_environment_fills_in_before_typing_and_adds_no_structure(load):
    text = HEAD + 'server:\n  port: ${PORT}\n  host: "${HOST:-h}"\n  username: ${U:-}\ndescription: $${X} ${D}\n'
    recipe = load(text, {"PORT": "8000", "D": "{a: [1]}\nlsml: 2"})
    assert (recipe.server.port, recipe.server.host, recipe.server.username) == (8000, "h", None)
    assert recipe.description == "${X} {a: [1]}\nlsml: 2"


def test_a_password_of_digits_from_the_environment_stays_a_text(load):
    recipe = load(HEAD + "server:\n  username: a\n  password: ${PW}\n", {"PW": "0123"})
    assert recipe.server.password == "0123"


def test_label_studio_is_filled_from_the_environment(load):
    environ = {"LABEL_STUDIO_URL": "http://ls:8080/", "LABEL_STUDIO_API_KEY": "sesame"}
    assert load(HEAD, environ).label_studio.url == "http://ls:8080"
    assert load(HEAD, environ).label_studio.api_key == "sesame"
    assert load(HEAD, {"LABEL_STUDIO_URL": ""}).label_studio.url is None


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("LABEL_STUDIO_HOST", "http://ls:8080", "url"),
        ("LABEL_STUDIO_HOSTNAME", "http://ls:8080", "url"),
        ("LABEL_STUDIO_ACCESS_TOKEN", "sesame", "api_key"),
    ],
)
def test_names_of_the_environment_that_other_backends_read_are_read_too(load, name, value, read):
    assert getattr(load(HEAD, {name: value}).label_studio, read) == value


def test_two_names_of_the_environment_may_agree_but_not_differ(load):
    same = {"LABEL_STUDIO_URL": "http://ls:8080", "LABEL_STUDIO_HOST": "http://ls:8080/"}
    assert load(HEAD, same).label_studio.url == "http://ls:8080"
    assert load(
        HEAD + "label_studio: {url: http://own}\n", {**same, "LABEL_STUDIO_HOST": "http://b"}
    ).label_studio.url == ("http://own")
    differing = {"LABEL_STUDIO_API_KEY": "sesame1", "LABEL_STUDIO_ACCESS_TOKEN": "sesame2"}
    with pytest.raises(
        RecipeError, match="LABEL_STUDIO_API_KEY and LABEL_STUDIO_ACCESS_TOKEN differ; set one"
    ) as error:
        load(HEAD, differing)
    assert "sesame" not in str(error.value)


def test_no_secret_is_shown_by_repr(load):
    recipe = load(
        "lsml: 1\nname: a\ntags:\n  Choices: {adapter: zero-shot, options: {token: sesame1}}\n"
        "server: {username: u, password: sesame2, secret_path: sesame3}\nlabel_studio: {api_key: sesame4}\n"
    )
    assert "sesame" not in repr(recipe)
    assert set(recipe.secrets()) == {"sesame1", "sesame2", "sesame3", "sesame4"}
    assert [(warning.line, warning.key) for warning in recipe.warnings] == [
        (5, "server.password"),
        (5, "server.secret_path"),
        (6, "label_studio.api_key"),
    ]


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("never", Promote("never")),
        ("{worst_label_drop: 1, metric: accuracy}", Promote("better", worst_label_drop=1, metric="accuracy")),
        ("{when: always}", Promote("always")),
    ],
)
def test_what_is_promoted_is_a_word_or_settings(load, given, rule):
    assert load(f"{HEAD}training: {{promote: {given}}}\n").training.promotion == rule


@pytest.mark.parametrize(("usable", "due"), [(0, 10), (99, 10), (110, 11), (111, 12), (1000, 100)])
def test_a_share_is_at_least_ten_changes(usable, due):
    assert Training().changes_due(usable) == due
    assert Training(every=3).changes_due(usable) == 3


WRONG = json.loads((Path(__file__).parents[1] / "golden" / "recipe_errors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", WRONG, ids=[case["text"][-40:] for case in WRONG])
def test_a_wrong_recipe_says_this(load, case):
    with pytest.raises(RecipeError) as caught:
        load(case["text"].replace("HEAD\n", HEAD), {"SECRET": "sesame", "EMPTY": ""})
    problems = [problem.replace("CONTROLS", ", ".join(sorted(CONTROLS))) for problem in case["problems"]]
    assert str(caught.value).splitlines() == problems


def test_secrets_and_the_environment_are_never_echoed(load):
    text = (
        HEAD + "score: ${SECRET}\nserver: {secret_path: 'sesame!', password: [sesame]}\nlabel_studio: {url: sesame}\n"
    )
    with pytest.raises(RecipeError) as caught:
        load(text, {"SECRET": "sesame"})
    assert "sesame" not in str(caught.value)
    assert len(caught.value.problems) == 4


def test_a_file_that_is_too_large_is_not_read(load):
    with pytest.raises(RecipeError, match="larger than 1 MiB"):
        load(b"a" * (1024 * 1024 + 1))


def test_format_one_is_the_only_number_there_is(load):
    with pytest.raises(RecipeError) as caught:
        load(HEAD.replace("lsml: 1", "lsml: one"))
    assert str(caught.value) == "r.yaml:1:1: lsml: expected 1, got `one`"


def test_a_labeling_config_may_be_a_file_beside_the_recipe(load, tmp_path):
    xml = '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="A"/></Choices></View>'
    (tmp_path / "config.xml").write_text(xml, encoding="utf-8")
    assert load(HEAD + "labeling_config: config.xml\n").labeling_config == xml


def test_dollar_braces_in_the_xml_are_left_alone(load):
    xml = '<View><Text name="t" value="${t}"/><Choices name="c" toName="t"><Choice value="A"/></Choices></View>'
    assert load(HEAD + f"labeling_config: '{xml}'\n").labeling_config == xml


def test_a_missing_file_is_named_as_typed():
    with pytest.raises(RecipeError) as caught:
        load_recipe(Path("./nowhere/r.yaml"))
    assert str(caught.value) == "nowhere/r.yaml:1:1: no such file; `lsml new` writes a recipe to start from"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file or directory"), ("-----BEGIN NOTHING", "it holds no certificates")]
)
def test_an_authority_that_cannot_be_read_is_named(load, content, why, tmp_path):
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(RecipeError) as caught:
        load(HEAD + "label_studio: {url: 'https://ls.example', ca_file: ca.pem}\n")
    assert str(caught.value).endswith(
        f"label_studio.ca_file: cannot be read: {why}; expected a PEM file, from the recipe's folder"
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [("a" * 5000, "File name too long"), ('"a\\0b"', "not a path"), ("~nobody-of-that-name/x", "not a path")],
)
@pytest.mark.parametrize(
    "key", ["storage: {directory: %s}\n", "media: {folders: [%s]}\n", "label_studio: {ca_file: %s}\n"]
)
def test_what_cannot_be_a_path_is_said_to_be_none(load, key, given, why):
    with pytest.raises(RecipeError) as caught:
        load(HEAD + key % given)
    assert f": {why}; " in str(caught.value)


def test_a_number_that_is_too_large_for_a_whole_one_is_none(load):
    with pytest.raises(RecipeError) as caught:
        load(HEAD + "training: {min_annotations: 1.0e+308}\n")
    assert "training.min_annotations: expected a whole number" in str(caught.value)


def test_of_hundreds_of_problems_the_first_fifty_are_shown_and_the_others_counted(load):
    with pytest.raises(RecipeError) as caught:
        load(HEAD + "".join(f"odd-{number}: 1\n" for number in range(300)))
    first, *_, last = lines = str(caught.value).split("\n")
    assert len(lines) == 51
    assert last.endswith(":55:1: and 250 more problems; correct those above first"), last
    assert len(caught.value.problems) == 300
    assert "odd-0" in first


_PIECES = st.sampled_from(
    [*"\n\n  :-[]{}&*!|>'\"#?,%@`~\t", "<<", "${A}", "${", "lsml: 1\n", "name: a\n", "tags:\n", "  Choices: ",
     "text-classifier\n", "training: ", "every", "10%", "null", "x-a", "Choices#a", "1e999", ".nan"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=80), st.lists(_PIECES, max_size=25).map("".join).map(str.encode)))
def test_no_text_raises_anything_but_recipe_error(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(raw)
    try:
        load_recipe(path, {"A": "b"})
    except RecipeError as error:
        assert all(line.startswith(str(path)) for line in str(error).split("\n"))


def test_the_committed_schema_is_current():
    built_in = builtin_adapters()
    committed = Path(__file__).parents[2] / "schemas" / "recipe.schema.json"
    assert json.loads(committed.read_text(encoding="utf-8")) == json.loads(json.dumps(recipe_schema(built_in)))


def test_every_key_of_the_schema_is_described_and_has_a_default():
    schema = recipe_schema(ADAPTERS)
    structs = {"recipe": schema, **{k: v for k, v in schema["$defs"].items() if "properties" in v}}
    for name, struct in structs.items():
        assert struct["additionalProperties"] is False, name
        for key, rule in struct["properties"].items():
            assert rule.get("description"), (name, key)
            assert "default" in rule or key in ("lsml", "name", "tags", "adapter", "models", "url", "password"), (
                name,
                key,
            )


@pytest.mark.parametrize(
    ("training", "several"),
    [
        ("{consensus: majority}", "majority"),
        ("{consensus: all, learn_from: {annotators: [7]}}", "all"),
        ("{consensus: all, learn_from: {several: weighted}}", "weighted"),
        ("{}", "latest"),
    ],
)
def test_consensus_is_still_read_as_what_several_annotations_teach(load, training, several):
    assert load(f"{HEAD}training: {training}\n").training.learn_from.several == several
