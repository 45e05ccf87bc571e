"""Submitting into a small Label Studio: what is sure becomes an annotation once, people's answers stop it, undo leaves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lsml.adapters.base import Adapter
from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.publishing import Patience, PublishInputs, Submitted, Submitting, submit, undo
from lsml.publishing.submit import Calibration, Precision, is_audited
from lsml.recipe import LearnFrom, Submit, load_recipe
from lsml.store import AnnotationSeen, Store
from lsml.studio.client import Studio
from lsml.studio.connection import fetcher
from lsml.values import Choice
from lsml.versions import names_of
from tests.conftest import TOPICS, choice, write_recipe
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.web import Answer, Asked, Web

PROJECT = "7.1795424614"
ME, SOMEBODY = "2026-11-27T10:00:00.000000Z", "2026-11-27T11:00:00.000000Z"


class Sure(Adapter):
    """A model that says Bug, as sure as the text says."""

    name = "sure"
    own_names = False

    def predict(self, batch):
        return [[Choice("Bug", float(text.split()[0]))] for text in batch]


@dataclass
class World:
    """A project of the small Label Studio, the store, and people who answer what is left to them."""

    studio: SmallStudio
    store: Store
    client: Studio
    given: Submitting
    truth: Callable[[int], str] = lambda _task: "Bug"
    answered: set[str] = field(default_factory=set)

    def submit(self, **settings: Any) -> Submitted:
        return submit(replace(self.given, refresh=self.people_answer, **settings))

    def people_answer(self) -> None:
        for one in self.store.submissions.of_project(PROJECT, audit=True):
            if one.task not in self.answered:
                self.answered.add(one.task)
                self.annotate(int(one.task), self.truth(int(one.task)))

    def annotate(self, task: int, label: str) -> None:
        seen = AnnotationSeen(
            id=f"9{task}",
            task_id=str(task),
            result=choice(label),
            updated_at=SOMEBODY,
            task_data=self.studio.tasks[task],
        )
        self.store.annotations.apply(PROJECT, [seen])

    def undo(self) -> tuple[int, list[str]]:
        told: list[str] = []
        return undo(self.store, PROJECT, self.client.annotator(), told.append), told


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    recipe = load_recipe(write_recipe(tmp_path))
    binding = bind(recipe, parse_labeling_config(TOPICS))
    model = binding.models[0]
    store = Store(tmp_path / "data")
    store.projects.touch(PROJECT, studio_id=7, labeling_config=TOPICS)
    opened: list[Any] = []

    def make(studio: SmallStudio, above: float = 0.9, audit: float = 0.1) -> World:
        web = Web(studio)
        opened.append(web)
        web.__enter__()
        client = Studio(web.url, TOKEN)
        inputs = PublishInputs(
            predictions=client.predictions(7), binding=binding,
            adapters={model.key: Sure(model.spec.options, model.target)}, model_version="triage-v1-00000000",
            fetch=fetcher(recipe, None), patience=Patience(first_s=0.01, longest_s=0.02), ours=names_of("triage"),
        )  # fmt: skip
        given = Submitting(
            inputs=inputs, store=store, project=PROJECT, settings=Submit(above, audit), annotator=client.annotator(),
            learnt=frozenset(),
        )  # fmt: skip
        return World(studio, store, client, given)

    yield make
    for web in opened:
        web.__exit__(None, None, None)
    store.close()


def tasks(count: int, confidence: Callable[[int], float] = lambda _id: 0.99) -> dict[int, dict]:
    return {id: {"text": f"{confidence(id):.2f} number {id}"} for id in range(1, count + 1)}


def test_what_is_sure_becomes_an_annotation_and_the_rest_stays_with_people(world):
    here = world(SmallStudio(tasks(200, lambda id: 0.99 if id % 2 else 0.6), labelled={1, 3}))
    done = here.submit()
    audit = {int(one.task) for one in here.store.submissions.of_project(PROJECT, audit=True)}
    made = {one["task"] for one in here.studio.annotations.values()}
    assert audit == {id for id in range(5, 201, 2) if is_audited(str(id), 0.1)}
    assert made == set(range(5, 201, 2)) - audit
    assert (done.submitted, done.audit, done.unsure) == (len(made), len(audit), 100)
    assert all(one["result"][0]["value"] == {"choices": ["Bug"]} for one in here.studio.annotations.values())
    assert here.submit().submitted == 0, "nothing is left to submit"


def test_several_workers_submit_the_same(world):
    here = world(SmallStudio(tasks(120, lambda id: 0.99 if id % 2 else 0.6)))
    several = replace(here.given.inputs, workers=3)
    done = here.submit(inputs=several)
    assert {one["task"] % 2 for one in here.studio.annotations.values()} == {1}
    assert (done.submitted + done.audit, done.unsure) == (60, 60)
    here.studio.tasks = {id: data for id, data in here.studio.tasks.items() if id % 2}
    assert here.submit(inputs=several).submitted == 0, "also of a page on which nothing is left to predict"


@pytest.mark.slow
def test_a_drop_of_quality_stops_it_and_undo_leaves_nothing_behind(world):
    here = world(SmallStudio(tasks(2000)), audit=0.05)
    here.truth = lambda task: "Bug" if task <= 1000 or task % 3 == 0 else "Billing"
    done = here.submit()
    assert done.stopped is not None
    assert done.precision.below(0.9)
    assert "is below 0.9" in done.stopped
    assert 900 < done.submitted < 1900
    assert len(here.studio.annotations) == done.submitted
    again = here.submit()
    assert (again.submitted, again.stopped is not None) == (0, True), "it does not begin anew"
    assert here.undo() == (done.submitted, [])
    assert here.studio.annotations == {}
    assert here.store.submissions.known(PROJECT) == set()


def test_another_version_is_measured_by_its_own_audit(world):
    here = world(SmallStudio(tasks(600)), audit=0.2)
    here.truth = lambda _task: "Billing"
    assert here.submit().stopped is not None
    here.truth = lambda _task: "Bug"
    done = submit(
        replace(
            here.given,
            refresh=here.people_answer,
            inputs=replace(here.given.inputs, model_version="triage-v2-00000000"),
        )
    )
    assert done.stopped is None
    assert done.precision.share == 1.0


def test_a_dry_run_submits_nothing(world):
    here = world(SmallStudio(tasks(50)))
    done = here.submit(dry=True)
    assert done.submitted + done.audit == 50
    assert here.studio.annotations == {}
    assert here.store.submissions.known(PROJECT) == set()
    assert str(done).startswith(f"would submit {done.submitted} tasks")


@pytest.mark.parametrize("stored", [True, False])
def test_where_nobody_says_whether_it_was_stored_it_is_stored_once(world, stored):
    failing = {"left": 5}

    def before(asked: Asked) -> Answer | None:
        if asked.method == "POST" and failing["left"]:
            failing["left"] -= 1
            if stored:
                studio.answer(asked)
            return Answer(502)
        return None

    studio = SmallStudio(tasks(20), before=before)
    here = world(studio)
    done = here.submit()
    assert len(studio.annotations) == done.submitted
    assert len({one["task"] for one in studio.annotations.values()}) == done.submitted


def test_one_that_was_begun_when_the_process_was_killed_is_finished_once(world):
    here = world(SmallStudio(tasks(20)))
    here.submit()
    first = here.store.submissions.of_project(PROJECT, audit=False)[0]
    # Killed after Label Studio stored it, before its id was noted.
    here.store.submissions._run("UPDATE submission SET annotation = NULL WHERE task = ?", first.task)
    before = len(here.studio.annotations)
    here.submit()
    assert len(here.studio.annotations) == before
    assert here.store.submissions.of_project(PROJECT, audit=False)[0].annotation == first.annotation


def test_lsml_never_learns_what_it_submitted_unless_a_person_changed_it(world):
    here = world(SmallStudio(tasks(10)))
    here.submit()
    one, other, *_ = here.store.submissions.of_project(PROJECT, audit=False)

    def told(submission, result=None, **more) -> None:
        seen = AnnotationSeen(
            id=str(submission.annotation), task_id=submission.task, result=result or submission.result, updated_at=ME,
            task_data=here.studio.tasks[int(submission.task)], **{"untouched": True, **more},
        )  # fmt: skip
        here.store.annotations.apply(PROJECT, [seen])

    counts = here.store.annotations.counts
    before = counts(PROJECT, LearnFrom(accepted=True))[0]
    told(one)
    assert counts(PROJECT, LearnFrom(accepted=True))[0] == before, "not even where accepted predictions teach"
    # Label Studio tells of one before its id is noted.
    here.store.submissions._run("UPDATE submission SET annotation = NULL WHERE task = ?", other.task)
    told(other, unique_id=other.unique_id)
    assert counts(PROJECT, LearnFrom(accepted=True))[0] == before
    told(one, choice("Billing"), untouched=False, unique_id=one.unique_id)
    assert counts(PROJECT)[0] == before + 1
    # What is deleted is no longer counted, and was not counted before.
    third = here.store.submissions.of_project(PROJECT, audit=False)[2]
    told(third)
    counted = counts(PROJECT, LearnFrom(accepted=True)), counts(PROJECT)[0]
    here.store.annotations.delete(PROJECT, [str(third.annotation)])
    assert (counts(PROJECT, LearnFrom(accepted=True))[0], counts(PROJECT)[0]) == (counted[0][0], counted[1])
    taught = {task.id: task.annotations[0].submitted for task in here.store.annotations.tasks(PROJECT)}
    assert (taught[one.task], taught[other.task]) == (False, True)


def test_undo_leaves_what_a_person_changed_and_says_so(world):
    here = world(SmallStudio(tasks(10)))
    done = here.submit()
    here.studio.annotations[1]["result"] = choice("Billing")
    here.studio.annotations[2]["lead_time"] = 4.0
    gone = here.studio.annotations.pop(3)
    deleted, told = here.undo()
    assert deleted == done.submitted - 2
    assert sorted(here.studio.annotations) == [1, 2]
    assert len(told) == 2
    assert "stays: a person changed it" in told[0]
    assert gone["task"] not in {int(one.task) for one in here.store.submissions.of_project(PROJECT, audit=False)}


def test_confidence_is_calibrated_on_what_the_version_never_learnt(world):
    here = world(SmallStudio(tasks(300, lambda id: 0.95 if id <= 200 else 0.7)))
    # People say that of the 0.95 only half are right: such a version is not sure of anything.
    for task in range(1, 61):
        here.annotate(task, "Bug" if task % 2 else "Billing")
    here.studio.labelled |= set(range(1, 61))
    done = here.submit(dry=True)
    assert done.calibrated == 60
    assert done.submitted == 0


def test_few_held_out_tasks_leave_the_confidence_as_it_is():
    assert Calibration([(0.9, False)] * 10)(0.97) == 0.97
    curve = Calibration([(0.9, True)] * 90 + [(0.9, False)] * 10 + [(0.5, False)] * 30)
    assert 0.85 < curve(0.9) < 0.92
    assert curve(0.5) < 0.1


def test_precision_is_told_with_its_interval_and_stops_below_the_bar():
    low, high = Precision(95, 100).interval
    assert (round(low, 3), round(high, 3)) == (0.888, 0.978)  # Wilson's, as statsmodels has it
    assert Precision(0, 0).interval == (0.0, 1.0)
    assert not Precision(0, 0).below(0.98)
    assert not Precision(9, 10).below(0.98)  # few answers, which might still come from one that is good enough
    assert Precision(19, 20).below(0.98)
    assert Precision(3, 10).below(0.98)
    assert not Precision(99, 100).below(0.98)


def test_the_audit_is_a_share_by_a_hash_and_no_other_than_asked():
    share = sum(is_audited(str(id), 0.05) for id in range(20_000)) / 20_000
    assert share == pytest.approx(0.05, abs=0.006)
    assert all(is_audited(str(id), 1.0) for id in range(100))
