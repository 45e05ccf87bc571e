"""What the tests of a module share: a real Label Studio, and a browser that is signed in to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.browser import Editor, require_browser
from tests.support.label_studio import RealLabelStudio


@pytest.fixture(scope="module")
def browser() -> None:
    """Skips where there is no browser: before a Label Studio starts, in modules that use it by a mark."""
    require_browser()


@pytest.fixture(scope="module")
def studio() -> Iterator[RealLabelStudio]:
    """A Label Studio without projects."""
    with RealLabelStudio() as running:
        yield running


@pytest.fixture(scope="module")
def editor(studio: RealLabelStudio) -> Iterator[Editor]:
    """Its editor, in a browser."""
    with Editor(studio) as opened:
        yield opened
