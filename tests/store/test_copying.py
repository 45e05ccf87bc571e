"""A copy of a database has every row of one moment, on whatever engine, and no token where it is for others."""

import sqlite3

from lsml.store.copying import copy_rows
from tests.store.test_annotations import PROJECT, seen

TABLES = {"meta": 2, "project": 1, "task": 3, "annotation": 3, "run": 1, "version": 1, "action": 2, "review": 1}


def filled(store):
    store.projects.touch(PROJECT, title="Späte Tickets", hostname="http://localhost:8080", token="0123456789abcdef")
    store.annotations.apply(PROJECT, [seen(str(id), str(id)) for id in range(3)])
    store.runs.request(PROJECT, "annotations")
    store.versions.add(PROJECT, "1.1/folder", {"models": {}}, promote=True, run=None)
    for verb in ("promote", "train"):
        store.actions.note("ana", "127.0.0.1", verb, PROJECT)
    store.reviews.keep(PROJECT, {"suspects": []})
    return store


def test_every_row_is_copied_and_counting_goes_on(opened):
    source, target = filled(opened("source")), opened("target")
    copy_rows(source._database, target._database)
    assert target.projects.all() == source.projects.all()
    assert list(target.annotations.tasks(PROJECT)) == list(source.annotations.tasks(PROJECT))
    assert target.runs.of_project(PROJECT) == source.runs.of_project(PROJECT)
    assert target.versions.of_project(PROJECT) == source.versions.of_project(PROJECT)
    target.actions.note("bob", "127.0.0.1", "cancel", PROJECT)
    assert [action.what for action in target.actions.latest(PROJECT)] == ["cancel", "train", "promote"]
    assert target.versions.add(PROJECT, "1.1/other", {}, promote=True, run=None) == 2


def test_a_file_for_others_has_everything_but_the_token(opened, tmp_path):
    store = filled(opened())
    assert store.copy_database(tmp_path / "copy.db") == store.versions.of_project(PROJECT)
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        for table, rows in TABLES.items():
            assert copy.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows,), table
        assert copy.execute("SELECT title, hostname, token FROM project").fetchall() == [("Späte Tickets", None, None)]
    copy.close()
