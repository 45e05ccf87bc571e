"""Gradient boosted trees: trained by scikit-learn, saved and evaluated as plain arrays, without pickles."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import TRAINING
from lsml.adapters.parts.regressions import HeldOut, temperature
from lsml.adapters.parts.threads import one_thread
from lsml.errors import AdapterError
from lsml.values import Number

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from lsml.adapters.parts.state import State
    from lsml.arrays import Array

FOLDS: Final = 5
_MAX_ITERATIONS: Final = 200  # the most iterations that `auto` chooses
_UNADVISED: Final = 60  # iterations without cross-validation, which would take too long
_MOST_TREES: Final = 20_000  # in cross-validation
_MOST_NUMBERS: Final = 5_000_000  # in the features of cross-validation
_AT_A_TIME: Final = 2_000_000  # (row, tree) pairs that are evaluated together
_MANY: Final = 20_000  # rows from which threads are faster
_LEAST: Final = 1e-6  # the least probability for log loss


class TreeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of trees."""

    iterations: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | Literal["auto"],
        Meta(
            description="The number of trees for each label. auto: chosen by cross-validation, up to 200, or 60 if "
            "that would take too long.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a whole number from 1 to 10000, or auto"},
        ),
    ] = "auto"
    learning_rate: Annotated[
        float, Meta(gt=0, le=1, description="The share of the error that each tree corrects.", extra=TRAINING)
    ] = 0.1
    max_leaves: Annotated[int, Meta(ge=2, le=1024, description="The most leaves of a tree.", extra=TRAINING)] = 15
    min_examples: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | Literal["auto"],
        Meta(
            description="The least examples in a leaf. auto: a twentieth of them, from 2 to 20.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a whole number from 1 to 10000, or auto"},
        ),
    ] = "auto"
    l2: Annotated[float, Meta(ge=0, le=1e6, description="The L2 regularisation of leaves.", extra=TRAINING)] = 1.0


class Grown(NamedTuple):
    """A forest trained on all examples, and forests each trained without a share of them."""

    forest: Forest
    members: list[Forest]


class Forest:
    """Trees as arrays of their nodes. `roots` (iterations * outputs,) are nodes, output by output within an iteration;
    `baseline` (outputs,) is the output before the first tree.
    """

    _NODES: Final = ("feature", "threshold", "missing_left", "left", "right", "value", "leaf")

    def __init__(self, nodes: Mapping[str, Array], roots: Array, baseline: Array) -> None:
        self._nodes = dict(nodes)
        self._roots = roots
        self._baseline = baseline

    @classmethod
    def constant(cls, output: float) -> Forest:
        """Return a forest that always gives the same output."""
        import numpy as np

        empty = {name: np.zeros(0) for name in cls._NODES}
        return cls(empty, np.zeros(0, dtype=np.int64), np.array([output]))

    @classmethod
    def of_model(cls, model: BaseEstimator, iterations: int) -> Forest:
        """Return the first iterations of a fitted model of scikit-learn. Raises AdapterError where its trees are stored
        differently.
        """
        import numpy as np

        try:
            trees = [tree.nodes for together in model._predictors[:iterations] for tree in together]
            sizes = np.array([len(tree) for tree in trees])
            roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
            nodes = np.concatenate(trees)
            offsets = np.repeat(roots, sizes)
            return cls(
                {
                    "feature": nodes["feature_idx"].astype(np.int64),
                    "threshold": nodes["num_threshold"].astype(np.float64),
                    "missing_left": nodes["missing_go_to_left"].astype(np.int64),
                    "left": nodes["left"].astype(np.int64) + offsets,
                    "right": nodes["right"].astype(np.int64) + offsets,
                    "value": nodes["value"].astype(np.float64),
                    "leaf": nodes["is_leaf"].astype(np.int64),
                },
                roots,
                np.asarray(model._baseline_prediction, dtype=np.float64).ravel(),
            )
        except (AttributeError, ValueError, IndexError) as error:
            what = "this release of scikit-learn stores its trees differently; install another release, or upgrade lsml"
            raise AdapterError(what) from error

    def outputs(self, rows: Array) -> Array:
        """Return the sums of the trees, (rows, outputs), before any link function."""
        import numpy as np

        width = len(self._baseline)
        added = np.tile(self._baseline, (len(rows), 1))
        if not len(self._roots):
            return added
        step = max(1, _AT_A_TIME // len(self._roots))
        for begin in range(0, len(rows), step):
            some = rows[begin : begin + step]
            leaves = self._nodes["value"][self._leaves(some)]  # (rows, iterations * outputs)
            added[begin : begin + step] += leaves.reshape(len(some), -1, width).sum(axis=1)
        return added

    def _leaves(self, rows: Array) -> Array:
        """Return the leaf of each tree for each row, (rows, trees)."""
        import numpy as np

        nodes = self._nodes
        at = np.tile(self._roots, (len(rows), 1))
        here = np.arange(len(rows))[:, None]
        while not (ends := nodes["leaf"][at].astype(bool)).all():
            values = rows[here, nodes["feature"][at]]
            unknown = np.isnan(values)
            lefts = np.where(unknown, nodes["missing_left"][at] == 1, values <= nodes["threshold"][at])
            at = np.where(ends, at, np.where(lefts, nodes["left"][at], nodes["right"][at]))
        return at

    def cooled(self, temperature: float) -> Forest:
        """Return the same forest with outputs that are divided by a temperature."""
        return Forest(
            {**self._nodes, "value": self._nodes["value"] / temperature}, self._roots, self._baseline / temperature
        )

    def state(self) -> State:
        """Return arrays from which `restore` makes the same forest."""
        return {**self._nodes, "roots": self._roots, "baseline": self._baseline}

    @classmethod
    def restore(cls, state: State, width: int) -> Forest:
        """Return the forest of a `state`, for rows with `width` features. Raises KeyError, TypeError or ValueError."""
        import numpy as np

        whole = {"feature", "missing_left", "left", "right", "leaf"}
        nodes = {name: np.asarray(state[name], dtype=np.int64 if name in whole else np.float64) for name in cls._NODES}
        roots, baseline = np.asarray(state["roots"], dtype=np.int64), np.asarray(state["baseline"], dtype=np.float64)
        count = len(nodes["feature"])
        indices = np.concatenate([roots, nodes["left"], nodes["right"]])
        fits = all(len(one) == count for one in nodes.values()) and len(baseline) and len(roots) % len(baseline) == 0
        if not fits or (count and (indices.min() < 0 or indices.max() >= count)):
            raise ValueError("its parts differ in size")
        branches = nodes["leaf"] == 0
        # A child comes after its parent, so every walk ends.
        here = np.arange(count)[branches]
        if (nodes["left"][branches] <= here).any() or (nodes["right"][branches] <= here).any():
            raise ValueError("its trees go round in a circle")
        if count and (nodes["feature"].min() < 0 or nodes["feature"].max() >= width):
            raise ValueError("its parts differ in size")
        return cls(nodes, roots, baseline)


def grow(
    rows: Array, truths: Array, options: TreeOptions, seed: int, *, numbers: bool, cross_validated: bool = True
) -> Grown:
    """Return forests for rows (examples, features) and what is true of each: `numbers`, or else classes, which are sorted.

    Forests that miss a share of the examples come from cross-validation, as does the temperature that calibrates the
    probabilities of classes. Very many examples have one such forest of classes, and none of numbers. Not
    `cross_validated`: neither of them.
    """
    # A sum by one thread is also the same on every machine.
    with one_thread() if len(rows) < _MANY else nullcontext():
        return _grown(rows, truths, options, seed, numbers=numbers, cross_validated=cross_validated)


def forest_of(rows: Array, truths: Array, options: TreeOptions, seed: int, *, cross_validated: bool = True) -> Forest:
    """Return a forest for rows and their classes; for a single class, a constant by Laplace's rule of succession."""
    import numpy as np

    if len(set(truths.tolist())) < 2:
        return Forest.constant(float(np.log(len(truths) + 1)))
    return grow(rows, truths, options, seed, numbers=False, cross_validated=cross_validated).forest


def _grown(
    rows: Array, truths: Array, options: TreeOptions, seed: int, *, numbers: bool, cross_validated: bool
) -> Grown:
    import numpy as np

    # scikit-learn cannot bin a feature that no row has, such as the spread in windows that hold one point each.
    nowhere = np.isnan(rows).all(axis=0)
    if nowhere.any():
        rows = np.where(nowhere, 0.0, rows).astype(rows.dtype)
    outputs = 1 if numbers else len(set(truths.tolist()))
    trees = (1 if outputs == 2 else outputs) * FOLDS * _MAX_ITERATIONS
    large = trees > _MOST_TREES or rows.size > _MOST_NUMBERS
    fixed = None if options.iterations == "auto" else options.iterations
    if large and fixed is None:
        fixed = _UNADVISED
    members: list[Forest] = []
    left_out: list[HeldOut] = []
    model = _model(options, fixed or _MAX_ITERATIONS, len(rows), seed, numbers=numbers)
    if not cross_validated or len(rows) < 2 * FOLDS or (large and numbers):
        iterations = fixed or _UNADVISED
    else:
        split = _split(rows, truths, seed, numbers=numbers)[: 1 if large else FOLDS]
        iterations, fitted = _cross_validated(model, rows, truths, split, fixed, numbers=numbers)
        members = [Forest.of_model(one, iterations) for one, _ in fitted]
        left_out = [] if numbers else [
            _held_out(member, one.classes_, rows[left], truths[left], np.unique(truths))
            for member, (one, left) in zip(members, fitted, strict=True)
        ]  # fmt: skip
    whole = model.set_params(max_iter=iterations).fit(rows, truths)
    return Grown(Forest.of_model(whole, iterations).cooled(temperature(left_out)), members)


def _model(options: TreeOptions, iterations: int, examples: int, seed: int, *, numbers: bool) -> BaseEstimator:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    made = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
    least = min(20, max(2, examples // 20)) if options.min_examples == "auto" else options.min_examples
    return made(
        learning_rate=options.learning_rate, max_iter=iterations, max_leaf_nodes=options.max_leaves, min_samples_leaf=least,
        l2_regularization=options.l2, early_stopping=False, random_state=seed,
    )  # fmt: skip


def _split(rows: Array, truths: Array, seed: int, *, numbers: bool) -> list[tuple[Array, Array]]:
    """Return for each fold the indices of (learnt, left out) examples; of classes each part has two that are learnt."""
    import numpy as np
    from sklearn.model_selection import KFold, StratifiedKFold

    # Classes that are all rarer than there are folds cannot be in each of them.
    stratified = not numbers and np.unique(truths, return_counts=True)[1].max() >= FOLDS
    folds = (StratifiedKFold if stratified else KFold)(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        split = list(folds.split(rows, truths))
    return [(learnt, left) for learnt, left in split if numbers or len(set(truths[learnt].tolist())) > 1]


def _cross_validated(
    model: BaseEstimator,
    rows: Array,
    truths: Array,
    split: Sequence[tuple[Array, Array]],
    fixed: int | None,
    *,
    numbers: bool,
) -> tuple[int, list[tuple[BaseEstimator, Array]]]:
    """Return the best number of iterations on held-out examples, and each model with the indices of those that it missed."""
    import numpy as np
    from sklearn.base import clone

    losses = np.zeros(fixed or _MAX_ITERATIONS)
    fitted = []
    for learnt, left in split:
        member = clone(model).fit(rows[learnt], truths[learnt])
        fitted.append((member, left))
        if fixed is None:
            losses += _losses(member, rows[left], truths[left], numbers=numbers)
    return fixed or int(np.argmin(losses)) + 1, fitted


def _held_out(forest: Forest, known: Array, rows: Array, truths: Array, classes: Array) -> HeldOut:
    """Return what a forest that knows some `classes` tells of rows that it missed."""
    import numpy as np

    outputs = forest.outputs(rows)
    if outputs.shape[1] == 1:  # of two classes, it has the logit of the second
        outputs = np.hstack([np.zeros_like(outputs), outputs])
    logits = np.full((len(rows), len(classes)), -np.inf)
    logits[:, np.searchsorted(classes, known)] = outputs
    return HeldOut(logits, np.searchsorted(classes, truths))


def _losses(model: BaseEstimator, rows: Array, truths: Array, *, numbers: bool) -> Array:
    """Return the loss after each iteration, summed over rows: squared errors, or negative log likelihoods."""
    import numpy as np

    if numbers:
        return np.array([np.sum((told - truths) ** 2) for told in model.staged_predict(rows)])
    column = {name: index for index, name in enumerate(model.classes_.tolist())}
    indices = np.array([column.get(truth, -1) for truth in truths.tolist()])
    known = indices >= 0  # a model that missed the only example of a class does not know it
    picked = np.flatnonzero(known), indices[known]
    return np.array([-np.log(np.maximum(told[picked], _LEAST)).sum() for told in model.staged_predict_proba(rows)])


def probabilities(outputs: Sequence[Array], *, multiple: bool) -> Array:
    """Return (rows, labels) from one forest for all labels; or, if several may hold at once, from one forest for each."""
    import numpy as np

    if multiple:
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(np.hstack(list(outputs)), -500.0, 500.0))))
    [raw] = outputs
    if raw.shape[1] == 1:
        second = 1.0 / (1.0 + np.exp(-np.clip(raw, -500.0, 500.0)))
        return np.hstack([1.0 - second, second])
    raw = raw - raw.max(axis=1, keepdims=True)
    odds = np.exp(raw)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def spread_of(truths: Array) -> float:
    """Return the standard deviation of annotated numbers; 1 where all are alike."""
    # The deviation alone is not enough: that of equal floats can be a rounding error above 0.
    return float(truths.std()) if truths.min() < truths.max() else 1.0


def estimates(outputs: Sequence[Array], spread: float) -> list[Number]:
    """Return a number with its score for each row, from the outputs (rows, 1) of a forest and of its members."""
    import numpy as np

    told, *members = (output[:, 0] for output in outputs)
    errors = np.full(len(told), spread)  # the error of a guess, as there is no better estimate
    if len(members) > 1:
        # Members share most of their examples, so their deviation is scaled up as in the jackknife.
        errors = np.std(members, axis=0) * np.sqrt(len(members) - 1)
    scores = np.exp(-errors / spread)
    return [Number(number, score) for number, score in zip(told.tolist(), scores.tolist(), strict=True)]
