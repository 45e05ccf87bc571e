"""The common part of the suite: the case, a fresh process, and the comparison of predictions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import ClassVar

from lsml.testing.case import AdapterCase
from lsml.testing.compare import alike
from lsml.values import Value


class Suite:
    """Checks of one case."""

    case: ClassVar[AdapterCase]

    def fresh(self, code: str, given: str = "") -> str:
        """Return the output of `code` in a new interpreter."""
        setup = f"import sys; sys.path[:0] = {[*self.case.path, *sys.path]!r}\n"
        done = subprocess.run(
            [sys.executable, "-c", setup + code], input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def same(self, found: Sequence[Sequence[Value]], expected: Sequence[Sequence[Value]], message: str) -> None:
        """Assert that two lists of predictions are alike, scores within the tolerance of the case."""
        assert len(found) == len(expected), message
        for ours, theirs in zip(found, expected, strict=True):
            assert len(ours) == len(theirs), f"{message}: {ours} and {theirs}"
            for one, other in zip(ours, theirs, strict=True):
                assert self._close(one, other), f"{message}: {one} and {other}"

    def _close(self, one: Value, other: Value) -> bool:
        return alike(one, other, self.case.tolerance, exactly=True)
