"""The live state of `lsml run --connect`: one line for each project, rewritten in place at a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from lsml.cli.common import caution, metric_text
from lsml.errors import LsmlError, StudioAway
from lsml.learning.due import changes_needed, counts, learners
from lsml.store import LOCAL, ProjectRow, Store
from lsml.store.runs import KINDS, RunRow
from lsml.versions import card_of
from lsml.wording import about

if TYPE_CHECKING:
    from lsml.cli.screen import Screen
    from lsml.cli.supervisor import Child
    from lsml.recipe import Recipe

_LOOK_S: Final = 1.0
_PAUSES_S: Final = (
    2.0,
    5.0,
    10.0,
    30.0,
)  # between tries to connect while Label Studio is away; the last one again and again


class Following:
    """A thread that connects once the server listens, then shows the state of each project, until it is stopped.

    `connect` gets a function that prints each change, and returns a sentence about the project.
    """

    def __init__(
        self,
        recipe: Recipe,
        store: Store,
        screen: Screen,
        server: Child,
        connect: Callable[[Callable[[str], None]], str],
    ) -> None:
        self._recipe = recipe
        self._store = store
        self._screen = screen
        self._server = server
        self._connect = connect
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)

    def start(self) -> None:
        """Start in a separate thread, because this one supervises the children."""
        self._thread.start()

    def stop(self) -> None:
        """End, and remove the lines."""
        self._stopping.set()
        self._thread.join(timeout=2.0)
        if self._screen.live:
            self._screen.show([])

    def _run(self) -> None:
        while not self._server.is_ready:
            if self._stopping.wait(0.1):
                return
        self._connect_patiently()
        while not self._stopping.wait(_LOOK_S):
            projects = [one for one in self._store.projects.all() if one.key != LOCAL]
            self._screen.show([state_line(self._recipe, self._store, project) for project in projects])

    def _connect_patiently(self) -> None:
        """Connect, and try again while Label Studio is not reachable, as it may be about to start."""
        said = ""
        tries = 0
        while True:
            try:
                self._screen.say(f"lsml: connected: {self._connect(lambda done: self._screen.say(f'lsml: {done}'))}")
            except StudioAway as error:
                if str(error) != said:
                    said = str(error)
                    self._screen.say(f"lsml: not connected yet: {said}; trying again")
            except LsmlError as error:
                self._screen.say(f"lsml: not connected: {error}")
                return
            else:
                return
            if self._stopping.wait(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)]):
                return
            tries += 1


def state_line(recipe: Recipe, store: Store, project: ProjectRow) -> str:
    """Return the state of a project in a line: the run at work, else the last training and what the next one needs."""
    title = project.title or f"project {project.key}"
    working = [_said(run) for run in last_runs(store, project.key) if run.state == "running"]
    if working:
        return f"{title}: {working[0]}"
    said = [_learnt(store, project), _awaited(recipe, store, project)]
    return f"{title}: {'; '.join(filter(None, said)) or 'serving'}"


def last_runs(store: Store, project: str) -> list[RunRow]:
    """Return the last run of each kind that the project had."""
    return [run for run in (store.runs.last(project, kind) for kind in KINDS) if run is not None]


def trouble_or_work(store: Store, project: str) -> list[str]:
    """Return a sentence for each kind of run that is at work, or whose last one failed."""
    runs = last_runs(store, project)
    working = [f"{_said(run)} ({_progress(run)})" for run in runs if run.state == "running"]
    return working + [f"the last {run.kind} failed: {run.message}" for run in runs if run.state == "failed"]


def _progress(run: RunRow) -> str:
    """Return the share that is done, and about how long the rest takes."""
    left = run.seconds_left(time.time())
    return f"{run.progress:.0%}{'' if left is None else f', {about(left)} left'}"


def start_of_day(recipe: Recipe, store: Store, project: str) -> str:
    """Return the start of a training that waits for the recipe's time of day, by this machine's clock: `02:00 CET`; empty
    where none waits for it.
    """
    run = store.runs.last(project, "training")
    if run is None or run.state != "waiting" or all(training.at is None for training in learners(recipe)):
        return ""
    return datetime.fromtimestamp(run.due_at).astimezone().strftime("%H:%M %Z")


def _said(run: RunRow) -> str:
    """Return what a running run is doing."""
    return run.message if run.kind in run.message else ": ".join(filter(None, (run.kind, run.message)))


def _learnt(store: Store, project: ProjectRow) -> str:
    """Return the result of the last training that ended: `v1 in 0.4 s: accuracy 0.81, too few to rely on`."""
    ended = [run for run in store.runs.of_project(project.key, 5) if run.state in ("done", "failed")]
    if not ended:
        return ""
    run = ended[0]
    if run.version is None:
        return f"training {run.state}: {run.message}"
    took_s = (run.finished_at or 0.0) - (run.started_at or 0.0)
    return f"v{run.version} in {took_s:.1f} s: {_metrics(store, project, run.version)}"


def _metrics(store: Store, project: ProjectRow, number: int) -> str:
    row = store.versions.get(project.key, number)
    judged = card_of(row).metrics if row is not None else {}
    figures = [
        f"{f'{name} ' if len(judged) > 1 else ''}{metric_text(one, digits=2)}{caution(one)}"
        for name, one in judged.items()
        if one["value"] is not None
    ]
    kept = "" if project.promoted == number else f"; v{project.promoted} stays"
    return (", ".join(figures) or "not evaluated") + kept


def _awaited(recipe: Recipe, store: Store, project: ProjectRow) -> str:
    """Return what the next training waits for: `7 of 10 annotations until the first training`."""
    usable, changes = counts(store, recipe, project.key)
    needed = changes_needed(recipe, usable, changes)
    if needed is None:
        return ""
    which = "first" if project.promoted is None else "next"
    if start := start_of_day(recipe, store, project.key):
        return f"the {which} training starts at {start}"
    if changes >= needed:
        return f"the {which} training starts when nobody annotates for a moment"
    return f"{changes:,} of {needed:,} annotations until the {which} training"
