"""A linear model on features that gives each label a probability, for several classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from msgspec import Meta

from lsml.adapters.base import TRAINING, Example, Progress, Target
from lsml.adapters.parts.regressions import Fitter, HeldOut, LogisticOptions, temperature
from lsml.adapters.parts.state import as_array
from lsml.errors import NotEnoughData
from lsml.values import Choice, Scored

if TYPE_CHECKING:
    from lsml.adapters.parts.state import State
    from lsml.arrays import Array, Rows


# The options of adapters with a linear head; both are "auto" by default.
Closeness = Annotated[
    Annotated[float, Meta(gt=0, le=1e6)] | Literal["auto"],
    Meta(
        description="The inverse regularisation strength; lower resists noisy labels. auto: chosen by "
        "cross-validation, or 10 if there are too few or too many examples for it.",
        extra=TRAINING,
        extra_json_schema={"errorMessage": "expected a number above 0 up to 1000000, or auto"},
    ),
]
ClassWeight = Annotated[
    Literal["auto", "balanced", "none"],
    Meta(
        description="balanced: rare labels count as much as frequent ones; none: as often as they occur. auto: chosen "
        "by cross-validation from these two and their mean, or balanced if there are too few or too many "
        "examples.",
        extra=TRAINING,
    ),
]


class LabelledExamples(NamedTuple):
    """The examples that can be learnt: their indices, their labels (sorted), and all labels (sorted)."""

    indices: list[int]
    truths: list[tuple[str, ...]]
    labels: list[str]


def labelled(examples: Sequence[Example], target: Target, what: str) -> LabelledExamples:
    """Return the examples with labels of the target; others are left out, unless the target is open.

    Raises NotEnoughData unless the examples differ in their labels; `what` names the examples, such as texts.
    """
    allowed = None if target.open else set(target.labels)
    truths = [_labels(example, allowed) for example in examples]
    kept = [index for index, own in enumerate(truths) if own or target.multiple]
    labels = sorted({label for index in kept for label in truths[index]})
    if len({truths[index] for index in kept}) < 2:
        found = (
            f"all {len(kept)} examples have the label {labels[0]!r}" if labels else f"{len(kept)} examples have a label"
        )
        raise NotEnoughData(f"{found}; annotate at least two {what} with different answers")
    return LabelledExamples(kept, [truths[index] for index in kept], labels)


class LinearHead:
    """Weights (features, labels) and biases (labels,): logistic regression for one label or several.

    Its logits are divided by the `temperature`, so that its probabilities are calibrated.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        multiple: bool,
        weights: Array,
        biases: Array,
        temperature: float = 1.0,
    ) -> None:
        self.labels = list(labels)
        self._names = frozenset(labels)
        self.multiple = multiple
        self._weights = as_array(weights)
        self._biases = as_array(biases)
        self._temperature = temperature

    @classmethod
    def fit(
        cls,
        rows: Rows,
        learnt: LabelledExamples,
        *,
        multiple: bool,
        options: LogisticOptions,
        seed: int,
        progress: Progress,
    ) -> LinearHead:
        """Return a head for rows (examples, features), dense or sparse, and their labels. `options` has C and class_weight."""
        fitter = Fitter(options, rows, len(learnt.labels), seed)
        if multiple:
            weights, biases, left_out = _fit_each(fitter, learnt, progress)
        else:
            progress(0.0, f"fitting {len(learnt.labels)} labels")
            weights, biases, left_out = _fit_one(fitter, learnt)
        return cls(learnt.labels, multiple=multiple, weights=weights, biases=biases, temperature=temperature(left_out))

    def values(self, rows: Rows) -> list[Scored]:
        """Return every label with its probability, for each row; labels in alphabetical order."""
        import numpy as np

        scores = (rows @ self._weights + self._biases) / self._temperature  # (rows, labels)
        if self.multiple:
            probabilities = 1.0 / (1.0 + np.exp(-np.clip(scores, -500.0, 500.0)))
        else:
            scores -= scores.max(axis=1, keepdims=True)
            probabilities = np.exp(scores)
            probabilities /= probabilities.sum(axis=1, keepdims=True)
        return Scored.of_rows(self.labels, self._names, probabilities)

    def state(self) -> State:
        """Return lists and arrays from which `restore` makes the same head."""
        return {
            "labels": self.labels, "multiple": self.multiple, "weights": self._weights, "biases": self._biases,
            "temperature": self._temperature,
        }  # fmt: skip

    @classmethod
    def restore(cls, state: State, width: int) -> LinearHead:
        """Return the head of a `state`, for `width` features. Raises KeyError, TypeError or ValueError for anything else."""
        head = cls(
            [str(label) for label in state["labels"]],
            multiple=bool(state["multiple"]),
            weights=state["weights"],
            biases=state["biases"],
            temperature=float(state.get("temperature", 1.0)),  # older versions have none
        )
        if not head._temperature > 0:
            raise ValueError("its temperature is not above 0")
        if head._weights.shape != (width, len(head.labels)) or head._biases.shape != (len(head.labels),):
            raise ValueError("its parts differ in size")
        return head


def _fit_one(fitter: Fitter, learnt: LabelledExamples) -> tuple[Array, Array, list[HeldOut]]:
    """Return weights and biases for labels of which exactly one holds, and the held-out logits for calibration."""
    import numpy as np

    model, left_out = fitter.fit(np.array([own[0] for own in learnt.truths]))
    assert list(model.classes_) == learnt.labels
    known = [left_out] if left_out is not None else []
    if len(learnt.labels) == 2:
        # scikit-learn has one row for two classes; a zero row for the first gives the same probabilities.
        zero = np.zeros_like(model.coef_)
        return np.vstack([zero, model.coef_]).T, np.append(0.0, model.intercept_), known
    return model.coef_.T, model.intercept_, known


def _fit_each(fitter: Fitter, learnt: LabelledExamples, progress: Progress) -> tuple[Array, Array, list[HeldOut]]:
    """Return weights and biases for labels that each hold or not, and the held-out logits for calibration."""
    import numpy as np

    weights = np.zeros((fitter.rows.shape[1], len(learnt.labels)))
    biases = np.zeros(len(learnt.labels))
    known: list[HeldOut] = []
    for column, label in enumerate(learnt.labels):
        progress(column / len(learnt.labels), f"fitting label {column + 1} of {len(learnt.labels)}")
        holds = np.array([label in own for own in learnt.truths])
        if holds.all():
            # A label of every example has the probability of Laplace's rule of succession.
            biases[column] = np.log(len(holds) + 1)
            continue
        model, left_out = fitter.fit(holds)
        known += [left_out] if left_out is not None else []
        weights[:, column] = model.coef_[0]
        biases[column] = model.intercept_[0]
    return weights, biases, known


def _labels(example: Example, allowed: set[str] | None) -> tuple[str, ...]:
    """Return the allowed labels of an example, sorted."""
    labels = {value.label for value in example.values if isinstance(value, Choice)}
    return tuple(sorted(labels if allowed is None else labels & allowed))
