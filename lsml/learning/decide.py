"""The decision whether a new model is better than the one that is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lsml.adapters.base import Adapter, Progress, TrainableAdapter
from lsml.binding import Binding, BoundModel, settled
from lsml.labeling.objects import Fetch
from lsml.learning.compare import compare
from lsml.learning.fit import SEED
from lsml.learning.judge import evaluate
from lsml.learning.refit import Evaluated, cross_validate, unlearnt_tasks
from lsml.learning.snapshot import AnnotatedExample, Snapshot
from lsml.recipe import Promote
from lsml.versions import ENOUGH, By, Decision, Loaded, ModelCard, Why, data_hash, learnt_hashes

LEAST_JUDGED = 10  # tasks; with fewer a comparison has no meaning


@dataclass(frozen=True)
class Fitted:
    """A trained model: its adapter, its card in the version's folder, and notes for people."""

    model: BoundModel
    adapter: Adapter
    card: ModelCard
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidates:
    """The candidates for a version: the models trained on `snapshot`, by key, saved in `directory`, and the promoted
    version with its folder, or None. None of them learnt `judged_tasks`; `moved` are held-out tasks that they did
    learn. `unloadable`: the number of a promoted version that cannot be loaded.
    """

    binding: Binding
    directory: Path
    fitted: Mapping[str, Fitted]
    snapshot: Snapshot
    moved: set[str]
    judged_tasks: Sequence[AnnotatedExample]
    fetch: Fetch
    promoted: tuple[Loaded, Path] | None = None
    unloadable: int | None = None

    @cached_property
    def served(self) -> dict[str, Adapter]:
        """The served adapter of each model of the binding; the starting point where none is served."""
        served = self.promoted[0].adapters if self.promoted else {}
        return {model.key: served.get(model.key) or model.new_adapter() for model in self.binding.models}

    def saved(self, key: str) -> ModelCard | None:
        """Return the served version's card of a model, or None."""
        card = self.promoted[0].card if self.promoted else None
        return card.models.get(key) if card else None


def rule_of(model: BoundModel) -> Promote:
    """Return the rule for promoting a model."""
    return model.spec.training.promotion if model.spec.training else Promote()


def decide(candidates: Candidates, one: Fitted, progress: Progress) -> Decision:
    """Return the decision whether a new model is taken into the version, with the reason."""
    rule = rule_of(one.model)
    if candidates.promoted is None or not candidates.served[one.model.key].ready:
        if candidates.unloadable is not None:
            return Decision(taken=True, why=Why.UNLOADABLE, against=f"v{candidates.unloadable}")
        return Decision(taken=True, why=Why.FIRST)
    if rule.when != "better":
        return Decision(rule.when == "always", Why.ALWAYS if rule.when == "always" else Why.NEVER)
    served, folder = candidates.promoted
    saved = candidates.saved(one.model.key)
    if saved is not None and (saved.snapshot, saved.options) == (one.card.snapshot, one.card.options):
        return Decision(taken=False, why=Why.SAME, against=f"v{served.number}")
    return _judge(
        candidates, one, rule, learnt_hashes(folder, saved) if saved else set(), f"v{served.number}", progress
    )


def _judge(
    candidates: Candidates, one: Fitted, rule: Promote, learnt: set[bytes], against: str, progress: Progress
) -> Decision:
    """Return the decision on held-out tasks if there are enough, else by cross-validation if the model learns quickly
    enough.

    `learnt`: the hashes of the data that the served version learnt.
    """
    binding, model = candidates.binding, one.model
    names = {control.control_tag.name for control in model.controls}
    either = learnt | learnt_hashes(candidates.directory, one.card)
    fair = [
        lesson
        for lesson in candidates.judged_tasks
        if data_hash(lesson.data) not in either and (names & set(lesson.answers) or model.copied)
    ]
    evaluated: Evaluated | None = None
    by: By = "held-out tasks"
    # The candidates of `auto` are not compared again in every fold.
    refitted = settled(model, one.adapter)
    if len(fair) < ENOUGH and _learns_quickly(refitted):
        unlearnt = unlearnt_tasks(model, candidates.snapshot, learnt)
        if len(unlearnt) >= max(LEAST_JUDGED, len(fair)):
            evaluated, by = _cross_validated(candidates, refitted, unlearnt, progress), "cross-validation"
    if evaluated is None:
        if len(fair) < LEAST_JUDGED:
            return Decision(taken=True, why=Why.COIN_TOSS, tasks=len(fair), against=against)
        new = evaluate(binding, {**candidates.served, model.key: one.adapter}, fair, candidates.fetch)
        served = evaluate(binding, candidates.served, fair, candidates.fetch)
        evaluated, by = (new.pairs, served.pairs), "held-out tasks"
    compared = compare(binding, names, *evaluated, rule, against=against, by=by, seed=SEED)
    if compared.gain is None or compared.interval is None:
        return Decision(taken=True, why=Why.NOTHING, compared=compared)
    if compared.tasks < LEAST_JUDGED:
        return Decision(taken=True, why=Why.COIN_TOSS, tasks=compared.tasks, against=against)
    better = compared.gain > rule.min_gain
    if compared.tasks < ENOUGH and by == "held-out tasks":
        return Decision(better, Why.COIN_TOSS, compared)
    if compared.dropped is not None:
        return Decision(taken=False, why=Why.LABEL_DROPPED, compared=compared)
    if not better:
        return Decision(taken=False, why=Why.NOT_BETTER, compared=compared)
    sure = compared.interval[0] > rule.min_gain
    return Decision(sure, Why.BETTER if sure else Why.UNSURE, compared)


def _learns_quickly(model: BoundModel) -> bool:
    return issubclass(model.adapter_class, TrainableAdapter) and model.adapter_class.learns_quickly


def _cross_validated(
    candidates: Candidates, model: BoundModel, judged: Sequence[AnnotatedExample], progress: Progress
) -> Evaluated | None:
    return cross_validate(
        candidates.binding,
        model,
        candidates.served,
        candidates.snapshot,
        candidates.moved,
        judged,
        candidates.fetch,
        progress,
    )
