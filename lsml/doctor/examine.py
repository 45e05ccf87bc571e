"""All checks, in a useful order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lsml.doctor.data import examine_directory, examine_engines, examine_worker, open_if_there
from lsml.doctor.findings import Finding, failed, passed, skipped
from lsml.doctor.machine import examine_machine
from lsml.doctor.server import examine_port
from lsml.doctor.studio import ProjectExam, examine_studio
from lsml.recipe import Recipe
from lsml.store import ProjectRow, Store
from lsml.studio.client import Studio
from lsml.studio.connection import studio_of


@dataclass(frozen=True)
class Subject:
    """The subject of the checks: a recipe, its data directory, its address, and the project that a person names."""

    recipe: Recipe
    directory: Path
    host: str
    port: int
    project: str | None = None


def examine(subject: Subject) -> Iterator[Finding]:
    """Yield the findings, each as soon as it is known. Nothing is changed, here or in Label Studio."""
    recipe = subject.recipe
    yield passed("recipe", f"{recipe.path} is valid")
    yield from examine_machine(recipe)
    yield from examine_directory(recipe, subject.directory)
    port, serving = examine_port(recipe, subject.host, subject.port)
    yield port
    yield from examine_engines(recipe, subject.directory)
    store = open_if_there(recipe, subject.directory)
    yield from examine_worker(recipe, store, serving=serving)
    rows = _rows(store, subject.project)
    studio = studio_of(recipe, rows[0] if rows else None)
    reached = True
    for finding in examine_studio(recipe, studio):
        reached = finding.state != "fail"
        yield finding
    if studio is None or not reached:
        yield skipped("project", "Label Studio cannot be asked")
        return
    yield from _projects(subject, store, studio, rows, serving=serving)


def _rows(store: Store | None, named: str | None) -> list[ProjectRow]:
    """Return the projects of Label Studio to check, of those that lsml knows."""
    if store is None:
        return []
    if named is not None:
        found = store.projects.find(named)
        return [found] if found is not None else []
    return [row for row in store.projects.all() if row.studio_id is not None]


def _projects(
    subject: Subject, store: Store | None, studio: Studio, rows: list[ProjectRow], *, serving: bool
) -> Iterator[Finding]:
    named = subject.project
    if not rows and named is not None and named.isascii() and named.isdigit():
        exams: list[tuple[int, ProjectRow | None]] = [(int(named), None)]
    elif not rows and named is not None:
        yield failed("project", f"lsml knows no project {named}", "give its number in Label Studio")
        return
    else:
        exams = [(row.studio_id or 0, row) for row in rows]
    if not exams:
        yield skipped(
            "project", f"no project is connected; run `lsml connect {subject.recipe.path}`, or name one with --project"
        )
    for number, row in exams:
        yield from ProjectExam(subject.recipe, store, studio, number, row, serving).findings()
