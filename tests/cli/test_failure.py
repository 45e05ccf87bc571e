"""How an error ends a command: plain lines in a pipe, the wrong line and a caret at a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="a terminal is made as POSIX has it")

RECIPE = """lsml: 1
name: x
tags:
  Choices: {adapter: text-classifier, thrshold: 3}
label_studio: {api_key: abcdef123456, urll: http://localhost}
"""


def at_a_terminal(*arguments: str, **environment: str) -> str:
    """What lsml writes to a terminal on standard error."""
    ours, theirs = pty.openpty()
    known = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment
    process = subprocess.Popen([sys.executable, "-m", "lsml", *arguments], stderr=theirs, stdout=theirs, env=known)
    os.close(theirs)
    told = b""
    while True:
        try:
            part = os.read(ours, 10_000)
        except OSError:
            break
        if not part:
            break
        told += part
    assert process.wait(timeout=60) == 2
    os.close(ours)
    return told.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_terminal_shows_the_line_and_a_caret_but_no_line_that_may_hold_a_secret(tmp_path: Path):
    path = tmp_path / "wrong.yaml"
    path.write_text(RECIPE)
    told = at_a_terminal("validate", str(path))
    assert "\x1b[" in told
    assert plain(told) == (
        f"{path}:4:39: tags.Choices.thrshold: unknown key; did you mean `threshold`?\n"
        "4 |   Choices: {adapter: text-classifier, thrshold: 3}\n"
        "  |                                       ^\n"
        "\n"
        f"{path}:5:39: label_studio.urll: unknown key; did you mean `url`?\n"
    )
    assert at_a_terminal("validate", str(path), NO_COLOR="1") == plain(told)


def test_a_pipe_gets_a_line_for_each_problem(tmp_path: Path):
    path = tmp_path / "wrong.yaml"
    path.write_text(RECIPE)
    done = subprocess.run([sys.executable, "-m", "lsml", "validate", str(path)], capture_output=True, text=True)
    assert done.stderr.splitlines() == [
        f"{path}:4:39: tags.Choices.thrshold: unknown key; did you mean `threshold`?",
        f"{path}:5:39: label_studio.urll: unknown key; did you mean `url`?",
    ]


def test_other_errors_and_labeling_configs(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text("lsml: 1\nname: x\ntags: {Choices: text-classifier}\n")
    (tmp_path / "config.xml").write_text('<View>\n  <Text name="t" value="$t">\n</View>\n')
    recipe, config = str(tmp_path / "recipe.yaml"), str(tmp_path / "config.xml")
    told = plain(at_a_terminal("validate", recipe, "--labeling-config", config))
    assert told.startswith(f"{config}:3:")
    assert "\n3 | </View>\n" in told
    assert plain(at_a_terminal("validate", str(tmp_path / "none.yaml"))).startswith(f"{tmp_path / 'none.yaml'}")
