"""README.md says what is true: its commands, its recipes, and the answer that it promises; so do the pages under docs/."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from lsml.cli import VERBS
from lsml.recipe import load_recipe
from lsml.recipe.gallery import gallery_recipes
from tests.conftest import REPOSITORY
from tests.support import catalogue
from tests.support.backend import RunningBackend
from tests.support.readme import BEGIN, END, REFERENCE, recipe_reference, with_reference

TEXT = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGE = REFERENCE.read_text(encoding="utf-8")
COMMANDS = (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8")
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
RECIPES = [body for language, body in BLOCKS if language == "yaml"]


def block_after(comment: str) -> str:
    """The code block under an HTML comment."""
    found = re.search(rf"^<!-- {comment} -->\n```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no code block under <!-- {comment} -->"
    return found[1]


def test_the_recipe_reference_is_current():
    assert with_reference(PAGE) == PAGE, "write it anew: python -m tests.support.readme"


def test_the_pages_on_adapters_and_the_gallery_are_current():
    page = catalogue.ADAPTERS.read_text(encoding="utf-8")
    assert catalogue.with_adapters(page) == page, "write it anew: python -m tests.support.readme"
    written = {path: path.read_text(encoding="utf-8") for path in (REPOSITORY / "docs" / "gallery").glob("*.md")}
    assert catalogue.gallery_pages() == written, "write them anew: python -m tests.support.readme"


def test_every_recipe_of_the_gallery_has_a_small_picture():
    pictures = {path.stem: path for path in (REPOSITORY / "docs" / "pictures").glob("gallery-*")}
    assert set(pictures) == {f"gallery-{name}" for name in gallery_recipes()}, "see python -m tests.support.pictures"
    assert [name for name, path in pictures.items() if path.stat().st_size > 40_000] == []


def test_the_reference_stands_between_its_markers_once():
    assert PAGE.count(BEGIN) == PAGE.count(END) == 1
    assert PAGE.index(BEGIN) < PAGE.index(END)
    assert "| key | values |" not in TEXT


def test_writing_the_reference_twice_changes_nothing_and_keeps_all_else():
    around = f"before\n\n{BEGIN}\nold\n{END}\nafter\n"
    once = with_reference(around)
    assert once == with_reference(once)
    assert once.startswith(f"before\n\n{BEGIN}\n") and once.endswith(f"{END}\nafter\n") and "\nold\n" not in once


def test_the_reference_names_every_key_of_the_committed_schema():
    schema = json.loads((REPOSITORY / "schemas" / "recipe.schema.json").read_text(encoding="utf-8"))
    rows = set(re.findall(r"^\| `([^`]+)` \|", recipe_reference(), re.MULTILINE))
    definitions = [one for one in schema["$defs"].values() if "properties" in one]
    assert rows == {key for one in [schema, *definitions] for key in one["properties"]}


def test_every_row_of_the_reference_has_four_cells_and_a_description():
    rows = [line for line in recipe_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    for row in rows:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        assert len(cells) == 4 and cells[1] and cells[3], row


def test_the_command_table_names_exactly_the_verbs():
    table = re.search(r"^\| command \| does \|\n\|---\|---\|\n((?:\|.*\n)+)", COMMANDS, re.MULTILINE)
    assert table
    named = re.findall(r"`lsml ([a-z]+)", "\n".join(row.split("|")[1] for row in table[1].splitlines()))
    assert sorted(named) == sorted(VERBS)


def test_the_readme_is_read_in_five_minutes():
    assert len(TEXT.splitlines()) <= 150


def test_the_pictures_are_small_and_each_is_shown():
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in (REPOSITORY / "docs" / "pictures").iterdir():
        assert picture.name in shown
        assert picture.stat().st_size < 200_000, picture.name


def named(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_that_a_page_shows_exists(page):
    assert set(re.findall(r"`lsml ([a-z]+)", page.read_text(encoding="utf-8"))) <= set(VERBS)


@pytest.mark.parametrize("text", RECIPES, ids=[f"block {number}" for number, _ in enumerate(RECIPES, 1)])
def test_every_yaml_block_is_a_recipe_that_loads_without_warnings(text, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_recipe(path).warnings == ()


@pytest.mark.parametrize("comment", ["first command", "second command"])
def test_each_of_the_two_commands_is_one_line(comment):
    assert len(block_after(comment).splitlines()) == 1


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_a_page_links_is_there(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_first_command_teaches_a_model_that_answers_the_curl(tmp_path):
    *_, install, train, run = block_after("first command").strip().split(" && ")
    assert install == ".venv/bin/pip install ."
    program, verb, *arguments = shlex.split(train)
    assert (program, verb) == (".venv/bin/lsml", "train")
    data = tmp_path / "data"
    subprocess.run(
        [sys.executable, "-m", "lsml", verb, *arguments, "--data-dir", str(data)],
        cwd=REPOSITORY, check=True, capture_output=True,
    )  # fmt: skip
    program, verb, recipe = shlex.split(run)
    assert (program, verb) == (".venv/bin/lsml", "run")

    curl = shlex.split(block_after("ask"))
    assert curl[:3] == ["curl", "-s", "http://127.0.0.1:9090/predict"]
    assert load_recipe(REPOSITORY / recipe).server.port == 9090
    name, _, value = curl[curl.index("-H") + 1].partition(": ")
    with RunningBackend(REPOSITORY / recipe, data) as backend:
        asked = {"content": curl[curl.index("-d") + 1], "headers": {name: value}}
        answer = httpx.post(f"{backend.address}/predict", **asked, timeout=60, trust_env=False)
    assert answer.status_code == 200
    [prediction] = answer.json()["results"]
    [region] = prediction["result"]
    assert region["value"] == {"choices": ["Positive"]}
    assert 0 < prediction["score"] <= 1
    assert re.fullmatch(r"sentiment-v1-[0-9a-f]{8}", prediction["model_version"])


def test_the_changelog_has_a_place_for_what_is_not_released():
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## Unreleased$", changelog, re.MULTILINE)
