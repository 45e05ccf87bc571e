"""Submitting into a real Label Studio: what is sure becomes annotations, a drop of quality stops it, undo leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TOPICS, choice, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.commands import Finished, lsml
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio

pytestmark = pytest.mark.studio

LEARNT = 120  # annotated by people first; two fifths of them are held out, which calibrates
AUDIT = 0.2


class World:
    """A project of a real Label Studio, a running lsml that is told of everything, and people who answer what is left."""

    def __init__(self, studio: RealLabelStudio, backend: RunningBackend) -> None:
        self.studio = studio
        self.backend = backend
        self.project = studio.create_project("Tickets", TOPICS)
        self.truth: dict[int, str] = {}
        self.by_people: set[int] = set()
        studio.add_backend(self.project, backend.address)

    def add(self, count: int, seed: int) -> list[int]:
        pairs = tickets(count, seed=seed)
        tasks = self.studio.import_tasks(self.project, [{"text": text} for text, _ in pairs])
        self.truth |= {task: label for task, (_, label) in zip(tasks, pairs, strict=True)}
        return tasks

    def annotate(self, tasks: list[int]) -> None:
        self.by_people |= {self.studio.annotate(task, choice(self.truth[task])) for task in tasks}

    def people_answer(self, tasks: list[int]) -> None:
        """Annotate what of these tasks waits for people."""
        annotated = self.annotations()
        self.annotate([task for task in tasks if not annotated[task]])

    def annotations(self) -> dict[int, list[dict[str, Any]]]:
        return {task["id"]: task["annotations"] for task in self.studio.export(self.project)}

    def submitted(self) -> set[int]:
        made = (one["id"] for several in self.annotations().values() for one in several)
        return set(made) - self.by_people

    def submit(self, *arguments: str) -> Finished[str]:
        known = {"LABEL_STUDIO_URL": self.studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
        return lsml(
            "submit", self.backend.recipe, "--project", self.project, "--data-dir", self.backend.data,
            "--above", 0.9, "--audit", AUDIT, *arguments, cwd=self.backend.recipe.parent, environment=known, timeout_s=600,
        )  # fmt: skip


def drop_of_quality(studio: RealLabelStudio, folder: Path, count: int) -> None:
    """Submit half of `count` tasks that the version is right about, and then others that people answer otherwise."""
    text = (
        f"label_studio: {{url: {studio.url}, api_key: {LEGACY_TOKEN}}}\n"
        f"training: {{every: {LEARNT}, min_annotations: {LEARNT}, quiet: 1s, holdout: {{share: 0.4}}, promote: never}}\n"
        "publish: false\n"
    )
    with RunningBackend(write_recipe(folder, text, config=None), folder / "data") as backend:
        here = World(studio, backend)
        here.annotate(here.add(LEARNT, seed=7))
        until("a version is served", lambda: backend.project(here.project)["promoted"], 60)

        good = here.add(count // 2, seed=8)
        dry = here.submit("--dry-run")
        assert "would submit" in dry.stdout, dry
        assert here.submitted() == set()
        done = here.submit()
        print(done.stdout)
        assert done.returncode == 0, done
        first = here.submitted()
        assert len(first) > 0.6 * len(good)
        assert all(len(several) <= 1 for several in here.annotations().values())
        here.people_answer(good)

        bad = here.add(count // 2, seed=9)
        for task in bad:
            here.truth[task] = "Bug" if here.truth[task] != "Bug" else "Billing"
        done = here.submit()
        print(done.stdout)
        assert (done.returncode, "precision 1.000" in done.stdout) == (0, True), "people answered as the version did"
        assert len(here.submitted()) > len(first)
        here.people_answer(bad)

        here.add(50, seed=10)
        before = here.submitted()
        stopped = here.submit()
        print(stopped.stdout)
        assert stopped.returncode == 1
        assert "is below 0.9" in stopped.stdout
        assert here.submitted() == before, "it stops before it submits another"

        until(
            "lsml is told of everything that people annotated",
            lambda: backend.project(here.project)["annotations"] == len(here.by_people),
        )
        corrected = min(before)
        studio.update_annotation(corrected, result=choice("Billing"), lead_time=3.0)
        undone = here.submit("--undo", "--yes")
        assert f"deleted {len(before) - 1:,} annotations" in undone.stdout, undone
        assert f"annotation {corrected} of task" in undone.stderr
        assert here.submitted() == {corrected}, "nothing is left but what a person changed"
        until(
            "a person's correction is learnt, and nothing else of what was submitted",
            lambda: backend.project(here.project)["annotations"] == len(here.by_people) + 1,
        )


@pytest.fixture
def studio(tmp_path: Path) -> Any:
    with RealLabelStudio(tmp_path / "label-studio") as running:
        yield running


@pytest.mark.timeout(600)
def test_a_drop_of_quality_stops_it_and_undo_leaves_nothing_but_what_people_made(
    studio: RealLabelStudio, tmp_path: Path
) -> None:
    drop_of_quality(studio, tmp_path, count=300)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_drop_of_quality_over_two_thousand_tasks(studio: RealLabelStudio, tmp_path: Path) -> None:
    drop_of_quality(studio, tmp_path, count=2000)
