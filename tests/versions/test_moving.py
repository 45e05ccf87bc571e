"""A data directory that learnt moves to PostgreSQL and S3 while annotations arrive, and what was acknowledged is there."""

import json
import threading

import pytest

from lsml.errors import StoreError
from lsml.store import Store
from tests.conftest import PROJECT_KEY, Backend, event, tickets, write_recipe
from tests.support.commands import lsml, refused, said
from tests.support.engines import postgres_server, s3_bucket


@pytest.fixture
def learnt(tmp_path):
    """A backend on a data directory that learnt one version."""
    backend = Backend(write_recipe(tmp_path), tmp_path / "data")
    backend.annotate(tickets(40))
    assert backend.train()["version"] == 1
    yield backend
    backend.store.close()


@pytest.mark.slow
def test_everything_is_there_and_serves_the_same_and_the_old_place_takes_no_more(learnt, tmp_path, monkeypatch):
    texts = [text for text, _ in tickets(20, seed=7)]
    before = learnt.predict(*texts, project=PROJECT_KEY)
    acknowledged: list[int] = []
    refusals: list[str] = []

    def annotate() -> None:
        client = learnt.app.test_client()
        for id in range(1000, 4000):
            answer = client.post("/webhook", json=event(id, f"text {id}", "Bug"))
            if answer.status_code not in (200, 201):
                refusals.append(answer.get_data(as_text=True))
                return
            acknowledged.append(id)

    with postgres_server() as server, s3_bucket() as bucket:
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        storage = json.dumps({"database": server.url, "artifacts": bucket.url})
        (tmp_path / "new").mkdir()
        recipe = write_recipe(tmp_path / "new", f"storage: {storage}\n")
        annotators = threading.Thread(target=annotate)
        annotators.start()
        told = said(lsml("migrate", recipe, "--data-dir", tmp_path / "data", cwd=tmp_path))
        annotators.join(60)
        assert told.startswith("moved 1 project and 1 version to postgresql://127.0.0.1:")
        assert "was moved to postgresql://127.0.0.1:" in refusals[0]
        assert refusals[0].count("restart lsml with the recipe that names it")
        assert learnt.predict(*texts, project=PROJECT_KEY) == before, "the old one still predicts"
        with pytest.raises(StoreError, match="was moved to postgresql://"):
            Store(tmp_path / "data")

        after = Backend(recipe, tmp_path / "elsewhere")
        assert after.predict(*texts, project=PROJECT_KEY) == before
        stored = {task.id for task in after.store.annotations.tasks(PROJECT_KEY)}
        assert stored == {str(id) for id in (*range(1, 41), *acknowledged)}
        assert acknowledged, "annotations arrived meanwhile"
        after.store.close()
        again = refused(lsml("migrate", recipe, "--data-dir", tmp_path / "data", cwd=tmp_path), 1)
        assert "was moved to postgresql://" in again


def test_a_recipe_without_a_database_is_nothing_to_move_to(tmp_path):
    write_recipe(tmp_path)
    told = refused(lsml("migrate", "triage.yaml", "--data-dir", "data", cwd=tmp_path))
    assert told.strip() == ("triage.yaml: names no database to move to; add `storage: {database: postgresql://...}`")
