"""relations: which regions belong together and how, by a linear model on pairs of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from lsml.adapters.base import TRAINING, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.parts.linear_head import ClassWeight, Closeness, LabelledExamples, LinearHead
from lsml.adapters.parts.pairs import Pair, Scene
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.errors import NotEnoughData
from lsml.values import Relation, Value

if TYPE_CHECKING:
    from lsml.arrays import Rows

_MOST_FEATURES: Final = 30_000  # the most frequent ones
_LEAST_PAIRS: Final = 2  # with a feature that is learnt
_NONE: Final = "-"  # the answer for two regions that are not related; a relation's is "=" and its label
_LEAST: Final = 0.01  # the least probability of a relation that is returned
_MARGIN: Final = 1.5  # of the window `auto`, beyond the longest annotated relation
_LEAST_WINDOW: Final = 10


class RelationsOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `relations`."""

    window: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)] | Literal["auto"],
        Meta(
            description="The most words between two spans that may be related. auto: half as many again as in the longest "
            "annotated relation, and at least 10. Of shapes, the 12 nearest to each one are looked at.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a whole number from 0 to 10000, or auto"},
        ),
    ] = "auto"
    C: Closeness = "auto"
    class_weight: ClassWeight = "none"


class RelationsAdapter(TrainableAdapter[RelationsOptions]):
    """Relations of the regions of a task. It returns the likeliest label of each pair, with its probability."""

    name: ClassVar[str] = "relations"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn)"
    title: ClassVar[str] = "relations of spans or boxes that another model finds, learnt from annotated ones in seconds"
    consumes: ClassVar[frozenset[str]] = frozenset({"Text", "HyperText", "Paragraphs", "Image"})
    produces: ClassVar[frozenset[type]] = frozenset({Relation})
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "skops")
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = RelationsOptions

    def __init__(self, options: RelationsOptions, target: Target) -> None:
        super().__init__(options, target)
        self._head: LinearHead | None = None
        self._features: dict[str, int] = {}  # name -> column
        self._window = 0

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._head is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """The window."""
        return (f"looks for relations of spans with at most {self._window} words between them",)

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Learn from tasks (`Marked`) and their relations; pairs in the window without a relation are unrelated.

        Raises NotEnoughData without a relation, or without anything else.
        """
        told = [(scene := Scene(example.data), self._related(scene, example)) for example in examples]
        tasks = sum(bool(related) for _, related in told)
        if tasks < 2:
            raise NotEnoughData(
                f"{tasks} task{'' if tasks == 1 else 's'} with a relation; draw some from one region to another in at least two"
            )
        longest = max((pair.apart for _, related in told for pair in related), default=0)
        window = max(_LEAST_WINDOW, round(_MARGIN * longest)) if self.options.window == "auto" else self.options.window
        progress(0.1, f"looking at the pairs of {len(told)} tasks")
        pairs = [(scene, {**dict.fromkeys(scene.pairs(window), _NONE), **related}) for scene, related in told]
        answers = [answer for _, answered in pairs for answer in answered.values()]
        labels = sorted(set(answers))
        if len(labels) < 2:
            raise NotEnoughData("every pair of regions is related, and alike; annotate tasks where some are not")
        named = [set(scene.features(pair)) for scene, answered in pairs for pair in answered]
        self._features = _frequent(named)
        rows = _rows(named, self._features)

        def fitting(share: float, message: str) -> None:
            progress(0.3 + 0.7 * share, message)

        learnt = LabelledExamples(list(range(len(answers))), [(answer,) for answer in answers], labels)
        self._head = LinearHead.fit(rows, learnt, multiple=False, options=self.options, seed=seed, progress=fitting)
        self._window = window
        progress(1.0, f"learnt {len(labels) - (_NONE in labels)} labels from {len(answers)} pairs")

    def _related(self, scene: Scene, example: Example) -> dict[Pair, str]:
        """Return the answer for each annotated pair of an example, whose label the target has."""
        allowed = set(self.target.labels) or {""}
        indices = {id: index for index, id in enumerate(example.data.ids)}
        related = {}
        for value in example.values:
            if not isinstance(value, Relation) or not {value.source, value.target} <= indices.keys():
                continue
            if value.label in allowed or self.target.open:
                related[scene.pair(indices[value.source], indices[value.target])] = f"={value.label}"
        return related

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return the relations of each task (`Marked`), the likeliest label of each pair."""
        if self._head is None:
            return [[] for _ in batch]
        pairs = [(scene := Scene(marked), scene.pairs(self._window)) for marked in batch]
        named = [set(scene.features(pair)) for scene, some in pairs for pair in some]
        told = iter(self._head.values(_rows(named, self._features)) if named else ())
        found: list[list[Value]] = []
        for marked, (_, some) in zip(batch, pairs, strict=True):
            own: list[Value] = []
            for pair in some:
                likely = [(choice.score or 0.0, choice.label) for choice in next(told) if choice.label != _NONE]
                score, label = max(likely)
                if score >= _LEAST:
                    own.append(Relation(marked.ids[pair.source], marked.ids[pair.target], label[1:], score))
            found.append(own)
        return found

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays."""
        assert self._head is not None, "an untrained model is never saved"
        save_state(directory, {**self._head.state(), "window": self._window, "features": list(self._features)})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            features = {str(name): column for column, name in enumerate(state["features"])}
            head, window = LinearHead.restore(state, len(features)), int(state["window"])
            if not set(head.labels) - {_NONE}:
                raise ValueError("it knows no relation")
        self._head, self._features, self._window = head, features, window


def _frequent(named: Sequence[Set[str]]) -> dict[str, int]:
    """Return the features of several pairs, each with its column; all of them where no two pairs have one in common."""
    counts = Counter(name for names in named for name in names)
    most = sorted(counts, key=lambda name: (-counts[name], name))[:_MOST_FEATURES]
    kept = [name for name in most if counts[name] >= _LEAST_PAIRS] or most
    return {name: column for column, name in enumerate(kept)}


def _rows(named: Sequence[Set[str]], features: Mapping[str, int]) -> Rows:
    """Return (pairs, features) of length 1."""
    import numpy as np
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize

    columns = [sorted(features[name] for name in names if name in features) for names in named]
    ends = np.cumsum([0, *map(len, columns)])
    flat = np.array([column for some in columns for column in some], dtype=np.int32)
    return normalize(csr_matrix((np.ones(len(flat)), flat, ends), shape=(len(named), len(features))))
