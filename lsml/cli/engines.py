"""The prediction of a file's tasks: the model, what comes of the tasks, and the engine of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from lsml.cli.common import bind_config
from lsml.errors import RequestError
from lsml.labeling.needed import Json

if TYPE_CHECKING:
    from lsml.binding import Binding
    from lsml.labeling.rows import Named
    from lsml.prediction import Predictor
    from lsml.recipe import Recipe
    from lsml.store import Store
    from lsml.versions import Loaded

_BATCH = 256  # tasks predicted at a time
Tell = Callable[[float, str], None]


class Job(msgspec.Struct, frozen=True):
    """The names of everything that a model is made of: the recipe, its data directory, a labeling config, the project whose
    version predicts, and the folder at which relative paths of tasks start.
    """

    recipe: Path
    data: Path
    labeling_config: Path | None
    project: str
    beside: Path

    @property
    def resolved(self) -> Job:
        """The same with absolute paths, for other processes."""
        config = None if self.labeling_config is None else self.labeling_config.resolve()
        return Job(self.recipe.resolve(), self.data.resolve(), config, self.project, self.beside.resolve())


class Predicted(msgspec.Struct):
    """Tasks with their predictions; the reasons why others are left out; the reasons for no prediction, counted; and an
    example of each.
    """

    written: list[Json] = []
    refused: list[str] = []
    dropped: dict[str, int] = {}
    why: dict[str, str] = {}

    def add(self, other: Predicted) -> None:
        """Add what came of the next tasks."""
        self.written += other.written
        self.refused += other.refused
        for reason, count in other.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count
        self.why = {**other.why, **self.why}


@dataclass(frozen=True)
class ReadyModel:
    """A version in memory, ready to predict."""

    loaded: Loaded
    predictor: Predictor


def model_of(job: Job, recipe: Recipe, store: Store) -> ReadyModel:
    """Return the version that a job's project serves. Raises VersionError."""
    from lsml.prediction import Predictor
    from lsml.studio.connection import fetcher
    from lsml.versions import load_promoted, model_version

    binding = bind_config(recipe, job.labeling_config, store.projects.get(job.project))
    loaded = load_promoted(store, job.project, binding)
    name = model_version(binding, loaded.number, loaded.card, loaded.project)
    fetch = fetcher(recipe, None, by_person=True, beside=job.beside)
    return ReadyModel(loaded, Predictor(binding, loaded.adapters, fetch, name))


def read_parquet(path: Path, binding: Binding, *, columns: Named) -> list[dict[str, object]]:
    """Return the rows of a Parquet file as tasks; notes on the columns go to standard error. Raises RequestError."""
    from lsml.labeling.rows import tasks_of_rows

    if find_spec("pyarrow") is None:
        raise RequestError(f'{path}: Parquet files need pyarrow; pip install "lsml[ray]"')
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise RequestError(f"{path}: cannot be read as Parquet: {error}") from error
    plain = [msgspec.to_builtins(row) for row in rows]  # times and bytes become texts, as in JSON
    tasks, notes = tasks_of_rows(plain, binding.config, str(path), table=False, answers=False, named=columns)
    for note in notes:
        click.echo(note, err=True)
    return tasks


def predict_here(predictor: Predictor, tasks: Sequence[Json], progress: Tell) -> Predicted:
    """Return what comes of tasks, in order, predicted in this process."""
    from lsml.labeling.importing import import_refusal
    from lsml.prediction import predict_tasks

    done = Predicted()
    for begin in range(0, len(tasks), _BATCH):
        some = tasks[begin : begin + _BATCH]
        for task, outcome in zip(some, predict_tasks(predictor, some), strict=True):
            for reason, sentence in outcome.dropped:
                done.dropped[reason] = done.dropped.get(reason, 0) + 1
                done.why.setdefault(reason, sentence)
            config = predictor.binding.config
            refusal = import_refusal(task["data"], config) if config else None
            if refusal is not None:
                done.refused.append(f"task {task['id']}: {refusal}" if task.get("id") is not None else refusal)
                continue
            predictions = [outcome.prediction] if outcome.prediction is not None else []
            kept = {"id": task["id"]} if task.get("id") is not None else {}
            done.written.append({**kept, "data": task["data"], "predictions": predictions})
        reached = min(begin + _BATCH, len(tasks))
        progress(reached / len(tasks), f"{reached} of {len(tasks)} tasks")
    return done
