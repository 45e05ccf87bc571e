"""When a publishing is asked for: where something can answer, and it is known how to reach Label Studio."""

from __future__ import annotations

import itertools

import pytest

from lsml.worker import publishing
from lsml.worker.publishing import want_publishing
from tests.conftest import PROJECT_KEY

ON_ENGINES = True
_NUMBERS = itertools.count(1)
KNOWN = "label_studio: {url: 'http://127.0.0.1:9', api_key: '0123456789abcdef0123456789abcdef01234567'}\n"


def wanted(backend, recipe: str, *, learnt: bool) -> bool:
    made = backend(recipe)
    made.store.projects.touch(PROJECT_KEY, studio_id=1)
    if learnt:
        made.store.versions.add(PROJECT_KEY, "folder", {}, promote=True, run=None)
    made.store.projects.want_publishing(PROJECT_KEY)
    want_publishing(made.recipe, made.store)
    asked = bool(made.store.runs.of_project(PROJECT_KEY, kind="publishing"))
    now = made.store.projects.get(PROJECT_KEY)
    assert now.publish_wanted is not asked, "a wish stays until a run meets it"
    return asked


@pytest.mark.parametrize(
    ("recipe", "learnt", "expected"),
    [
        (KNOWN, True, True),
        (KNOWN, False, False),  # a process would start to find nothing to do
        (KNOWN + "publish: {order: diverse, field: lsml_score}\n", False, True),  # tasks are put in order
        ("", True, False),  # nobody says where Label Studio is
        (KNOWN + "publish: false\n", True, False),
    ],
)
def test_a_publishing_is_asked_for_where_it_can_do_something(backend, recipe, learnt, expected):
    assert wanted(backend, recipe, learnt=learnt) is expected


def test_a_wish_is_met_once(backend):
    made = backend(KNOWN)
    made.store.projects.touch(PROJECT_KEY, studio_id=1)
    made.store.versions.add(PROJECT_KEY, "folder", {}, promote=True, run=None)
    for _ in range(2):
        want_publishing(made.recipe, made.store)
        assert len(made.store.runs.of_project(PROJECT_KEY, kind="publishing")) == 1


def test_the_wishes_of_many_projects_are_met_in_turns_so_that_each_sweep_takes_a_moment(backend, monkeypatch):
    monkeypatch.setattr(publishing, "_AT_ONCE", 2)
    made = backend(KNOWN)
    with made.store.transaction():
        for number in range(5):
            made.store.projects.touch(f"{number}.1", studio_id=number)
            if number:  # the first has nothing to publish, and keeps nobody waiting
                made.store.versions.add(f"{number}.1", "folder", {}, promote=True, run=None)
    made.store.projects.want_publishings()
    for waiting in (2, 4, 4):
        want_publishing(made.recipe, made.store)
        assert made.store.runs.counts("publishing") == {"waiting": waiting}
    assert [row.key for row in made.store.projects.to_publish()] == ["0.1"]


def test_a_token_that_can_never_work_asks_for_none_and_is_said_once_though_a_worker_looks_every_second(backend, caplog):
    made = backend("label_studio: {url: 'http://127.0.0.1:9', api_key: 'two words'}\n")
    key = f"{next(_NUMBERS)}.33"  # it is said once in a process
    made.store.projects.touch(key, studio_id=1)
    made.store.versions.add(key, "folder", {}, promote=True, run=None)
    for _ in range(3):
        want_publishing(made.recipe, made.store)
    assert not made.store.runs.of_project(key, kind="publishing")
    assert caplog.text.count(f"project {key}: label_studio.api_key: contains spaces") == 1
