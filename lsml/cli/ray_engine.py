"""The prediction of tasks by Ray, by actors with one model each: a file's by Ray Data in blocks, or a project's.

Each block of a file that is done is a file beside the output. So a job that was stopped goes on where it was, and each
task is predicted once. What is done of a project, Label Studio knows.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

import msgspec

from lsml.cli.engines import Job, Predicted, Tell, model_of, predict_here
from lsml.errors import RequestError
from lsml.labeling.needed import Json

if TYPE_CHECKING:
    from lsml.prediction import Outcome

_BLOCK: Final = 1000  # tasks


class _Actor:
    """A process of Ray with a model of its own, for blocks of a file."""

    def __init__(self, job: Job) -> None:
        from lsml.cli.common import open_recipe, open_store

        recipe = open_recipe(job.recipe, log_level="warning", debug=False, warn=False)
        self._predictor = model_of(job, recipe, open_store(recipe, job.data, to_load=True)).predictor

    def __call__(self, row: Json) -> Json:
        """Return a block's number, and what came of its tasks, as JSON."""
        done = predict_here(self._predictor, msgspec.json.decode(row["tasks"]), lambda _share, _message: None)
        return {"block": row["block"], "version": self._predictor.model_version, "done": msgspec.json.encode(done)}


class _ProjectActor:
    """A process of Ray with the model that is published for a project."""

    def __init__(self, job: Job) -> None:
        from lsml.cli.common import open_recipe, open_store
        from lsml.cli.projects import find_project
        from lsml.publishing import published_model

        recipe = open_recipe(job.recipe, log_level="warning", debug=False, warn=False)
        store = open_store(recipe, job.data, to_load=True)
        _, self._predictor = published_model(recipe, store, find_project(store, job.project))

    def predict(self, tasks: Sequence[Mapping[str, object]]) -> tuple[str, list[Outcome]]:
        """Return the version, and the outcome of each task."""
        from lsml.prediction import predict_tasks

        return self._predictor.model_version, predict_tasks(self._predictor, tasks)


@contextmanager
def project_actors(
    job: Job, version: str, actors: int
) -> Iterator[Callable[[Sequence[Mapping[str, object]]], list[Outcome]]]:
    """Yield a function that returns the outcomes of a project's tasks, in order, predicted by so many actors.

    Raises RequestError where Ray is not installed, an actor serves another version, or one ended.
    """
    from lsml.publishing import shares

    with _cluster(actors) as ray:
        crew = [ray.remote(_ProjectActor).remote(job.resolved) for _ in range(actors)]

        def predict(tasks: Sequence[Mapping[str, object]]) -> list[Outcome]:
            asked = [actor.predict.remote(part) for actor, part in zip(crew, shares(tasks, actors), strict=False)]
            try:
                found = ray.get(asked)
            except ray.exceptions.RayError as error:
                what = str(error).strip().splitlines()[-1]
                raise RequestError(f"--engine ray: {what}; start it again, and it goes on where it was") from error
            for served, _ in found:
                _check_version(served, version)
            return list(chain.from_iterable(outcomes for _, outcomes in found))

        yield predict


def predict_by_ray(
    job: Job, version: str, tasks: Sequence[Json], output: Path, actors: int, progress: Tell
) -> Predicted:
    """Return what `predict_here` does, predicted by so many actors. Raises RequestError where Ray is not installed, or an
    actor serves another version.
    """
    _check_installed()
    blocks = [msgspec.json.encode(tasks[begin : begin + _BLOCK]) for begin in range(0, len(tasks), _BLOCK)]
    folder = _folder(output, version, blocks)
    files = [folder / f"{number:07d}.json" for number in range(len(blocks))]
    missing = [number for number, file in enumerate(files) if not file.exists()]
    if missing:
        for number, found, done in _computed(job, {number: blocks[number] for number in missing}, actors):
            _check_version(found, version)
            scratch = files[number].with_suffix(".part")
            scratch.write_bytes(done)
            scratch.replace(files[number])
            missing.remove(number)
            reached = len(files) - len(missing)
            progress(reached / len(files), f"{reached} of {len(files)} blocks")
    whole = Predicted()
    for file in files:
        whole.add(msgspec.json.decode(file.read_bytes(), type=Predicted))
    return whole


def remove_blocks(output: Path) -> None:
    """Remove the blocks that are done, once the output has them."""
    shutil.rmtree(_beside(output))


def _beside(output: Path) -> Path:
    return output.with_name(f"{output.name}.blocks")


def _folder(output: Path, version: str, blocks: Sequence[bytes]) -> Path:
    """Return the folder of the blocks that are done, emptied where they are of other tasks or another version.

    Raises RequestError for a folder with anything else.
    """
    folder = _beside(output)
    digest = hashlib.sha256(version.encode())
    for block in blocks:
        digest.update(hashlib.sha256(block).digest())
    of = folder / "of"
    if not of.exists() and folder.exists() and any(folder.iterdir()):
        raise RequestError(
            f"{folder}: holds other files than blocks of predictions; move it, or name another file with -o"
        )
    if not of.exists() or of.read_text(encoding="ascii") != digest.hexdigest():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        of.write_text(digest.hexdigest(), encoding="ascii")
    return folder


def _computed(job: Job, blocks: dict[int, bytes], actors: int) -> Iterator[tuple[int, str, bytes]]:
    """Yield (the number of a block, the version that predicted it, its `Predicted` as JSON), as they are done."""
    with _cluster(actors):
        import ray.data

        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = [{"block": number, "tasks": tasks} for number, tasks in blocks.items()]
        found = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _Actor,
            fn_constructor_args=(job.resolved,),
            compute=ray.data.ActorPoolStrategy(size=min(actors, len(rows))),
        )
        for row in found.iter_rows():
            yield row["block"], row["version"], row["done"]


def _check_installed() -> None:
    if find_spec("ray") is None:
        raise RequestError('--engine ray: Ray is not installed; pip install "lsml[ray]"')


def _check_version(found: str, version: str) -> None:
    if found != version:
        raise RequestError(f"--engine ray: a machine serves {found}, expected {version}; use one data directory")


@contextmanager
def _cluster(actors: int) -> Iterator[ModuleType]:
    """Yield the module `ray`, connected to the cluster that RAY_ADDRESS names or to one here with a core for each actor."""
    _check_installed()
    import ray

    address = os.environ.get("RAY_ADDRESS")
    cores = None if address else max(actors, os.cpu_count() or 1)
    ray.init(address=address, num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        yield ray
    finally:
        ray.shutdown()
