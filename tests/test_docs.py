"""What the pages show works: each recipe validates, each command of lsml has the options that are named, and one for each pain is there."""

from __future__ import annotations

import html
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module

import click
import pytest

from benchmarks.plots import PAGE, PLOTS, table
from lsml.cli import VERBS
from lsml.recipe import load_recipe
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(path for path in DOCS.rglob("*.md") if path.parent.name != "adr")]
BLOCKS = [
    (path.relative_to(REPOSITORY).as_posix(), language, body)
    for path in PAGES
    for language, body in re.findall(
        r"^```(\w+)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
]
# The gallery's recipes have tests of their own.
RECIPES = [(page, body) for page, language, body in BLOCKS if language == "yaml" and "/gallery/" not in page]
# A part of a recipe is shown where the rest does not matter; this is the rest.
_REST = {"lsml:": "lsml: 1\n", "name:": "name: shown\n", "tags:": "tags: {Choices: text-classifier}\n"}


def commands() -> list[tuple[str, str]]:
    """(page, command line of lsml): the lines of shell blocks, and code within sentences that has no gaps to fill."""
    found = []
    for page, language, body in BLOCKS:
        if language == "sh":
            lines = body.replace("\\\n", " ").splitlines()
            found += [(page, part.strip()) for line in lines for part in line.split("&&")]
    for path in PAGES:
        name = path.relative_to(REPOSITORY).as_posix()
        text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        found += [(name, " ".join(code.split())) for code in re.findall(r"`([^`]+)`", text)]
    lsml = re.compile(r"^(?:\.venv/bin/)?lsml (?=[a-z])")
    return sorted(
        {(page, lsml.sub("", line)) for page, line in found if lsml.match(line) and not re.search(r"\.\.\.|\[", line)}
    )


@pytest.mark.parametrize(
    ("page", "text"), RECIPES, ids=[f"{page}-{number}" for number, (page, _) in enumerate(RECIPES)]
)
def test_every_recipe_and_every_part_of_one_loads_without_warnings(page, text, tmp_path, monkeypatch):
    for name in re.findall(r"\$\{(\w+)\}", text):
        monkeypatch.setenv(name, "what-the-reader-has")
    lines = text.splitlines()
    rest = "".join(part for key, part in _REST.items() if not any(line.startswith(key) for line in lines))
    path = tmp_path / "recipe.yaml"
    path.write_text(rest + text, encoding="utf-8")
    assert load_recipe(path).warnings == ()


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_of_lsml_has_the_options_that_a_page_names(page, line):
    verb, *arguments = shlex.split(line)
    assert verb in VERBS
    command = import_module(f"lsml.cli.{VERBS[verb][0]}").command
    context = click.Context(command)
    given, unknown, order = command.make_parser(context).parse_args(list(arguments))
    assert not unknown
    for parameter in order:
        value = given.get(parameter.name)
        # A word in capitals stands for what the reader has.
        if isinstance(value, str) and not value.isupper() and not isinstance(parameter.type, click.Path | click.File):
            parameter.type_cast_value(context, value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["texts", "entities", "images"])
def test_the_commands_of_a_tutorial_run_one_after_the_other(name, tmp_path):
    shutil.copytree(REPOSITORY / "recipes" / "examples", tmp_path / "recipes" / "examples")
    program = tmp_path / "bin" / "lsml"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lsml "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    text = (DOCS / "tutorial" / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^<!-- run -->\n```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "LSML_PORT": "0"}
    ran = subprocess.run(
        ["bash", "-e", "-c", "\n".join(blocks)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # What the page shows of the output.
    for shown in re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        assert shown in ran.stdout


def test_each_pain_has_a_page_titled_by_its_question():
    pages = [path for path in (DOCS / "how-to").glob("*.md") if path.name != "README.md"]
    assert len(pages) == 25
    index = (DOCS / "how-to" / "README.md").read_text(encoding="utf-8")
    for path in pages:
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert title.endswith("?")
        assert f"[{title}]({path.name})" in index
        assert "```" in path.read_text(encoding="utf-8") or "There is nothing to set" in path.read_text(
            encoding="utf-8"
        )


def test_each_example_of_the_other_backend_has_a_recipe_or_a_sentence_why_not():
    text = (DOCS / "coming-from-label-studio-ml-backend.md").read_text(encoding="utf-8")
    examples = re.split(r"^### ", text.partition("## Which test shows what")[0], flags=re.MULTILINE)[1:]
    assert len(examples) == 26
    for example in examples:
        assert "```yaml" in example or re.search(r"\b(Not yet|None)\b", example), example


def test_the_changelog_holds_no_debris_of_merges():
    lines = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    unreleased = lines[lines.index("## Unreleased") :]
    for number, line in enumerate(unreleased[1:-1], 1):
        before, after = unreleased[number - 1], unreleased[number + 1]
        assert not line.startswith("#") or before == after == "", f"blank lines belong around {line!r}"
        assert line or not (before[:2] in ("- ", "  ") and after.startswith("- ")), f"no blank line before {after!r}"
    entries = [line for line in unreleased if line.startswith("- ")]
    assert len(entries) == len(set(entries)), "an entry is there twice"
    headings = [line for line in unreleased if line.startswith("#### ")]
    assert len(headings) == len(set(headings)), "a heading is there twice"


def test_each_test_that_the_table_of_the_incumbents_examples_names_is_there():
    page = (REPOSITORY / "docs" / "coming-from-label-studio-ml-backend.md").read_text(encoding="utf-8")
    rows = [line for line in page.partition("## Which test shows what")[2].splitlines() if line.startswith("| `")]
    examples = {row.split("`")[1] for row in rows}
    # docling serves an interface that only Label Studio Enterprise has.
    assert examples == set(re.findall(r"^### ([a-z0-9_-]+)$", page, re.MULTILINE)) - {"docling"}
    for row in rows:
        _, _, _, lsml, tests = (cell.strip() for cell in row[1:-1].split("|"))
        named = re.findall(r"`([a-z_/]+\.py)::(test_[a-z0-9_]+)`", tests)
        assert named or lsml == "**not there**", row
        for path, name in named:
            assert f"\ndef {name}(" in (REPOSITORY / "tests" / path).read_text(encoding="utf-8"), f"{path}::{name}"


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.file)
def test_a_plot_of_the_performance_shows_the_figures_of_the_table_above_it(plot):
    drawn = (DOCS / plot.file).read_text(encoding="utf-8")
    rows = table(plot)
    assert rows
    for name, figures in rows.items():
        assert all(
            f">{one}<" in drawn
            for one in (html.escape(name, quote=False), *(f" {one.split(' (')[0]}" for one in figures))
        )
    below = re.escape(plot.columns) + r"[^\n]*\n(\|[^\n]*\n)+\n!\[[^\]]+\]\(" + re.escape(plot.file)
    assert re.search(below, PAGE.read_text(encoding="utf-8")), "it stands right below its table"
