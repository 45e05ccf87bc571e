"""One training run: split, train every model that can learn, judge on held-out tasks, and keep the better models."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lsml.adapters.base import Progress, TrainableAdapter, silent
from lsml.binding import Auto, Binding, BoundModel, fits, sentences, settled
from lsml.errors import AdapterError, NotEnoughData, VersionError
from lsml.labeling.objects import Fetch
from lsml.learning.candidates import Candidates, Fitted
from lsml.learning.drift import drift_of
from lsml.learning.examples import examples_of, held_out_tasks, move_over
from lsml.learning.fit import SEED, fit, resumed, resumes
from lsml.learning.judge import unread_sentence
from lsml.learning.promote import choose
from lsml.learning.snapshot import Snapshot
from lsml.versions import Card, Decision, Drift, Loaded, ModelCard, learnt_hashes

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingFiles:
    """The folder for models, and the fetcher of the tasks' files."""

    directory: Path
    fetch: Fetch


class _Predecessor(NamedTuple):
    """The version that is served before a training, with its folder, or None; the number of one that cannot be loaded."""

    promoted: tuple[Loaded, Path] | None
    unloadable: int | None


def train(
    binding: Binding,
    snapshot: Snapshot,
    files: TrainingFiles,
    *,
    models: Sequence[BoundModel],
    promoted: tuple[Loaded, Path] | None = None,
    unloadable: int | None = None,
    progress: Progress = silent,
) -> Card:
    """Train `models` on a snapshot, into the folder of `files`. Return the card of that folder.

    `promoted`: the version that is served now, and its folder. A model that is not better on the same held-out tasks is
    carried over from it. `unloadable`: the number of one that cannot be loaded. A model that cannot learn affects only
    itself. Raises NotEnoughData or AdapterError where none can; Cancelled through `progress`.
    """
    if not models:
        raise NotEnoughData(f"no model of this recipe can be trained here; {binding.state()}")
    for sentence in sentences(snapshot.left_out):
        _log.warning("%s", sentence)
    moved_to_training = move_over(models, snapshot)
    fitted, refusals = _fit_all(
        models, snapshot, moved_to_training, files, _Predecessor(promoted, unloadable), progress
    )
    progress(0.9, "judging")
    judged_tasks = held_out_tasks(models, snapshot, moved_to_training)
    candidates = Candidates(
        binding, files.directory, fitted, snapshot, moved_to_training, judged_tasks, files.fetch, promoted, unloadable
    )
    chosen = choose(candidates, lambda share, message: progress(0.9 + 0.1 * share, message))
    notes = [note for one in fitted.values() for note in one.notes] + refusals + list(chosen.notes)
    drifts = _drifts(fitted, candidates, chosen.decisions)
    notes += [f"{key}: {one.sentence}" for key, one in drifts.items() if one.drifted]
    progress(1.0, chosen.verdict)
    return Card(
        recipe=binding.recipe.name, models=chosen.models, metrics=chosen.metrics, decisions=chosen.decisions,
        verdict=chosen.verdict, promoted=chosen.promoted, tasks=snapshot.tasks, held_out=chosen.held_out,
        snapshot=snapshot.digest, seed=SEED, notes=notes, left_out=list(snapshot.left_out),
        drift=drifts,
    )  # fmt: skip


def _drifts(
    fitted: Mapping[str, Fitted], candidates: Candidates, decisions: Mapping[str, Decision]
) -> dict[str, Drift]:
    """Return the drift of each trained model from the served version, by model key."""
    found: dict[str, Drift] = {}
    if candidates.promoted is None:
        return found
    against = f"v{candidates.promoted[0].number}"
    for key, one in fitted.items():
        compared = decisions[key].compared
        changed = compared.changed if compared is not None else None
        own = drift_of(one.model, candidates.saved(key), one.card, against, changed)
        if own is not None:
            found[key] = own
    return found


def _fit_all(
    models: Sequence[BoundModel],
    snapshot: Snapshot,
    moved_to_training: set[str],
    files: TrainingFiles,
    before: _Predecessor,
    progress: Progress,
) -> tuple[dict[str, Fitted], list[str]]:
    """Return (trained models by key, a sentence for each that could not be trained). Raises where none could."""
    fitted: dict[str, Fitted] = {}
    refusals: list[str] = []
    broken = False
    for index, model in enumerate(models):

        def of_model(share: float, message: str, index: int = index) -> None:
            progress((index + share) / len(models) * 0.9, message)

        try:
            fitted[model.key] = _fit(
                model, f"{index}-{model.spec.adapter}", snapshot, moved_to_training, files, before, of_model
            )
        except (NotEnoughData, AdapterError) as error:
            refusals.append(f"{model.key}: {error}")
            broken = broken or isinstance(error, AdapterError)
    if not fitted:
        if broken:
            raise AdapterError("; ".join(refusals))
        raise NotEnoughData("; ".join(("not enough data: " + "; ".join(refusals), *sentences(snapshot.left_out))))
    return fitted, refusals


def _fit(
    model: BoundModel,
    folder: str,
    snapshot: Snapshot,
    moved_to_training: set[str],
    files: TrainingFiles,
    before: _Predecessor,
    progress: Progress,
) -> Fitted:
    """Return a model trained on the tasks that are not held out, and saved into `folder` of the version's. One that resumes
    goes on from its promoted version.
    """
    examples, classes, unread, learnt = examples_of(model, snapshot, moved_to_training, files.fetch)
    notes = [unread_sentence(unread)] if unread else []
    for note in notes:
        _log.warning("%s: %s", model.key, note)
    if not examples:
        least = model.spec.training.min_annotations if model.spec.training else 0
        lacking = (
            f"0 of {snapshot.tasks} annotated tasks have an annotation for {_controls(model)}; annotate at least "
            f"{max(2, least)}"
        )
        raise NotEnoughData(notes[0] if notes else lacking)
    progress(0.0, f"learning {_controls(model)} from {len(examples)} examples")
    served = _served(model, before.promoted)
    begun, why_anew = _begun(model, served, before.unloadable)
    if why_anew:
        _log.warning("%s: %s", model.key, why_anew)
        notes.append(why_anew)
    adapter = fit(model, examples, progress, begun)
    if begun is not None and served is not None and adapter.resumes:
        learnt |= learnt_hashes(served.folder, served.card)
        notes.append(f"went on from v{served.number}")
        _log.info("%s: %s", model.key, notes[-1])
    selection = adapter.selection if isinstance(adapter, Auto) else None
    if selection is not None:
        _log.info("%s: %s", model.key, selection.sentence)
    (files.directory / folder).mkdir(mode=0o700)
    adapter.save(files.directory / folder)
    hashes = files.directory / f"{folder}.learnt"
    hashes.write_bytes(b"".join(sorted(learnt)))
    card = ModelCard(
        adapter=model.spec.adapter, folder=folder, fingerprint=settled(model, adapter).fingerprint, labels=sorted(classes),
        examples=len(examples), classes=dict(sorted(classes.items())), learnt=hashes.name, moved=sorted(moved_to_training),
        options=model.options_digest, snapshot=snapshot.digest, selection=selection,
    )  # fmt: skip
    return Fitted(model, adapter, card, tuple(f"{model.key}: {note}" for note in (*notes, *adapter.notes)))


class _SavedModel(NamedTuple):
    """A model's promoted version: its number, the model's card, and the folder of the version."""

    number: int
    card: ModelCard
    folder: Path


def _served(model: BoundModel, promoted: tuple[Loaded, Path] | None) -> _SavedModel | None:
    """Return a model's promoted version, if the model can be loaded from it."""
    if promoted is None or promoted[0].card is None or model.key not in promoted[0].adapters:
        return None
    saved = promoted[0].card.models.get(model.key)
    if saved is None or not fits(model, saved.fingerprint):
        return None
    return _SavedModel(promoted[0].number, saved, promoted[1])


def _begun(
    model: BoundModel, served: _SavedModel | None, unloadable: int | None
) -> tuple[TrainableAdapter | None, str]:
    """Return (an adapter that goes on from the promoted version, or None; the reason for None where the recipe says that it
    goes on).
    """
    anew = "v{} cannot be loaded, so training began with the recipe's weights"
    if unloadable is not None:
        return None, anew.format(unloadable) if resumes(model) else ""
    if served is None:
        return None, ""
    try:
        return resumed(model, served.folder / served.card.folder), ""
    except VersionError as error:
        return None, f"{anew.format(served.number)} ({error})"


def _controls(model: BoundModel) -> str:
    return ", ".join(control.control_tag.selector for control in model.controls)
