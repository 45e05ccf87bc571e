"""The decision whether a new model is better than the one that is served."""

from __future__ import annotations

from lsml.adapters.base import Progress, TrainableAdapter
from lsml.binding import BoundModel, settled
from lsml.learning.candidates import Candidates, Fitted
from lsml.learning.compare import Evaluated, compare
from lsml.learning.fit import SEED
from lsml.learning.judge import evaluate
from lsml.learning.refit import cross_validate, unlearnt_tasks
from lsml.recipe import Promote
from lsml.versions import ENOUGH, By, Decision, Why, data_hash, learnt_hashes

LEAST_JUDGED = 10  # tasks; with fewer a comparison has no meaning


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
        example
        for example in candidates.judged_tasks
        if data_hash(example.data) not in either and (names & set(example.answers) or model.copied)
    ]
    evaluated: Evaluated | None = None
    by: By = "held-out tasks"
    # The candidates of `auto` are not compared again in every fold.
    refitted = settled(model, one.adapter)
    if len(fair) < ENOUGH and _learns_quickly(refitted):
        unlearnt = unlearnt_tasks(model, candidates.snapshot, learnt)
        if len(unlearnt) >= max(LEAST_JUDGED, len(fair)):
            evaluated, by = cross_validate(candidates, refitted, unlearnt, progress), "cross-validation"
    if evaluated is None:
        if len(fair) < LEAST_JUDGED:
            return Decision(taken=True, why=Why.COIN_TOSS, tasks=len(fair), against=against)
        new = evaluate(binding, {**candidates.served, model.key: one.adapter}, fair, candidates.fetch)
        served = evaluate(binding, candidates.served, fair, candidates.fetch)
        evaluated, by = (new.pairs, served.pairs), "held-out tasks"
    compared = compare(binding, names, evaluated, rule, against=against, by=by, seed=SEED)
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
