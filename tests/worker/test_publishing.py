"""When a publishing is asked for: where something can answer, and it is known how to reach Label Studio."""

from __future__ import annotations

import itertools

import pytest

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
    row = made.store.projects.get(PROJECT_KEY)
    asked = want_publishing(made.recipe, made.store, row)
    assert asked == bool(made.store.runs.of_project(PROJECT_KEY, kind="publishing"))
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
    assert want_publishing(made.recipe, made.store, made.store.projects.get(PROJECT_KEY))
    assert not want_publishing(made.recipe, made.store, made.store.projects.get(PROJECT_KEY))
    assert len(made.store.runs.of_project(PROJECT_KEY, kind="publishing")) == 1


def test_a_token_that_can_never_work_asks_for_none_and_is_said_once_though_a_worker_looks_every_second(backend, caplog):
    made = backend("label_studio: {url: 'http://127.0.0.1:9', api_key: 'two words'}\n")
    key = f"{next(_NUMBERS)}.33"  # it is said once in a process
    made.store.projects.touch(key, studio_id=1)
    made.store.versions.add(key, "folder", {}, promote=True, run=None)
    for _ in range(3):
        assert not want_publishing(made.recipe, made.store, made.store.projects.get(key))
    assert caplog.text.count(f"project {key}: label_studio.api_key: contains spaces") == 1
