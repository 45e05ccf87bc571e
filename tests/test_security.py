"""docs/security.md promises nothing without naming a test that there is."""

import ast
import re

import pytest

from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED}))
def test_every_test_that_the_page_names_exists(path):
    module = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    there = {node.name for node in ast.walk(module) if isinstance(node, ast.FunctionDef)}
    assert {name for of, name in NAMED if of == path} <= there


def test_every_promise_names_a_test():
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("|") and line not in ("|---|---|", "| promise | shown by |")
    ]
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"\| `tests/[\w/]+\.py::\w+`[^|]*\|$", row)] == []
