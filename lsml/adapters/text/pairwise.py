"""pairwise: which of two texts or images people prefer, or in which order they put several, trained on their comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, TEXTS, Data, Example, Progress, Target, TrainableAdapter, silent
from lsml.adapters.image.features import ImageFeatures, ImageOptions
from lsml.adapters.parts.linear_head import Closeness, LabelledExamples, LinearHead
from lsml.adapters.parts.preference_head import PreferenceHead, PreferredItem
from lsml.adapters.parts.state import load_state, restoring, save_state
from lsml.adapters.parts.text_features import TextFeatures, TextOptions
from lsml.errors import AdapterError, NotEnoughData, VersionError
from lsml.labeling.items import Items
from lsml.values import UNPICKED, Choice, Ranking, Value

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from lsml.adapters.parts.state import State
    from lsml.arrays import Rows


_MOST_PAIRS: Final = 200  # of one task


class PairwiseOptions(TextOptions, frozen=True, forbid_unknown_fields=True):
    """Settings of `pairwise`."""

    C: Closeness = "auto"
    encoder: Annotated[
        str | None,
        Meta(
            description="For images: a vision model of transformers whose features are used, as its folder, relative to the "
            "recipe's, or its name if it was downloaded before. null: colours and edges, which need no weights.",
            extra={**PREDICTIONS, "file": True, "hub": True},
        ),
    ] = None


class TextPairwise(TrainableAdapter[PairwiseOptions]):
    """The probability of each of two items to be the one that people prefer; of a list its order, and the bucket of each item.

    Its features are n-grams and the length of each text, or the features of each image. It does not see what else the task
    shows, such as a prompt.
    """

    name: ClassVar[str] = "pairwise"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn)"
    title: ClassVar[str] = (
        "which text or image people prefer of two, and the order of several, trained on their comparisons"
    )
    consumes: ClassVar[frozenset[str]] = TEXTS | {"Image", "List"}
    produces: ClassVar[frozenset[type]] = frozenset({Choice, Ranking})
    compares: ClassVar[bool] = True
    only_compares: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "skops")
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = PairwiseOptions

    def __init__(self, options: PairwiseOptions, target: Target) -> None:
        super().__init__(options, target)
        self._features: _Texts | _Images | None = None
        self._head: PreferenceHead
        self._sorting: LinearHead | None = None

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._features is not None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on items and the choice of one of them, or their ranking. Raises NotEnoughData with fewer than two tasks,
        or where nothing in them is preferred.
        """
        told = [(example.data, ranking) for example in examples if (ranking := _ranking(example)) is not None]
        if len(told) < 2:
            raise NotEnoughData(f"{len(told)} comparisons have an answer; annotate at least two")
        seen = [items for items, _ in told]
        pictured = {bool(items.paths) for items in seen}
        if len(pictured) > 1:
            raise AdapterError("some tasks compare texts and others images; make a project for each")
        progress(0.05, f"reading {len(seen)} comparisons")
        features, rows = (_Images if pictured.pop() else _Texts).learnt(self.options, seen)
        comparisons, groups = _comparisons(told, seed), _groups(told)
        if len(comparisons) < 2 and len(groups.labels) < 2:
            raise NotEnoughData("no item is preferred to another of its task; annotate more")
        progress(0.3, f"fitting {len(comparisons)} comparisons")
        if len(comparisons) < 2:
            self._head = PreferenceHead.indifferent(rows.shape[1])
        else:
            self._head = PreferenceHead.fit(rows, comparisons, self.options.C, seed)
        self._sorting = None
        if len(groups.labels) > 1:
            sorting = _Sorting(self.options.C)
            self._sorting = LinearHead.fit(
                rows[groups.indices], groups, multiple=False, options=sorting, seed=seed, progress=silent
            )
        self._features = features
        progress(1.0, f"trained on {len(told)} comparisons")

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return for each Items the probability of each name to be preferred; where a Ranker is asked, a ranking. What
        learnt images says nothing of texts, nor the reverse.
        """
        features, pictured = self._features, isinstance(self._features, _Images)
        known = [items for items in batch if bool(items.paths) == pictured]
        if features is None or not known:
            return [[] for _ in batch]
        answered = iter(self._answers(features, known))
        return [next(answered) if bool(items.paths) == pictured else [] for items in batch]

    def _answers(self, features: _Texts | _Images, batch: Sequence[Items]) -> list[list[Value]]:
        rows = features.rows(batch)
        worths = self._head.worths(rows).tolist()
        sorted_into = self._sorting.values(rows) if self._sorting is not None else None
        answers: list[list[Value]] = []
        start = 0
        for items in batch:
            end = start + len(items.names)
            if "ranking" in self.target.kinds:
                groups = [one.surest for one in sorted_into[start:end]] if sorted_into is not None else []
                answers.append([_ranked(items, worths[start:end], groups, self.target.labels)])
            else:
                answers.append(_probabilities(items, worths[start:end]))
            start = end
        return answers

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays."""
        assert self._features is not None, "an untrained model is never saved"
        sorting = self._sorting.state() if self._sorting is not None else {}
        save_state(directory, {**self._head.state(), **self._features.state(), "sorting": sorting})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        state = load_state(directory, self.name)
        with restoring(directory, self.name):
            features = _Texts.restore(state) if "features" in state else _Images(self.options)
            width = len(state["weights"]) if isinstance(features, _Images) else features.width
            head = PreferenceHead.restore(state, width)
            sorting = LinearHead.restore(state["sorting"], width) if state["sorting"] else None
        if isinstance(features, _Images) and features.state() != {"encoder": str(state["encoder"])}:
            raise VersionError(
                f"{directory}: was trained with another encoder than {self.options.encoder}; train again"
            )
        self._features, self._head, self._sorting = features, head, sorting


class _Texts:
    """Items as rows of n-grams, and of the length of each text."""

    def __init__(self, features: TextFeatures) -> None:
        self._features = features

    @property
    def width(self) -> int:
        """The number of features of a row."""
        return self._features.width + 1

    @classmethod
    def learnt(cls, options: PairwiseOptions, seen: Sequence[Items]) -> tuple[_Texts, Rows]:
        """Return the features of the texts that are learnt, and these texts as rows."""
        features, texts = TextFeatures.of_options(options), _texts(seen)
        return cls(features), _with_length(features.fit_transform(lambda: texts), texts)

    def rows(self, batch: Sequence[Items]) -> Rows:
        """Return (items, features)."""
        texts = _texts(batch)
        return _with_length(self._features.transform(texts), texts)

    def state(self) -> State:
        """Return what `restore` needs."""
        return {"features": self._features.state()}

    @classmethod
    def restore(cls, state: State) -> _Texts:
        """Return the features of a `state`. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(TextFeatures.restore(state["features"]))


class _Images:
    """Items as rows of frozen features of images."""

    def __init__(self, options: PairwiseOptions) -> None:
        if find_spec("PIL") is None or find_spec("skimage") is None:
            raise AdapterError('images are compared with scikit-image and Pillow; pip install "lsml[images]"')
        self._features = ImageFeatures("pairwise", ImageOptions(encoder=options.encoder))

    @classmethod
    def learnt(cls, options: PairwiseOptions, seen: Sequence[Items]) -> tuple[_Images, Rows]:
        """Return the features, and the images that are learnt as rows."""
        made = cls(options)
        return made, made.rows(seen)

    def rows(self, batch: Sequence[Items]) -> Rows:
        """Return (items, features)."""
        return self._features.rows([Path(path) for items in batch for path in items.paths])

    def state(self) -> State:
        """Return what tells the encoder from others; it is not part of a version."""
        return {"encoder": self._features.identity()}


class _Sorting(NamedTuple):
    """The settings of the model that sorts items into buckets."""

    C: float | Literal["auto"]
    class_weight: Literal["auto", "balanced", "none"] = "balanced"


def _ranking(example: Example) -> Ranking | None:
    """Return a person's ranking; of a choice of two, that item before the other. None where there is none."""
    names = example.data.names
    for value in example.values:
        if isinstance(value, Ranking):
            return value if set(value.order) <= set(names) else None
        if isinstance(value, Choice) and value.label in names:
            return Ranking((value.label, *(name for name in names if name != value.label)))
    return None


def _comparisons(told: Sequence[tuple[Items, Ranking]], seed: int) -> list[PreferredItem]:
    """Return all pairs of a task's items that people ordered, or a sample of them where there are many."""
    import numpy as np

    draw = np.random.default_rng(seed)
    found: list[PreferredItem] = []
    start = 0
    for task, (items, ranking) in enumerate(told):
        groups = ranking.groups or ("",) * len(ranking.order)
        rows = [start + items.names.index(name) for name in ranking.order]
        pairs = [
            PreferredItem(one, other, task)
            for (one, group), (other, same) in combinations(zip(rows, groups, strict=True), 2)
            if group == same != UNPICKED
        ]
        if len(pairs) > _MOST_PAIRS:
            pairs = [pairs[index] for index in draw.choice(len(pairs), _MOST_PAIRS, replace=False)]
        found += pairs
        start += len(items.names)
    return found


def _groups(told: Sequence[tuple[Items, Ranking]]) -> LabelledExamples:
    """Return the rows of the items that are in groups, and their groups."""
    indices: list[int] = []
    answers: list[tuple[str, ...]] = []
    start = 0
    for items, ranking in told:
        for name, group in zip(ranking.order, ranking.groups, strict=False):
            indices.append(start + items.names.index(name))
            answers.append((group,))
        start += len(items.names)
    return LabelledExamples(indices, answers, sorted({group for (group,) in answers}))


def _ranked(items: Items, worths: Sequence[float], groups: Sequence[Choice | None], labels: Sequence[str]) -> Ranking:
    """Return the items by what they are worth. The score is the mean probability of each order of two, and of each group."""
    sides = {label: number for number, label in enumerate(labels)}
    group_of = [one.label if one is not None and one.label in sides else labels[0] for one in groups]
    if labels and not group_of:  # it saw one group only
        group_of = [labels[0]] * len(items.names)

    def rank(index: int) -> tuple[int, float]:
        if not group_of:
            return 0, -worths[index]
        return sides[group_of[index]], 0.0 if group_of[index] == UNPICKED else -worths[index]

    order = sorted(range(len(items.names)), key=rank)
    sure = [one.score for one in groups if one is not None and one.score is not None]
    sure += [
        1 / (1 + math.exp(min(worths[other] - worths[one], 500.0)))
        for one, other in combinations(order, 2)
        if not group_of or group_of[one] == group_of[other] != UNPICKED
    ]
    return Ranking(
        tuple(items.names[index] for index in order),
        tuple(group_of[index] for index in order) if group_of else (),
        sum(sure) / len(sure) if sure else None,
    )


def _texts(batch: Sequence[Items]) -> list[str]:
    return [text for items in batch for text in items.texts]


def _with_length(rows: csr_matrix, texts: Sequence[str]) -> csr_matrix:
    """Return rows (texts, features + 1). The last feature is the logarithm of the length: people often prefer more, or less."""
    import numpy as np
    from scipy.sparse import csr_matrix, hstack

    lengths = np.log1p([len(text) for text in texts]) / 5  # about 1, as the others are at most
    return hstack([rows, csr_matrix(lengths[:, None])], format="csr")


def _probabilities(items: Items, worths: Sequence[float]) -> list[Value]:
    """Return each item with its share of all worths: of two, the logistic function of their difference."""
    import numpy as np

    shares = np.exp(np.array(worths) - max(worths, default=0.0))
    shares /= shares.sum() or 1.0
    return [Choice(name, float(share)) for name, share in zip(items.names, shares, strict=True)]
