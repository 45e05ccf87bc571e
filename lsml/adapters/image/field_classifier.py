"""field-classifier: what each line of text on a page is, from what it says, where it stands, and what stands beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from lsml.adapters.base import Data, Example, PageRegion, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.linear_head import ClassWeight, Closeness, LinearHead, labelled
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.values import Box, Choice, Value

if TYPE_CHECKING:
    from lsml.arrays import Rows

_WIDTH: Final = 1 << 12  # the number of hashed features
_COLUMNS: Final = 6  # parts of a page, for the place of a line
_ROWS: Final = 10
_WORD: Final = re.compile(r"\w+|[^\w\s]")
_FAR: Final = 99.0


class FieldClassifierOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `field-classifier`."""

    C: Closeness = 10.0
    class_weight: ClassWeight = "none"


class FieldClassifier(TrainableAdapter[FieldClassifierOptions]):
    """One label or several for a line of a page. It predicts every label of its training with its probability."""

    name: ClassVar[str] = "field-classifier"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn)"
    title: ClassVar[str] = "fields of pages, such as the total of an invoice, trained on a few pages in seconds"
    consumes: ClassVar[frozenset[str]] = frozenset({"Image"})
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    reads_regions: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "skops")
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = FieldClassifierOptions

    def __init__(self, options: FieldClassifierOptions, target: Target) -> None:
        super().__init__(options, target)
        self._head: LinearHead | None = None

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._head is not None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on lines of pages and their choices. Raises NotEnoughData unless two different labels occur."""
        learnt = labelled(examples, self.target, "regions")
        progress(0.0, f"reading {len(learnt.indices)} regions")
        rows = _rows([examples[index].data for index in learnt.indices])

        def fitting(share: float, message: str) -> None:
            progress(0.2 + 0.8 * share, message)

        self._head = LinearHead.fit(
            rows, learnt, multiple=self.target.multiple, options=self.options, seed=seed, progress=fitting
        )
        progress(1.0, f"trained {len(learnt.labels)} labels on {len(learnt.indices)} regions")

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return every known label with its probability, for each line; labels in alphabetical order."""
        if self._head is None or not batch:
            return [[] for _ in batch]
        return self._head.values(_rows(batch))

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return the features of these lines that the classifier uses."""
        return _rows(batch)

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays."""
        assert self._head is not None, "an untrained model is never saved"
        save_state(directory, self._head.state())

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            self._head = LinearHead.restore(state, _WIDTH)


def _rows(batch: Sequence[PageRegion]) -> Rows:
    """Return an array (lines, features), each row of length 1."""
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.preprocessing import normalize

    hasher = FeatureHasher(_WIDTH, input_type="string")
    return normalize(hasher.transform([list(_features(one)) for one in batch]))


def _features(region: PageRegion) -> Iterator[str]:
    """Yield the names of the features that a line has."""
    own, others = region.boxes[region.place], region.boxes
    text = (own.text or "").casefold()
    yield "always"
    yield f"text {text}"
    yield f"shape {_shape(text)}"
    yield f"long {_shape(text, runs=False)}"
    for word in _WORD.findall(text):
        yield f"word {_shape(word) if word.isdigit() else word}"
    padded = f"^{re.sub('[0-9]', '0', text)}$"
    yield from {f"part {padded[start : start + 3]}" for start in range(len(padded) - 2)}
    x, y, width, height = _middle(own)
    column, row = int(_COLUMNS * x), int(_ROWS * y)
    yield from (f"column {column}", f"row {row}", f"cell {column} {row}", f"wide {int(8 * width)}")
    usual = sorted(box.height for box in others)[len(others) // 2]
    yield f"high {round(2 * height / usual)}"
    order = sorted(range(len(others)), key=lambda at: (_middle(others[at])[1], _middle(others[at])[0])).index(
        region.place
    )
    yield from (f"from the top {min(order, 8)}", f"from the bottom {min(len(others) - 1 - order, 8)}")
    for side, beside in _beside(own, others).items():
        said = re.sub("[0-9]+", "0", (beside.text or "").casefold()) if beside else "nothing"
        yield f"{side} {said}"
        yield f"{side} {said} of {_shape(text)}"
        for word in _WORD.findall(said):
            yield f"{side} word {word}"
            yield f"{side} word {word} of {_shape(text)}"


def _beside(own: Box, others: Sequence[Box]) -> dict[str, Box | None]:
    """Return the nearest lines: left and right in the same row, above and below in the same column."""
    x, y, width, height = _middle(own)
    nearest: dict[str, tuple[float, Box | None]] = dict.fromkeys(("left", "right", "above", "below"), (_FAR, None))
    for other in others:
        if other is own:
            continue
        their_x, their_y, their_width, their_height = _middle(other)
        across, down = their_x - x, their_y - y
        if abs(down) < (height + their_height) / 3:
            side = "left" if across < 0 else "right"
            gap = abs(across) - (width + their_width) / 2
        elif abs(across) < (width + their_width) / 2:
            side = "above" if down < 0 else "below"
            gap = abs(down)
        else:
            continue
        if gap < nearest[side][0]:
            nearest[side] = gap, other
    return {side: box for side, (_, box) in nearest.items()}


def _middle(box: Box) -> tuple[float, float, float, float]:
    """Return (x, y) of a box's centre, its width and height, without its rotation."""
    return box.x + box.width / 2, box.y + box.height / 2, box.width, box.height


def _shape(text: str, *, runs: bool = True) -> str:
    """Return a text with `0` for each digit and `a` for each letter; `runs`: with runs of the same character as one."""
    shape = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "0", text))
    return re.sub(r"(.)\1+", r"\1", shape) if runs else shape
