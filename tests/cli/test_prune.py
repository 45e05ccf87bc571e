"""`lsml prune`: old runs go, and nothing else."""

import sqlite3
from contextlib import closing

from lsml.store import Store
from tests.conftest import write_recipe
from tests.support.commands import lsml, refused, said


def test_old_runs_are_deleted_while_the_data_is_in_use(tmp_path):
    write_recipe(tmp_path)
    data = tmp_path / "data"
    store = Store(data)
    for project in ("old", "new"):
        store.runs.cancel(store.runs.request(project, "start training").id)
        store.versions.add(project, "folder", {}, promote=False, run=None)
    with closing(sqlite3.connect(data / "lsml.db", isolation_level=None)) as database:
        database.execute("UPDATE run SET finished_at = finished_at - 9 * 86400 - 1 WHERE project = 'old'")
    asked = ("prune", "triage.yaml", "--days", "9", "--data-dir", data)
    assert said(lsml(*asked, "--dry-run", cwd=tmp_path)) == "would delete 1 run that ended 9 days ago or earlier\n"
    assert store.runs.counts() == {"cancelled": 2}
    told = said(lsml(*asked, cwd=tmp_path))
    assert told == "deleted 1 run that ended 9 days ago or earlier\n"
    assert [len(store.runs.of_project(project)) for project in ("old", "new")] == [0, 1]
    assert store.runs.counts() == {"cancelled": 1}
    assert [len(store.versions.of_project(project)) for project in ("old", "new")] == [1, 1]
    store.close()


def test_runs_of_today_cannot_be_named(tmp_path):
    write_recipe(tmp_path)
    told = refused(lsml("prune", "triage.yaml", "--days", "0", "--data-dir", tmp_path / "data", cwd=tmp_path))
    assert "0 is not in the range x>=1" in told
