"""What shells complete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lsml.cli import GROUPS, VERBS, main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_lsml(shell):
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert f"_LSML_COMPLETE={shell}_complete" in result.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("lsml val", ["validate"]),
        ("lsml new senti", ["sentiment", "sentiment-transformers"]),
        ("lsml adapters text-c", ["text-classifier"]),
        ("lsml status --wa", ["--watch"]),
    ],
)
def test_commands_options_recipes_and_adapters_are_completed(words: str, expected: list[str], tmp_path: Path):
    environment = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_LSML_COMPLETE": "bash_complete"}
    program = Path(sys.executable).with_name("lsml")
    done = subprocess.run([program], env=os.environ | environment, capture_output=True, text=True, cwd=tmp_path)
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == expected, done.stderr


def test_help_groups_every_command_once():
    listed = [verb for verbs in GROUPS.values() for verb in verbs]
    assert len(listed) == len(set(listed)) == len(VERBS)
    told = CliRunner().invoke(main, ["--help"]).output
    for title, verbs in GROUPS.items():
        assert f"{title}:\n" in told
        assert all(f"  {verb}  " in told for verb in verbs)
