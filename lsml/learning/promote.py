"""The choice of the models for a version, its promotion, and the models that are carried over."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lsml.adapters.base import Progress
from lsml.binding import fits
from lsml.learning.candidates import Candidates, Fitted
from lsml.learning.decide import decide, rule_of
from lsml.learning.judge import evaluate, unread_sentence
from lsml.metrics import Metrics
from lsml.versions import Decision, ModelCard, data_hash, learnt_hashes


@dataclass(frozen=True)
class Chosen:
    """The version: its models by key, as the folder holds them, metrics of `held_out` tasks, and notes for people.

    `promoted`: True if it is served, and `verdict`: the reason. `decisions` by model key, as in a card.
    """

    models: dict[str, ModelCard]
    metrics: dict[str, Metrics]
    decisions: dict[str, Decision]
    held_out: int
    promoted: bool
    verdict: str
    notes: tuple[str, ...]


def choose(candidates: Candidates, progress: Progress) -> Chosen:
    """Decide for each model, judge the combined result on tasks that none of its models learnt, and clean up the folder."""
    fitted = candidates.fitted
    decisions = {key: decide(candidates, one, progress) for key, one in fitted.items()}
    taken = [key for key, decision in decisions.items() if decision.taken]
    # If no new model is better, the version still holds the new models, so that a person can promote it.
    kept = {key: fitted[key] for key in (taken or fitted)}
    carried = _carry_over(candidates, kept)
    notes = [f"{key}: {decisions[key].sentence}" for key in carried if key in fitted]
    for key, one in fitted.items():
        notes += [f"{key}: {said}" for said in decisions[key].cautions(rule_of(one.model).worst_label_drop)]
    for key in fitted.keys() - kept.keys():
        _remove(candidates.directory, fitted[key].card)
    models = {key: one.card for key, one in kept.items()} | carried
    learnt = set().union(*(learnt_hashes(candidates.directory, model) for model in models.values()))
    unlearnt = [example for example in candidates.judged_tasks if data_hash(example.data) not in learnt]
    adapters = {**candidates.served, **{key: one.adapter for key, one in kept.items()}}
    judged = evaluate(candidates.binding, adapters, unlearnt, candidates.fetch)
    if judged.unread:
        notes.append(f"left out of the evaluation: {unread_sentence(judged.unread)}")
    return Chosen(
        models=models, metrics=judged.metrics, held_out=len(unlearnt), promoted=bool(taken), verdict=_verdict(decisions),
        decisions=decisions, notes=tuple(notes),
    )  # fmt: skip


def _verdict(decisions: Mapping[str, Decision]) -> str:
    """Return the reason for the promotion or against it, for people; models that were taken come first."""
    reasons = {key: one.sentence for key, one in sorted(decisions.items(), key=lambda pair: not pair[1].taken)}
    verdict = next(iter(reasons.values()))
    if len(set(reasons.values())) > 1:
        verdict = "; ".join(f"{key.partition(':')[0]}: {why}" for key, why in reasons.items())
    return ("promoted: " if any(one.taken for one in decisions.values()) else "not promoted: ") + verdict


def _carry_over(candidates: Candidates, kept: Mapping[str, Fitted]) -> dict[str, ModelCard]:
    """Copy every model that is not kept from the served version's folder. Return the cards of the copies, by key."""
    carried: dict[str, ModelCard] = {}
    if candidates.promoted is None:
        return carried
    (loaded, folder), directory = candidates.promoted, candidates.directory
    for model in candidates.binding.models:
        saved = candidates.saved(model.key)
        if model.key in kept or saved is None or not loaded.adapters[model.key].ready:
            continue
        if not fits(model, saved.fingerprint):
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
    """Remove a model's files from the version's folder."""
    shutil.rmtree(directory / model.folder)
    (directory / model.learnt).unlink(missing_ok=True)
