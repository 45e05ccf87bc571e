"""zero-shot: labels for texts with no training data, by the meaning of the labels' own names or descriptions."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import PREDICTIONS, TEXTS, Adapter, Data, Question, Target
from lsml.adapters.parts.entailment import Entailment, entailed_by
from lsml.adapters.parts.sentence_encoder import Encoder, EncoderOptions, encoder_of
from lsml.adapters.parts.transformers_models import config_of, remedy
from lsml.labeling import ControlTag, split_path
from lsml.values import Choice, Value

if TYPE_CHECKING:
    from lsml.arrays import Array

# Of the cosines of a text and of labels: with this factor the probabilities of one label are calibrated on the ten intents of
# docs/zero-shot.md, and a label holds as likely as not at the middle between those of right and of wrong labels.
_FACTOR: Final = 20.0
_MIDDLE: Final = 0.45
_UNRELATED: Final = 0.15  # the cosine of a text and a label that have nothing to do with each other, at most


class ZeroShotOptions(EncoderOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `zero-shot`."""

    entailment: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="A model of natural-language inference, which takes the place of the encoder: slower, with a pass for "
            "each label. A folder of transformers, relative to the recipe's, or the name of one that was downloaded before.",
            extra={**PREDICTIONS, "file": True, "hub": True},
        ),
    ] = None
    template: Annotated[
        str,
        Meta(
            description="The sentence that stands for a label; {} is its description in the recipe, or else its name.",
            extra=PREDICTIONS,
        ),
    ] = "This text is about {}."

    def __post_init__(self) -> None:
        if self.template.count("{}") != 1:
            raise ValueError("template: expected a sentence with {} once, where the label stands")


class LabelNode(NamedTuple):
    """A label, or a level above some: its path, the sentence that stands for it, and the paths below it."""

    path: tuple[str, ...]
    sentence: str
    below: tuple[tuple[str, ...], ...]


class Likelihoods(NamedTuple):
    """`holds` and `logits`, each (texts, sentences): the probability that a sentence holds of a text, and its logit among
    others. `none`: the logit of none of them; None where a model has no measure of that.
    """

    holds: Array
    logits: Array
    none: float | None = None


class ZeroShot(Adapter[ZeroShotOptions]):
    """Every label with its probability, for a text. Of a tree it decides level by level, and gives the lowest labels."""

    name: ClassVar[str] = "zero-shot"
    licence: ClassVar[str | None] = "Apache-2.0 (transformers), BSD-3-Clause (torch); weights have terms of their own"
    title: ClassVar[str] = "labels for texts without training data, by what the labels mean"
    consumes: ClassVar[frozenset[str]] = TEXTS
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    extra: ClassVar[str | None] = "transformers"
    Options: ClassVar[type[msgspec.Struct]] = ZeroShotOptions

    def __init__(self, options: ZeroShotOptions, target: Target) -> None:
        super().__init__(options, target)
        self._questions = _questions(target)
        self._trees = [_tree(question, options.template) for question in self._questions]
        self._lock = threading.Lock()
        self._encoder: Encoder | None = None
        self._entailment: Entailment | None = None

    @classmethod
    def lacks(cls, options: ZeroShotOptions, target: Target) -> str | None:
        """Return what to do where the model is missing on this machine, or is of another kind; or None."""
        weights = options.entailment or options.encoder
        what = "model" if options.entailment else "encoder"
        config = config_of(weights)
        if not config:
            return f"{cls.name}: the {what} {weights} is not on this machine; {remedy(weights)}"
        if options.entailment and entailed_by(config) is None:
            return f"{cls.name}: {weights} has no class `entailment`; name a model of natural-language inference"
        return None

    @classmethod
    def limits(cls, options: ZeroShotOptions, target: Target, label_tags: Sequence[ControlTag]) -> str | None:
        """Return that it does not know labels that come with each task, where they do; or None."""
        return "knows only the labels of the labeling config, not those of each task" if target.open else None

    @classmethod
    def facts(cls, options: ZeroShotOptions, target: Target) -> list[list[tuple[str, str]]]:
        """Return the labels' descriptions."""
        return [sorted(question.descriptions.items()) for question in _questions(target)]

    @property
    def own_names(self) -> bool:
        """False: it predicts the labels of the config."""
        return False

    @property
    def ready(self) -> bool:
        """True if its model is here, and there are labels."""
        return any(self._trees) and self.lacks(self.options, self.target) is None

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return every lowest label with its probability, for each text. A blank text has none."""
        indices = [index for index, text in enumerate(batch) if text.strip()]
        found: list[list[Value]] = [[] for _ in batch]
        if not indices or not self.ready:
            return found
        texts = [batch[index] for index in indices]
        for question, tree in zip(self._questions, self._trees, strict=True):
            sentences = list(dict.fromkeys(node.sentence for node in tree.values()))
            judged = self._judged(texts, sentences)
            column = {sentence: number for number, sentence in enumerate(sentences)}
            for row, index in enumerate(indices):
                shares = (
                    _each(tree, judged.holds[row], column)
                    if question.multiple
                    else _one(tree, judged.logits[row], column, judged.none)
                )
                found[index] += [
                    Choice(label, shares[split_path(label)]) for label in question.labels if split_path(label) in shares
                ]
        return found

    def _judged(self, texts: Sequence[str], sentences: Sequence[str]) -> Likelihoods:
        import numpy as np

        with self._lock:
            if self.options.entailment and self._entailment is None:
                self._entailment = Entailment(
                    self.name, self.options.entailment, self.options.device, self.options.batch
                )
            elif not self.options.entailment and self._encoder is None:
                self._encoder = encoder_of(self.name, self.options)
        if self._entailment is not None:
            return Likelihoods(*self._entailment.judged(texts, sentences))
        assert self._encoder is not None
        logits = _FACTOR * (self._encoder.rows(texts) @ self._encoder.rows(sentences).T)
        return Likelihoods(1.0 / (1.0 + np.exp(_FACTOR * _MIDDLE - logits)), logits, _FACTOR * _UNRELATED)


def _questions(target: Target) -> list[Question]:
    """Return the questions about labels; where a target names none, one for all its labels."""
    asked = [question for question in target.questions if question.kind == "choice"]
    return asked or [Question("", "choice", target.labels, target.multiple)]


def _tree(question: Question, template: str) -> dict[tuple[str, ...], LabelNode]:
    """Return the labels of a question, and the levels above them, by path. The path () holds the first level."""
    described = {split_path(label): text for label, text in question.descriptions.items()}
    below: dict[tuple[str, ...], dict[tuple[str, ...], None]] = {}
    for label in question.labels:
        path = split_path(label)
        for length in range(len(path)):
            below.setdefault(path[:length], {})[path[: length + 1]] = None
    paths = dict.fromkeys(path for children in below.values() for path in children)
    if not paths:
        return {}
    nodes = {path: LabelNode(path, _sentence(path, described, template), tuple(below.get(path, ()))) for path in paths}
    return {(): LabelNode((), "", tuple(below[()])), **nodes}


def _sentence(path: tuple[str, ...], described: Mapping[tuple[str, ...], str], template: str) -> str:
    text = described.get(path, path[-1].replace("_", " "))
    return template.replace("{}", text.rstrip("."))


def _one(
    tree: Mapping[tuple[str, ...], LabelNode], logits: Array, column: Mapping[str, int], none: float | None
) -> dict[tuple[str, ...], float]:
    """Return the probability of each lowest label, of which one holds: the product of those at each level.
    What is missing to 1 is that of none, whose logit is `none`.
    """
    import numpy as np

    shares: dict[tuple[str, ...], float] = {}
    waiting: list[tuple[tuple[str, ...], float]] = [((), 1.0)]
    while waiting:
        path, share = waiting.pop()
        below = tree[path].below
        if not below:
            shares[path] = share
            continue
        said = np.array([logits[column[tree[one].sentence]] for one in below])
        among = np.exp(said - said.max())
        # Below the first level it is settled that one of them holds.
        among /= among.sum() + (0.0 if path or none is None else np.exp(none - said.max()))
        waiting += [(one, share * float(part)) for one, part in zip(below, among, strict=True)]
    return shares


def _each(
    tree: Mapping[tuple[str, ...], LabelNode], holds: Array, column: Mapping[str, int]
) -> dict[tuple[str, ...], float]:
    """Return the probability of each lowest label, of which several may hold: the least of its levels."""
    return {
        path: min(float(holds[column[tree[path[:length]].sentence]]) for length in range(1, len(path) + 1))
        for path, node in tree.items()
        if path and not node.below
    }
