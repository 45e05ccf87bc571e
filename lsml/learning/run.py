"""A training run from annotated tasks to a version, the same for the worker and for `lsml train`."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lsml.adapters.base import Progress, silent
from lsml.binding import Binding, BoundModel
from lsml.errors import VersionError
from lsml.labeling import AnnotatedTask
from lsml.labeling.objects import Fetch
from lsml.learning.agreement import Overlaps
from lsml.learning.drift import with_alerts
from lsml.learning.outlook import curve_of, newest_card, with_outlook
from lsml.learning.snapshot import Snapshot, take_snapshot
from lsml.learning.train import TrainingFiles, train
from lsml.store import RunRow, Store
from lsml.tracing import span
from lsml.versions import Card, Loaded, load_version, new_folder, save_version

_log = logging.getLogger(__name__)


def _everything(_snapshot: Snapshot) -> None:
    """Accept any snapshot."""


@dataclass(frozen=True)
class TrainingInputs:
    """The inputs of one training run.

    `models` of the `binding` learn from `tasks`, which are read once; `fetch` fetches the files that they name. The
    version belongs to `project`, which keeps the newest `keep` of them. `claim`: the run's row in the ledger, None for
    offline training. `check` gets the snapshot before training, and may refuse it with an LsmlError.
    """

    store: Store
    project: str
    binding: Binding
    models: tuple[BoundModel, ...]
    tasks: Iterable[AnnotatedTask]
    fetch: Fetch
    keep: int
    claim: RunRow | None = None
    progress: Progress = silent
    check: Callable[[Snapshot], None] = _everything


@dataclass(frozen=True)
class Made:
    """The version that a run made: its number in the project, and its card."""

    number: int
    card: Card


def run(inputs: TrainingInputs) -> Made:
    """Take a snapshot, train and judge on it, and save the version; after an error nothing is left on disk.

    Raises NotEnoughData, AdapterError or StoreError, Superseded where the claim is gone, and Cancelled.
    """
    store, project = inputs.store, inputs.project
    making = new_folder(store, inputs.claim)
    try:
        path = making / "snapshot.jsonl"
        overlaps = Overlaps(inputs.binding, inputs.fetch)
        with span("take a snapshot", project=project):
            snapshot = take_snapshot(overlaps.watch(inputs.tasks), inputs.binding, path, inputs.fetch)
        inputs.check(snapshot)
        promoted, unloadable = promoted_version(store, project, inputs.binding)
        with span("fit and judge", project=project):
            card = train(
                inputs.binding, snapshot, TrainingFiles(making, inputs.fetch),
                promoted=promoted, unloadable=unloadable, progress=inputs.progress, models=inputs.models,
            )  # fmt: skip
        path.unlink()
        card.ceilings = overlaps.ceilings()
        with_outlook(card, curve_of(store, project))
        with_alerts(card, newest_card(store, project))
        with span("save the version", project=project):
            number = save_version(
                store, project, making, card, promote=card.promoted, keep=inputs.keep, run=inputs.claim
            )
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return Made(number, card)


def promoted_version(store: Store, project: str, binding: Binding) -> tuple[tuple[Loaded, Path] | None, int | None]:
    """Return the version that a project serves with its folder, or None; and the number of one that cannot be loaded."""
    row = store.versions.served(project)
    if row is None:
        return None, None
    try:
        return (load_version(binding, row, store.artifacts), store.artifacts.open(row.folder)), None
    except VersionError as error:
        _log.warning("v%d of project %s cannot be evaluated: %s", row.number, project, error)
        return None, row.number
