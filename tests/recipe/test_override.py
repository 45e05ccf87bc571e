"""What differs from machine to machine: a second file, and secrets in files."""

import pytest

from lsml.errors import RecipeError
from lsml.recipe import load_recipe
from tests.support.commands import lsml, refused, said

RECIPE = """lsml: 1
name: triage
tags:
  Choices: [{adapter: text-embedding-classifier, options: {batch: 4}}, text-classifier]
label_studio: {url: "http://ls:8080", api_key: "${TOKEN:-}"}
server: {port: 9000, limits: {tasks: 5, text: 6}}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(RECIPE)

    def run(override="", **environ):
        (tmp_path / "o.yaml").write_text(override)
        return load_recipe(tmp_path / "r.yaml", {**environ, **({"LSML_OVERRIDE": "o.yaml"} if override else {})})

    return run


def problems(load, override, **environ):
    with pytest.raises(RecipeError) as caught:
        load(override, **environ)
    return str(caught.value).splitlines()


def test_an_override_wins_key_by_key(load):
    recipe = load(
        'label_studio: {api_key: "${KEY}"}\nserver:\n  host: 0.0.0.0\n  limits: {text: 7}\nstorage: {directory: /data}\ndevice: cuda:1\n',
        KEY="sesame",
    )
    assert (recipe.label_studio.url, recipe.label_studio.api_key) == ("http://ls:8080", "sesame")
    assert (recipe.server.host, recipe.server.port) == ("0.0.0.0", 9000)
    assert (recipe.server.limits.tasks, recipe.server.limits.text) == (5, 7)
    assert str(recipe.data_directory()) == "/data/triage"
    first, second = recipe.models
    assert (first.options.device, first.options.batch) == ("cuda:1", 4)
    assert not hasattr(second.options, "device")
    assert "sesame" not in repr(recipe) and recipe.warnings == ()


def test_an_override_holds_nothing_else_and_says_what_belongs_where(load):
    alone = "belongs in the recipe; an override may only have label_studio, server, storage, device"
    assert problems(load, "server: {port: 1}\nname: x\ntags: {Choices: spacy}\n") == [
        f"o.yaml:2:1: name: {alone}",
        f"o.yaml:3:1: tags: {alone}",
    ]


def test_what_is_wrong_in_an_override_is_found_there(load, tmp_path):
    found = problems(load, "# production\nserver:\n  port: many\n  limits: {tasks: 0}\ndevice: 3\n")
    assert found == [
        "o.yaml:3:3: server.port: expected a whole number, got text",
        "o.yaml:4:12: server.limits.tasks: expected at least 1, got 0",
        "o.yaml:5:1: tags.Choices[0].options.device: expected text, got a number; put it in quotes",
    ]
    [warning] = load("label_studio: {api_key: sesame}\n").warnings
    assert str(warning).startswith("o.yaml:1:16: label_studio.api_key: a secret in the file; ")
    assert problems(load, "server: [\n")[0].startswith("o.yaml:2:1: an open quote or bracket")
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "r.yaml", {"LSML_OVERRIDE": "nowhere.yaml"})
    assert str(caught.value) == (
        "nowhere.yaml:1:1: cannot be read: No such file or directory; --override names a YAML file"
    )


def test_a_secret_may_be_in_a_file_that_the_environment_names(load, tmp_path):
    (tmp_path / "token").write_text("sesame\n")
    file = str(tmp_path / "token")
    assert load(TOKEN_FILE=file).label_studio.api_key == "sesame"
    assert load(TOKEN="own", TOKEN_FILE=file).label_studio.api_key == "own"
    assert load(TOKEN="", TOKEN_FILE=file).label_studio.api_key == "sesame"
    assert load(LABEL_STUDIO_API_KEY_FILE=file).label_studio.api_key == "sesame"


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file or directory"), (b"\xff", "it is not UTF-8"), (b"a" * 70_000, "it is larger than 64 KiB")],
)  # fmt: skip
def test_a_file_of_a_secret_that_cannot_be_read_is_named_by_its_variable(load, tmp_path, content, why):
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    for variable, where in (("TOKEN", "r.yaml:5:39"), ("LABEL_STUDIO_API_KEY", "r.yaml:5:1")):
        [problem] = problems(load, "", **{f"{variable}_FILE": str(tmp_path / "token")})
        assert problem == (
            f"{tmp_path}/{where}: label_studio.api_key: the file in the environment variable {variable}_FILE cannot "
            f"be read: {why}"
        )


def test_every_verb_takes_an_override(load, tmp_path):
    load("server: {port: 1}\nstorage: {directory: elsewhere}\n")
    for verb in (["validate"], ["explain"], ["versions"]):
        said(lsml(*verb, "r.yaml", "--override", "o.yaml", cwd=tmp_path))
    assert (tmp_path / "elsewhere" / "triage").is_dir()
    (tmp_path / "o.yaml").write_text("score: margin\n")
    told = refused(lsml("validate", "r.yaml", "--override", "o.yaml", cwd=tmp_path))
    assert told.endswith(
        "o.yaml:1:1: score: belongs in the recipe; an override may only have label_studio, server, storage, device"
    )
    assert refused(lsml("validate", "r.yaml", cwd=tmp_path, environment={"LSML_OVERRIDE": "o.yaml"})) == told
