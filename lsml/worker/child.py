"""The process of a run: it does one claimed run and writes its end to the ledger."""

from __future__ import annotations

import logging
import os
from typing import Final

from lsml.errors import Cancelled, LsmlError, NotEnoughData, Unreachable
from lsml.labeling.annotated import many
from lsml.learning.due import learners
from lsml.learning.review import in_json, review
from lsml.learning.run import TrainingInputs
from lsml.learning.run import run as train_and_publish
from lsml.logs import project_id, run_id
from lsml.recipe import Recipe
from lsml.store import RunRow, Store, Superseded
from lsml.studio.connection import fetcher, project_address, read_annotations
from lsml.tracing import PARENT, span
from lsml.versions import binding_of
from lsml.worker.processes import DONE, SUPERSEDED, UNREACHABLE
from lsml.worker.publishing import publish_promoted
from lsml.worker.report import Reporter
from lsml.worker.run_log import kept_log

_log = logging.getLogger(__name__)
_MOST_SUSPECTS: Final = 500  # suspects kept of a review


def do_run(recipe: Recipe, store: Store, id: str, attempt: int) -> int:
    """Do one claimed run, a training or a publishing, in this process, and write its end to the ledger.

    Return the exit code for the worker.
    """
    at_hand = run_id.set(id)
    try:
        with kept_log(store, id):
            return _do_claimed(recipe, store, id, attempt)
    except Unreachable as error:
        _log.warning("run %s: %s", id, error)
        return UNREACHABLE
    finally:
        run_id.reset(at_hand)


def _do_claimed(recipe: Recipe, store: Store, id: str, attempt: int) -> int:
    run = store.runs.get(id)
    if run is None or run.attempt != attempt or run.state != "running":
        _log.warning("run %s: attempt %d is not the current one", id, attempt)
        return SUPERSEDED
    project_id.set(run.project)  # this process does one run
    try:
        with span(f"process of a {run.kind}", os.environ.get(PARENT), run=id, project=run.project):
            _do_kind(recipe, store, run)
    except Superseded as error:
        _log.warning("%s; its result is dropped", error)
        return SUPERSEDED
    except Cancelled as error:
        store.claims.finish(id, attempt, "cancelled", str(error) or "cancelled")
    except Unreachable:
        raise
    except LsmlError as error:
        _log.warning("run %s failed: %s", id, error)
        store.claims.finish(id, attempt, "failed", str(error))
    except Exception as error:
        _log.exception("run %s failed", id)
        store.claims.finish(id, attempt, "failed", f"{type(error).__name__}: {error}; see the log of `lsml work`")
    return DONE


def _do_kind(recipe: Recipe, store: Store, run: RunRow) -> None:
    if run.kind == "training":
        _train_and_publish(recipe, store, run)
        return
    do = publish_promoted if run.kind == "publishing" else _review
    said = do(recipe, store, run, Reporter(store, run))
    store.claims.finish(run.id, run.attempt, "done", said)
    _log.info("run %s: project %s: %s", run.id, run.project, said)


def _review(recipe: Recipe, store: Store, run: RunRow, report: Reporter) -> str:
    """Search for annotations that are probably wrong, store them, and return their number.

    Raises NotEnoughData.
    """
    project = store.projects.get(run.project)
    binding = binding_of(recipe, project)
    with fetcher(recipe, project).hold() as fetch:
        found = review(binding, store.annotations.tasks(run.project), fetch, report)
    address = project_address(recipe, project) if project is not None else None
    suspects = [in_json(one, address) for one in found.suspects[:_MOST_SUSPECTS]]
    store.reviews.keep(run.project, {"tasks": found.tasks, "suspects": suspects, "notes": found.notes})
    return f"{many(len(found.suspects), 'suspect answer')} in {many(found.tasks, 'annotated task')}"


def _train_and_publish(recipe: Recipe, store: Store, run: RunRow) -> None:
    project = store.projects.get(run.project)
    if project is None:
        raise NotEnoughData(f"not enough data: project {run.project} has no annotations")
    store.check_room(recipe.server.limits.free_disk_bytes)
    report = Reporter(store, run)
    report(0.0, "reading annotations")
    read_annotations(store, recipe, project)
    store.claims.cover(run.id, run.attempt)
    project = store.projects.get(run.project)
    binding = binding_of(recipe, project)
    with fetcher(recipe, project).hold() as fetch:
        made = train_and_publish(
            TrainingInputs(
                store=store, project=run.project, binding=binding, models=binding.trainable,
                tasks=store.annotations.tasks(run.project), fetch=fetch,
                keep=max(training.keep for training in learners(recipe)), claim=run, progress=report,
            )
        )  # fmt: skip
    _log.info("run %s: made v%d of project %s; %s", run.id, made.number, run.project, made.card.verdict)
