"""One training run: split, fit every model that can learn, judge on held-out tasks, keep what got better."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from lsml.adapters.base import Adapter, Progress, TrainableAdapter, silent
from lsml.binding import Binding, BoundModel, sentences
from lsml.errors import AdapterError, LsmlError, NotEnoughData
from lsml.labeling.objects import Fetch
from lsml.learning.examples import examples_of, held_out_tasks, move_over
from lsml.learning.judge import unread_sentence
from lsml.learning.promote import Trained, choose
from lsml.learning.snapshot import Snapshot
from lsml.versions import Card, Loaded, ModelCard

_log = logging.getLogger(__name__)
SEED = 20_261_123


def train(
    binding: Binding,
    snapshot: Snapshot,
    directory: Path,
    fetch: Fetch,
    *,
    promoted: tuple[Loaded, Path] | None = None,
    progress: Progress = silent,
    models: Sequence[BoundModel] | None = None,
    unjudged: str | None = None,
) -> Trained:
    """Train `models` (default: those that the recipe lets learn) on a snapshot, into `directory`.

    `promoted`: the version that is served now, and its folder. A model that is not better than it on the same held-out
    tasks is carried over from it. `unjudged`: why there is one that cannot be loaded. A model that cannot learn costs only
    itself. Raises NotEnoughData or AdapterError where none can; Cancelled through `progress`.
    """
    models = list(binding.trainable if models is None else models)
    if not models:
        raise NotEnoughData(f"no model of this recipe can learn here; {binding.state()}")
    for sentence in sentences(snapshot.left_out):
        _log.warning("%s", sentence)
    moved = move_over(models, snapshot)
    judged_tasks = held_out_tasks(models, snapshot, moved)
    card = Card(
        recipe=binding.recipe.name, models={}, tasks=snapshot.tasks, held_out=len(judged_tasks), snapshot=snapshot.digest,
        seed=SEED, left_out=list(snapshot.left_out),
    )  # fmt: skip
    fitted: dict[str, Adapter] = {}
    refusals: list[str] = []
    broken = False
    for index, model in enumerate(models):

        def of_model(share: float, message: str, index: int = index) -> None:
            progress((index + share) / len(models) * 0.9, message)

        try:
            fitted[model.key] = _fit(model, index, snapshot, moved, directory, fetch, card, of_model)
        except NotEnoughData as error:
            refusals.append(f"{model.key}: {error}")
        except AdapterError as error:
            refusals.append(f"{model.key}: {error}")
            broken = True
    if not fitted:
        if broken:
            raise AdapterError("; ".join(refusals))
        raise NotEnoughData("; ".join(("not enough data: " + "; ".join(refusals), *sentences(snapshot.left_out))))
    card.notes += refusals
    progress(0.9, "judging on held-out tasks")
    trained = choose(binding, models, fitted, promoted, judged_tasks, fetch, card, directory, unjudged)
    progress(1.0, card.verdict)
    return trained


def _fit(
    model: BoundModel,
    index: int,
    snapshot: Snapshot,
    moved: set[str],
    directory: Path,
    fetch: Fetch,
    card: Card,
    progress: Progress,
) -> Adapter:
    """A new adapter that learnt the tasks which are not held out, saved into its folder and entered into the card."""
    examples, classes, unread, learnt = examples_of(model, snapshot, moved, fetch)
    if unread:
        sentence = unread_sentence(unread)
        card.notes.append(f"{model.key}: {sentence}")
        _log.warning("%s: %s", model.key, sentence)
    least = model.spec.training.min_annotations if model.spec.training else 0
    adapter = model.new_adapter()
    assert isinstance(adapter, TrainableAdapter)
    if not examples and unread:
        raise NotEnoughData(sentence)
    if not examples:
        raise NotEnoughData(
            f"{len(examples)} examples of {snapshot.tasks} annotated tasks answer {_controls(model)}; annotate at least "
            f"{max(2, least)}"
        )
    progress(0.0, f"learning {_controls(model)} from {len(examples)} examples")
    try:
        adapter.fit(examples, SEED, progress)
    except (LsmlError, OSError, MemoryError):
        raise
    except Exception as error:
        # A library may raise anything; the other models can still learn.
        _log.exception("%s failed to learn", model.key)
        raise AdapterError(f"it failed to learn: {type(error).__name__}; the log says where") from error
    card.notes += [f"{model.key}: {note}" for note in adapter.notes]
    folder = f"{index}-{model.spec.adapter}"
    (directory / folder).mkdir(mode=0o700)
    adapter.save(directory / folder)
    marks = directory / f"{folder}.learnt"
    marks.write_bytes(b"".join(sorted(learnt)))
    card.models[model.key] = ModelCard(
        adapter=model.spec.adapter, folder=folder, fingerprint=model.fingerprint, labels=sorted(classes),
        examples=len(examples), classes=dict(sorted(classes.items())), learnt=marks.name, moved=sorted(moved),
        options=model.options_digest, snapshot=snapshot.digest,
    )  # fmt: skip
    return adapter


def _controls(model: BoundModel) -> str:
    return ", ".join(control.control_tag.selector for control in model.controls)
