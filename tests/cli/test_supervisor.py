"""The environment of the processes of `lsml run`."""

import sys

import pytest

from lsml.cli.screen import Screen
from lsml.cli.supervisor import Child


@pytest.mark.parametrize(("own", "expected"), [(None, "2"), ("7", "7")])
def test_children_have_few_arenas_of_memory_unless_the_user_sets_them(tmp_path, monkeypatch, own, expected):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    if own is not None:
        monkeypatch.setenv("MALLOC_ARENA_MAX", own)
    told = tmp_path / "told"
    code = f"import os, pathlib; pathlib.Path({str(told)!r}).write_text(os.environ['MALLOC_ARENA_MAX'])"
    child = Child("server", [sys.executable, "-S", "-c", code], tmp_path / "ready", Screen(live=False))
    child.start()
    assert child.process is not None and child.process.wait(timeout=60) == 0
    assert told.read_text() == expected
