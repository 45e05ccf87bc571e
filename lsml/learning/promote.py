"""Which of the models that learnt become the version, whether it is promoted, and what is carried over."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from lsml.adapters.base import Adapter
from lsml.binding import Binding, BoundModel
from lsml.labeling.objects import Fetch
from lsml.learning.judge import evaluate, main_metric, unread_sentence
from lsml.learning.snapshot import AnnotatedExample
from lsml.versions import Loaded, ModelCard, learnt_marks, mark

LEAST_JUDGED = 10  # with fewer held-out tasks a comparison says nothing


@dataclass(frozen=True)
class Fitted:
    """A model that learnt: its adapter, the card of what was saved in the version's folder, and notes for people."""

    model: BoundModel
    adapter: Adapter
    card: ModelCard
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidates:
    """What a version is chosen from: the models that learnt, by key, saved in `directory`, and the version that is served
    with its folder, or None. `unjudged`: why there is one that cannot be loaded."""

    binding: Binding
    directory: Path
    fitted: Mapping[str, Fitted]
    promoted: tuple[Loaded, Path] | None = None
    unjudged: str | None = None

    @cached_property
    def served(self) -> dict[str, Adapter]:
        """An adapter for each model of the binding, as it is served now; the starting point of what is not."""
        served = self.promoted[0].adapters if self.promoted else {}
        return {model.key: served.get(model.key) or model.new_adapter() for model in self.binding.models}

    def saved(self, key: str) -> ModelCard | None:
        """What the served version knows of a model."""
        card = self.promoted[0].card if self.promoted else None
        return card.models.get(key) if card else None


@dataclass(frozen=True)
class Decision:
    """Whether a model is taken into the version, why, in a sentence, and the metrics that were compared, if they were."""

    taken: bool
    why: str
    compared: dict[str, Any] | None = None


@dataclass(frozen=True)
class Chosen:
    """The version: its models by key, as the folder now holds them, metrics of `held_out` tasks, and notes for people.

    `promoted`: whether it is to be served, and `verdict`: why. `compared` by model key, as a card holds it.
    """

    models: dict[str, ModelCard]
    metrics: dict[str, dict[str, Any]]
    compared: dict[str, dict[str, Any]]
    held_out: int
    promoted: bool
    verdict: str
    notes: tuple[str, ...]


def choose(candidates: Candidates, judged_tasks: Sequence[AnnotatedExample], fetch: Fetch) -> Chosen:
    """Decide model by model, judge the combined result on what none of its models learnt, and tidy the folder."""
    fitted = candidates.fitted
    decisions = {key: _decide(candidates, one, judged_tasks, fetch) for key, one in fitted.items()}
    taken = [key for key, decision in decisions.items() if decision.taken]
    # Where nothing is taken, the version holds what was learnt, unpromoted, so that a person may still choose it.
    kept = {key: fitted[key] for key in (taken or fitted)}
    carried = _carry_over(candidates, kept)
    notes = [f"{key}: {decisions[key].why}" for key in carried if key in fitted]
    for key in fitted.keys() - kept.keys():
        _remove(candidates.directory, fitted[key].card)
    models = {key: one.card for key, one in kept.items()} | carried
    learnt = set().union(*(learnt_marks(candidates.directory, model) for model in models.values()))
    unlearnt = [lesson for lesson in judged_tasks if mark(lesson.data) not in learnt]
    adapters = {**candidates.served, **{key: one.adapter for key, one in kept.items()}}
    judged = evaluate(candidates.binding, adapters, unlearnt, fetch)
    if judged.unread:
        notes.append(f"left out of judging: {unread_sentence(judged.unread)}")
    return Chosen(
        models=models, metrics=judged.metrics, held_out=len(unlearnt), promoted=bool(taken), verdict=_verdict(decisions),
        compared={key: decision.compared for key, decision in decisions.items() if decision.compared is not None},
        notes=tuple(notes),
    )  # fmt: skip


def _verdict(decisions: Mapping[str, Decision]) -> str:
    """Why the version is promoted or not, for people; of what was taken first."""
    reasons = {key: one.why for key, one in sorted(decisions.items(), key=lambda pair: not pair[1].taken)}
    verdict = next(iter(reasons.values()))
    if len(set(reasons.values())) > 1:
        verdict = "; ".join(f"{key.partition(':')[0]}: {why}" for key, why in reasons.items())
    return ("promoted: " if any(one.taken for one in decisions.values()) else "not promoted: ") + verdict


def _decide(candidates: Candidates, one: Fitted, judged_tasks: Sequence[AnnotatedExample], fetch: Fetch) -> Decision:
    model = one.model
    rule = model.spec.training.promote if model.spec.training else "better"
    if candidates.promoted is None or not candidates.served[model.key].ready:
        return Decision(True, f"not judged: {candidates.unjudged}" if candidates.unjudged else "the first version")
    if rule == "never":
        return Decision(False, "the recipe says `promote: never`")
    if rule == "always":
        return Decision(True, "the recipe says `promote: always`")
    return _compare(candidates, one, candidates.promoted, judged_tasks, fetch)


def _compare(
    candidates: Candidates,
    one: Fitted,
    promoted: tuple[Loaded, Path],
    judged_tasks: Sequence[AnnotatedExample],
    fetch: Fetch,
) -> Decision:
    """True if the new model beats the served one on tasks that neither of them learnt."""
    model, (served, folder) = one.model, promoted
    saved = candidates.saved(model.key)
    if saved is not None and (saved.snapshot, saved.options) == (one.card.snapshot, one.card.options):
        return Decision(False, f"nothing changed since v{served.number}: the same annotations and options")
    names = {control.control_tag.name for control in model.controls}
    learnt = learnt_marks(candidates.directory, one.card) | (learnt_marks(folder, saved) if saved else set())
    fair = [
        lesson
        for lesson in judged_tasks
        if mark(lesson.data) not in learnt and (names & set(lesson.answers) or model.object_tag.repeater is not None)
    ]
    tasks = len(fair)
    if tasks >= LEAST_JUDGED:
        judged = evaluate(candidates.binding, {**candidates.served, model.key: one.adapter}, fair, fetch)
        tasks = judged.tasks
    if tasks < LEAST_JUDGED:
        return Decision(True, f"not judged: {tasks} held-out tasks, and a judgement needs {LEAST_JUDGED}")
    new = main_metric(judged.metrics, names)
    old = main_metric(evaluate(candidates.binding, candidates.served, fair, fetch).metrics, names)
    compared = {"new": new, "promoted": old, "tasks": tasks, "with": f"v{served.number}"}
    if old is None or new is None:
        return Decision(True, "not judged: nothing to compare with", compared)
    better, sign = ("better", ">") if new > old else ("not better", "<=")
    why = f"{better} than v{served.number} on {tasks} held-out tasks ({new:.3f} {sign} {old:.3f})"
    return Decision(new > old, why, compared)


def _carry_over(candidates: Candidates, kept: Mapping[str, Fitted]) -> dict[str, ModelCard]:
    """Copy every model that is not kept from the served version's folder; the cards of the copies, by key."""
    carried: dict[str, ModelCard] = {}
    if candidates.promoted is None:
        return carried
    (loaded, folder), directory = candidates.promoted, candidates.directory
    for model in candidates.binding.models:
        saved = candidates.saved(model.key)
        if model.key in kept or saved is None or not loaded.adapters[model.key].ready:
            continue
        if saved.fingerprint != model.fingerprint:
            continue
        name = f"{saved.folder}-v{loaded.number}" if (directory / saved.folder).exists() else saved.folder
        shutil.copytree(folder / saved.folder, directory / name)
        if saved.learnt:
            shutil.copyfile(folder / saved.learnt, directory / f"{name}.learnt")
        carried[model.key] = msgspec.structs.replace(
            saved,
            folder=name,
            carried_from=saved.carried_from or loaded.number,
            learnt=f"{name}.learnt" if saved.learnt else "",
        )
    return carried


def _remove(directory: Path, model: ModelCard) -> None:
    """Take what a model saved out of the version's folder."""
    shutil.rmtree(directory / model.folder)
    (directory / model.learnt).unlink(missing_ok=True)
