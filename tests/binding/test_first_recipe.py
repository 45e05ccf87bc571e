"""The text of a first recipe: valid whatever the config, and true of what it says."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsml.binding import bind
from lsml.binding.first_recipe import first_recipe, recipe_name
from lsml.binding.offers import offers
from lsml.labeling import parse_labeling_config
from lsml.recipe import Training, load_recipe
from lsml.recipe.structs import Recipe
from tests.conftest import TOPICS

MIXED = """<View>
  <Text name="t" value="$t"/><Image name="i" value="$i"/><Audio name="a" value="$a"/>
  <Choices name="topic" toName="t"><Choice value="A"/><Choice value="B"/></Choices>
  <Choices name="sound" toName="a"><Choice value="A"/></Choices>
  <Labels name="who" toName="t" smart="true"><Label value="P"/></Labels>
  <Rating name="stars: 1 # 2" toName="t"/><Video name="v" value="$v"/><Rating name="more" toName="v"/>
  <RectangleLabels name="box" toName="i"><Label value="car"/></RectangleLabels>
</View>"""


def written(xml, name="mine", **more):
    return first_recipe(name, "a test", xml, offers(parse_labeling_config(xml)), **more)


def loaded(folder, text):
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8", newline="\n")
    return load_recipe(path, environ={})


def keys(recipe: Recipe):
    return [(", ".join(map(str, model.selectors)), model.adapter) for model in recipe.models]


def test_one_adapter_for_all_controls_of_a_tag_stands_under_the_bare_tag(tmp_path):
    two = TOPICS.replace("</View>", '<Choices name="tone" toName="text"><Choice value="Calm"/></Choices></View>')
    recipe = loaded(tmp_path, written(two))
    assert keys(recipe) == [("Choices", "text-classifier")]
    assert (recipe.name, recipe.labeling_config, recipe.warnings) == ("mine", two + "\n", ())


def test_controls_that_differ_have_keys_of_their_own_whatever_their_names_are(tmp_path):
    text = written(MIXED)
    recipe = loaded(tmp_path, text)
    assert keys(recipe) == [
        ("Choices#topic", "text-classifier"),
        ("Choices#sound", "audio-classifier"),
        ("Labels", "text-matcher"),
        ("Labels", "ner-crf"),
        ("Rating#stars: 1 # 2", "text-regressor"),
        ("RectangleLabels", "detector"),
    ]
    binding = bind(recipe, parse_labeling_config(recipe.labeling_config))
    assert [one.control_tag.selector for one in binding.unbound] == ["Rating#more"]


def test_comments_say_what_else_could_answer_what_it_needs_and_what_has_no_adapter():
    lines = [line.strip() for line in written(MIXED).splitlines()]
    assert (
        "# or text-embedding-classifier: labels for texts from very few examples, by a sentence encoder; learns"
        in lines
    )
    assert any(line.startswith('#     pip install "lsml[transformers]"') for line in lines)
    assert any(line.startswith("#     lacks: the encoder ") for line in lines)
    assert any(line.startswith("#     licence: AGPL-3.0") for line in lines)
    assert any(line.startswith("#   Rating#more: ") for line in lines)


def test_the_settings_in_comments_are_the_defaults(tmp_path):
    text = written(TOPICS)
    before = loaded(tmp_path, text)
    begin = text.index("# score:")
    after = loaded(tmp_path, text[:begin] + re.sub(r"^# ?", "", text[begin:], flags=re.MULTILINE))
    assert "training:\n" not in re.sub("#.*", "", text) and after.training == Training()
    assert fields(after) == fields(before)


def fields(recipe):
    return {name: getattr(recipe, name) for name in ("name", "score", "training", "labeling_config", "label_studio")}


def test_what_is_asked_for_each_region_names_whose_and_binds(tmp_path):
    xml = """<View><Text name="t" value="$t"/>
      <Labels name="a part" toName="t"><Label value="P"/></Labels>
      <Choices name="tone" toName="t" perRegion="true"><Choice value="A"/></Choices>
      <Choices name="topic" toName="t"><Choice value="A"/></Choices></View>"""
    text = written(xml)
    assert '    needs: "Labels#a part"     # it predicts for each of their regions\n' in text
    recipe = loaded(tmp_path, text)
    assert [(str(model.selectors[0]), list(map(str, model.needs))) for model in recipe.models] == [
        ("Labels", []), ("Choices#tone", ["Labels#a part"]), ("Choices#topic", [])
    ]  # fmt: skip
    binding = bind(recipe, parse_labeling_config(xml))
    assert (binding.unbound, binding.warnings) == ((), ())


def test_a_recipe_in_which_nothing_learns_has_no_training(tmp_path):
    xml = MIXED.partition("<Choices")[0] + (
        '<BrushLabels name="m" toName="i"><Label value="A"/></BrushLabels>'
        '<KeyPointLabels name="k" toName="i" smart="true"><Label value="A"/></KeyPointLabels></View>'
    )
    assert keys(loaded(tmp_path, written(xml))) == [("BrushLabels", "grabcut")]
    assert "training:" not in written(xml)


def test_of_a_project_it_names_label_studio_and_leaves_the_token_in_the_environment(tmp_path):
    text = written(TOPICS, studio_url="http://localhost:8080")
    recipe = loaded(tmp_path, text)
    assert (recipe.label_studio.url, recipe.label_studio.api_key) == ("http://localhost:8080", None)
    assert "api_key: ${LABEL_STUDIO_API_KEY:-}" in text


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Tickets, 2nd try!", "tickets-2nd-try"),
        ("Überprüfung", "uberprufung"),
        ("日本語", "project-3"),
        ("", "project-3"),
        ("a" * 63 + " b", "a" * 63),
        ("2026", "2026"),
        ("True", "true"),
    ],
)
def test_a_title_becomes_a_name_that_a_recipe_may_have(tmp_path, title, name):
    assert recipe_name(title, "project-3") == name
    assert loaded(tmp_path, written(TOPICS, recipe_name(title, "project-3"))).name == name


@settings(deadline=None, max_examples=40)
@given(
    label=st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20),
    before=st.sampled_from(["", "\n", " \n\t "]),
)
def test_whatever_a_config_holds_comes_back_from_the_recipe(tmp_path_factory, label, before):
    from xml.sax.saxutils import quoteattr

    label = "".join(c for c in label if c.isprintable() or c in "\x7f\x85\u2028\ufeff") or "x"
    xml = f"{before}<View>\r\n\t<Text name='t' value='$t'/>\n   <Choices name='c' toName='t'>\n<Choice value={quoteattr(label)}/></Choices></View>"
    recipe = loaded(tmp_path_factory.mktemp("recipe"), written(xml))
    read, meant = parse_labeling_config(recipe.labeling_config), parse_labeling_config(xml)
    assert (read.controls, read.objects) == (meant.controls, meant.objects)
