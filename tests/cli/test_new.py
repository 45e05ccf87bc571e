"""`lsml new` for a labeling config: of a file, and of a project in Label Studio."""

from __future__ import annotations

import json

import pytest

from lsml.recipe import load_recipe
from tests.conftest import TOPICS
from tests.support.commands import lsml, refused, said
from tests.support.web import Answer, Web

LEGACY = "89abcdef0123456789abcdef0123456789abcdef"
PAIR = TOPICS.replace("</View>", '<MagicWand name="p" toName="text"/></View>')
ALONE = "unbound: MagicWand#p: no adapter supports MagicWand yet, so only people annotate it"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "Ticket Topics.xml"
    path.write_text(PAIR, encoding="utf-8")
    return path


def of(config, *more, **kwargs):
    return lsml("new", "--labeling-config", config.name, *more, cwd=config.parent, **kwargs)


def test_a_config_becomes_a_recipe_that_binds_and_says_what_people_answer_alone(config, tmp_path):
    done = of(config)
    assert said(done).splitlines() == [
        "bound: Choices#topic -> text-classifier",
        "wrote ticket-topics.yaml; edit it, then: lsml run ticket-topics.yaml",
    ]
    assert done.stderr.splitlines() == [ALONE]
    assert said(lsml("validate", "ticket-topics.yaml", cwd=tmp_path)).splitlines() == [
        ALONE,
        "ticket-topics.yaml: valid; bound: Choices#topic -> text-classifier",
    ]
    assert said(lsml("explain", "ticket-topics.yaml", cwd=tmp_path)).splitlines()[-1] == ALONE


def test_it_writes_over_nothing_unless_it_is_forced_to_and_where_it_is_told(config, tmp_path):
    mine = tmp_path / "ticket-topics.yaml"
    mine.write_text("mine")
    assert refused(of(config)).startswith("ticket-topics.yaml: exists; choose another name with -o")
    assert mine.read_text() == "mine"
    said(of(config, "--force"))
    (tmp_path / "folder").mkdir()
    said(of(config, "-o", "folder"))
    assert mine.read_bytes() == (tmp_path / "folder" / "ticket-topics.yaml").read_bytes()


def test_a_copy_names_the_schema_where_an_editor_finds_it(tmp_path):
    (tmp_path / "schemas").mkdir()
    (tmp_path / "recipes").mkdir()
    said(lsml("schema", "-o", "schemas/recipe.schema.json", cwd=tmp_path))
    said(lsml("new", "sentiment", "-o", "recipes", cwd=tmp_path))
    first = (tmp_path / "recipes" / "sentiment.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../schemas/recipe.schema.json"


def test_a_dash_prints_the_recipe_alone_and_writes_nothing(config, tmp_path):
    done = of(config, "-o", "-")
    assert done.stderr.splitlines() == [ALONE]
    (tmp_path / "printed.yaml").write_text(said(done), encoding="utf-8")
    assert load_recipe(tmp_path / "printed.yaml").name == "ticket-topics"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Ticket Topics.xml", "printed.yaml"]


def test_where_nothing_can_be_served_it_says_why_and_writes_nothing(config):
    config.write_text(
        '<View><Image name="a" value="$a"/><MagicWand name="count" toName="a"/><MagicWand name="noise" toName="a"/></View>'
    )
    assert refused(of(config), code=1).splitlines() == [
        "unbound: MagicWand#count: no adapter supports MagicWand yet, so only people annotate it",
        "unbound: MagicWand#noise: no adapter supports MagicWand yet, so only people annotate it",
        "the labeling config Ticket Topics.xml: no adapter can serve any of its control tags, so no recipe can be "
        "written",
    ]
    config.write_text("<View/>")
    assert refused(of(config), code=1) == (
        "the labeling config Ticket Topics.xml: it has no control tag, so no recipe can be written"
    )
    assert list(config.parent.glob("*.yaml")) == []


def test_a_config_that_cannot_be_read_is_refused_with_its_place(config):
    config.write_text("<View><Text")
    assert refused(of(config)) == (
        "Ticket Topics.xml:1:7: a tag or a quotation mark that opens here is never closed; close it"
    )
    config.unlink()
    assert refused(of(config)) == "Ticket Topics.xml: cannot be read: No such file or directory"


@pytest.mark.parametrize("arguments", [[], ["sentiment", "--from-project", "1"]])
def test_it_is_told_one_thing_to_make(arguments, tmp_path):
    assert refused(lsml("new", *arguments, cwd=tmp_path)) == (
        "name what to write: a recipe of the gallery (`lsml gallery` lists them), --from-project ID, or "
        "--labeling-config FILE; exactly one of them"
    )


def studio(asked):
    if asked.headers.get("authorization") != f"Token {LEGACY}":
        return Answer(401, b'{"detail": "Invalid token."}', {"Content-Type": "application/json"})
    if asked.path != "/api/projects/7/":
        return Answer(404, b"{}", {"Content-Type": "application/json"})
    created = "2026-11-23T09:03:34.474647Z"
    project = {"id": 7, "title": "Tickets, all", "label_config": TOPICS, "created_at": created, "task_number": 0}
    return Answer(200, json.dumps(project).encode(), {"Content-Type": "application/json"})


@pytest.mark.parametrize("told", ["options", "environment", "names of other backends"])
def test_a_project_becomes_a_recipe_that_knows_its_label_studio_and_not_its_token(told, tmp_path):
    with Web(studio) as web:
        options = ["--url", web.url + "/", "--api-key", LEGACY] if told == "options" else []
        names = ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY")
        if told != "environment":
            names = ("LABEL_STUDIO_HOST", "LABEL_STUDIO_ACCESS_TOKEN")
        environment = {} if options else dict(zip(names, (web.url, LEGACY), strict=True))
        done = lsml("new", "--from-project", 7, *options, cwd=tmp_path, environment=environment)
    assert said(done).splitlines()[-1] == "wrote tickets-all.yaml; edit it, then: lsml run tickets-all.yaml"
    text = (tmp_path / "tickets-all.yaml").read_text(encoding="utf-8")
    assert text.startswith(f'# A first recipe for project 7, "Tickets, all", of {web.url}. ')
    assert LEGACY not in text + done.stdout + done.stderr
    recipe = load_recipe(tmp_path / "tickets-all.yaml", environ={"LABEL_STUDIO_API_KEY": LEGACY})
    assert (recipe.label_studio.url, recipe.label_studio.api_key) == (web.url, LEGACY)
    assert recipe.labeling_config == TOPICS + "\n"


def test_a_project_that_cannot_be_read_says_why(tmp_path):
    assert refused(lsml("new", "--from-project", 7, cwd=tmp_path)) == (
        "--from-project needs Label Studio's address: give it with --url, or set LABEL_STUDIO_URL"
    )
    with Web(studio) as web:
        nobody = lsml("new", "--from-project", 7, "--url", web.url, cwd=tmp_path)
        assert "needs a token (401) and none is set" in refused(nobody, code=1)
        other = lsml("new", "--from-project", 8, "--url", web.url, "--api-key", LEGACY, cwd=tmp_path)
        assert "project 8 does not exist (404)" in refused(other, code=1)
    assert list(tmp_path.iterdir()) == []
