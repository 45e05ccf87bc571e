"""The prediction of a file's tasks by Ray Data: in blocks, by actors with one model each.

Each block that is done is a file beside the output. So a job that was stopped goes on where it was, and each task is
predicted once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from lsml.cli.engines import Job, Predicted, Tell, model_of, predict_here
from lsml.errors import RequestError
from lsml.labeling.needed import Json

_BLOCK: Final = 1000  # tasks


class _Actor:
    """A process of Ray with a model of its own."""

    def __init__(self, job: Job) -> None:
        from lsml.cli.common import open_recipe, open_store

        recipe = open_recipe(job.recipe, log_level="warning", debug=False, warn=False)
        self._predictor = model_of(job, recipe, open_store(recipe, job.data, to_load=True)).predictor

    def __call__(self, row: Json) -> Json:
        """Return a block's number, and what came of its tasks, as JSON."""
        done = predict_here(self._predictor, msgspec.json.decode(row["tasks"]), lambda _share, _message: None)
        return {"block": row["block"], "version": self._predictor.model_version, "done": msgspec.json.encode(done)}


def predict_by_ray(
    job: Job, version: str, tasks: Sequence[Json], output: Path, actors: int, progress: Tell
) -> Predicted:
    """Return what `predict_here` does, predicted by so many actors. Raises RequestError where Ray is not installed, or an
    actor serves another version.
    """
    if find_spec("ray") is None:
        raise RequestError('--engine ray: Ray is not installed; pip install "lsml[ray]"')
    blocks = [msgspec.json.encode(tasks[begin : begin + _BLOCK]) for begin in range(0, len(tasks), _BLOCK)]
    folder = _folder(output, version, blocks)
    files = [folder / f"{number:07d}.json" for number in range(len(blocks))]
    missing = [number for number, file in enumerate(files) if not file.exists()]
    if missing:
        for number, found, done in _computed(job, {number: blocks[number] for number in missing}, actors):
            if found != version:
                raise RequestError(
                    f"--engine ray: a machine serves {found}, expected {version}; use one data directory"
                )
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
    import ray
    import ray.data

    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS")
        cores = None if address else max(actors, os.cpu_count() or 1)
        ray.init(address=address, num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"block": number, "tasks": tasks} for number, tasks in blocks.items()]
    found = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Actor,
        fn_constructor_args=(job.resolved,),
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(rows))),
    )
    try:
        for row in found.iter_rows():
            yield row["block"], row["version"], row["done"]
    finally:
        ray.shutdown()
