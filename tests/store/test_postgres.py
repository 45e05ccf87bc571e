"""What PostgreSQL alone has: a server that restarts and is shared, a clock of its own, a schema for each recipe."""

import gc
import threading
import time
from contextlib import suppress

import pytest

from lsml.errors import StoreError, Unreachable
from lsml.recipe import Storage
from lsml.store import Store
from tests.store.test_annotations import PROJECT, seen
from tests.support.backend import until
from tests.support.engines import postgres_server
from tests.support.threads import ended_threads

pytestmark = pytest.mark.slow


@pytest.fixture
def url(postgres):
    return postgres


@pytest.fixture
def statement(url):
    """Executes a statement as an administrator does."""
    import psycopg

    def execute(sql: str) -> list[tuple]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    return execute


def opened(url, tmp_path, name):
    return Store(tmp_path, Storage(database=url), name)


def test_recipes_share_a_database_and_see_nothing_of_each_other(url, tmp_path):
    one, other = opened(url, tmp_path, "Recipe.One"), opened(url, tmp_path, "a-very-long-name" * 4)
    one.projects.touch(PROJECT)
    assert [row.key for row in one.projects.all()] == [PROJECT]
    assert other.projects.all() == []


def test_tables_that_a_newer_lsml_made_are_refused_at_the_start_and_meanwhile(url, tmp_path, statement):
    store = opened(url, tmp_path, "newer")
    statement("UPDATE newer.meta SET value = '99' WHERE key = 'format'")
    refused = r"postgresql://127.0.0.1:\d+/postgres: has format 99, and this lsml reads format \d+; use the lsml that wrote it"
    with pytest.raises(StoreError, match=refused):
        opened(url, tmp_path, "newer")
    with pytest.raises(StoreError, match=refused):
        store.projects.touch(PROJECT)
    statement("UPDATE newer.meta SET value = '9' WHERE key = 'format'")
    store.projects.touch(PROJECT)


def test_writers_of_all_processes_come_one_after_another(url, tmp_path):
    stores = [opened(url, tmp_path, "writers") for _ in range(4)]  # each has its own connections, as a process has
    stores[0].projects.touch(PROJECT)

    def write(number: int) -> None:
        for id in range(20):
            stores[number].annotations.apply(PROJECT, [seen(str(number * 100 + id)), seen("shared", at=id)])

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert stores[0].annotations.counts(PROJECT) == (81, 81)
    assert stores[0].projects.get(PROJECT).change == 81, "no change is counted twice"


def test_tasks_are_read_while_others_are_written(url, tmp_path):
    store = opened(url, tmp_path, "reading")
    store.projects.touch(PROJECT)
    store.annotations.apply(PROJECT, [seen(str(id), str(id)) for id in range(500)])
    read = []
    for task in store.annotations.tasks(PROJECT):
        store.annotations.delete(PROJECT, [task.annotations[0].id])
        read.append(task.id)
    assert len(read) == 500, "the reading shows one moment"
    assert list(store.annotations.tasks(PROJECT)) == []


def test_leases_end_by_the_clock_of_the_database(url, tmp_path, monkeypatch):
    worker = opened(url, tmp_path, "clock")
    worker.projects.touch(PROJECT)
    run = worker.runs.request(PROJECT, "annotations")
    assert worker.claims.claim(run.id) is not None
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)  # this machine's clock is an hour ahead
    other = opened(url, tmp_path, "clock")
    assert other.claims.sweep() == []
    worker.claims.beat(run.id, 1)
    assert abs(other.runs.get(run.id).started_at - real()) < 60


def test_a_restart_of_the_server_costs_no_restart_of_lsml(tmp_path):
    with postgres_server() as server:
        store = opened(server.url, tmp_path, "restarted")

        def restart() -> None:
            server.stop()
            server.start()

        store.projects.touch(PROJECT)
        restart()
        assert store.projects.get(PROJECT) is not None
        restart()
        store.annotations.apply(PROJECT, [seen()])
        restart()
        assert len(list(store.annotations.tasks(PROJECT))) == 1
        with pytest.raises(Unreachable, match="check that it runs"), store.transaction():
            store.annotations.apply(PROJECT, [seen("2")])
            restart()
            store.annotations.apply(PROJECT, [seen("3")])
        assert store.annotations.counts(PROJECT)[0] == 1, "a transaction happens whole or not at all"
        server.stop()
        for ask in (lambda: store.projects.get(PROJECT), lambda: store.projects.touch(PROJECT)):
            with pytest.raises(Unreachable, match=r"postgresql://127.0.0.1:\d+/postgres: .*; check that it runs"):
                ask()
        server.start()
        assert store.projects.get(PROJECT) is not None


def test_an_address_without_a_server_is_a_sentence_without_the_password(tmp_path):
    with pytest.raises(StoreError) as error:
        opened("postgresql://lsml:very-secret@127.0.0.1:1/lsml", tmp_path, "nowhere")
    assert str(error.value).startswith("postgresql://127.0.0.1:1/lsml: connection failed")
    assert str(error.value).endswith("storage.database of the recipe is its address; lsml tries again")
    assert "very-secret" not in str(error.value)


def test_a_known_projects_annotation_costs_few_round_trips(url, tmp_path, monkeypatch):
    from lsml.store.postgres import Postgres

    store = opened(url, tmp_path, "trips")
    touched = {"title": "Tickets", "labeling_config": "<View/>", "config_at": 5.0}
    store.projects.touch(PROJECT, **touched)
    sent, send = [], Postgres._sent

    def counted(database, statement, params=()):
        sent.append(statement)
        return send(database, statement, params)

    monkeypatch.setattr(Postgres, "_sent", counted)
    with store.transaction():
        store.projects.touch(PROJECT, **touched)
        assert store.annotations.apply(PROJECT, [seen(lead_time_s=2.0)]) == 1
        assert store.annotations.changes_at_most(PROJECT) == 1
    # And one that begins: the project, what is known of the annotation, the changes.
    assert len(sent) == 4, sent
    assert sent[-1] == "COMMIT"


def test_a_statement_that_fails_after_it_was_put_off_undoes_its_transaction(url, tmp_path):
    store = opened(url, tmp_path, "later")
    store.projects.touch(PROJECT)
    again = ("INSERT INTO project (key, created_at) VALUES (?, ?)", (PROJECT, 1.0))
    with pytest.raises(StoreError, match="duplicate key"), store.transaction():
        store.annotations.apply(PROJECT, [seen()])
        store._database.execute_later(*again)
    with pytest.raises(ZeroDivisionError), store.transaction():
        store._database.execute_later(*again)
        raise ZeroDivisionError
    with pytest.raises(StoreError, match="duplicate key"):
        store._database.execute_later(*again)
    assert store.annotations.counts(PROJECT) == (0, 0)
    store.annotations.apply(PROJECT, [seen()])
    assert store.annotations.counts(PROJECT) == (1, 1), "nothing of the failed transactions is left"


def test_a_transaction_that_the_server_undid_is_an_error_also_where_somebody_caught_its_reason(url, tmp_path):
    store = opened(url, tmp_path, "caught")
    store.projects.touch(PROJECT)
    with pytest.raises(StoreError, match="undid a transaction, as a statement of it failed"), store.transaction():
        store.annotations.apply(PROJECT, [seen()])
        with suppress(StoreError):
            store._database.execute_sql("SELECT 1 FROM missing", ())
    store.annotations.apply(PROJECT, [seen()])
    assert store.annotations.counts(PROJECT) == (1, 1)


def test_a_commit_that_finds_the_server_gone_is_an_error_and_no_acknowledgement(tmp_path):
    with postgres_server() as server:
        store = opened(server.url, tmp_path, "gone")
        store.projects.touch(PROJECT)
        with pytest.raises(Unreachable), store.transaction():
            store.annotations.apply(PROJECT, [seen()])
            server.stop()
            server.start()
        assert store.annotations.counts(PROJECT) == (0, 0)
        store.annotations.apply(PROJECT, [seen()])
        assert store.annotations.counts(PROJECT) == (1, 1)


def test_the_connection_of_a_thread_is_closed_when_the_thread_ends(url, tmp_path, statement):
    def connections() -> int:
        return statement("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lsml'")[0][0]

    store = opened(url, tmp_path, "threads")
    store.projects.all()
    gc.collect()
    before = connections()
    with ended_threads(store.projects.all):  # a collection would close their connections, sooner or later
        until("their connections are closed", lambda: connections() <= before)
