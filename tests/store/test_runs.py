"""The run ledger: claimed once, fenced, coalesced, never lost."""

import pytest

from lsml.store import RunLine, Superseded
from lsml.store import claims as ledger
from lsml.store.runs import BATCH, KINDS, WAKE_AGAIN_S, WAKES

PROJECT = "1.1795424614"


@pytest.fixture
def store(opened, now):
    store = opened()
    store.projects.touch(PROJECT)
    yield store
    counted = "SELECT state, count(*) FROM run WHERE kind = ? GROUP BY state"
    for kind in KINDS:
        assert store.runs.counts(kind) == dict(store._database.execute_sql(counted, (kind,)).fetchall())


def test_requests_coalesce_into_one_waiting_run(store):
    first = store.runs.request(PROJECT, "annotations")
    again = store.runs.request(PROJECT, "annotations")
    assert again.id == first.id
    assert [run.state for run in store.runs.of_project(PROJECT)] == ["waiting"]


def test_a_burst_is_one_run_that_waits_for_quiet_at_most_ten_times(store, now):
    run = store.runs.request(PROJECT, "annotations", quiet_s=20)
    assert run.due_at == 1_020
    for at in range(1_010, 1_300, 10):
        now["now"] = at
        run = store.runs.request(PROJECT, "annotations", quiet_s=20)
    assert run.due_at == 1_200
    assert store.runs.due("training") == [run.id]


def test_a_run_waits_for_its_time_of_day_and_is_not_put_off_to_the_next(store, now):
    def request():
        return store.runs.request(PROJECT, "annotations", quiet_s=20, earliest=lambda made: made + 1_000)

    assert request().due_at == 2_000
    now["now"] = 1_995  # annotators are at work still
    run = request()
    assert run.due_at == 2_000
    now["now"] = 2_005
    assert request().due_at == 2_000
    assert store.runs.due("training") == [run.id]
    assert store.runs.request(PROJECT, "start training").due_at == 2_000


def test_start_training_does_not_wait_for_quiet(store):
    waiting = store.runs.request(PROJECT, "annotations", quiet_s=20)
    assert store.claims.claim(waiting.id) is None
    started = store.runs.request(PROJECT, "start training")
    assert started.id == waiting.id
    assert store.claims.claim(started.id).cause == "start training"


def test_a_run_is_claimed_once(store):
    run = store.runs.request(PROJECT, "annotations")
    assert store.claims.claim(run.id).attempt == 1
    assert store.claims.claim(run.id) is None


def test_one_run_of_a_project_runs_and_one_waits(store):
    first = store.runs.request(PROJECT, "annotations")
    store.claims.claim(first.id)
    second = store.runs.request(PROJECT, "annotations")
    assert second.id != first.id
    assert store.runs.request(PROJECT, "annotations").id == second.id
    assert store.claims.claim(second.id) is None
    assert store.runs.due("training") == []
    store.claims.finish(first.id, 1, "done", "v1", 1)
    assert store.runs.due("training") == [second.id]


def test_a_run_whose_worker_died_waits_for_its_next_attempt(store, now):
    run = store.runs.request(PROJECT, "annotations")
    store.claims.claim(run.id)
    now["now"] += ledger.LEASE_S + 1
    assert store.claims.sweep() == [run.id]
    assert store.claims.claim(run.id).attempt == 2


def test_a_run_that_loses_three_workers_fails_and_says_so(store, now):
    run = store.runs.request(PROJECT, "annotations")
    for _ in range(ledger.ATTEMPTS):
        assert store.claims.claim(run.id) is not None
        now["now"] += ledger.LEASE_S + 1
        store.claims.sweep()
    failed = store.runs.get(run.id)
    assert (failed.state, failed.message) == ("failed", "worker lost, 3 times; see the log of `lsml work`")


def test_a_worker_back_from_the_dead_changes_nothing(store, now):
    run = store.runs.request(PROJECT, "annotations")
    store.claims.claim(run.id)
    now["now"] += ledger.LEASE_S + 1
    store.claims.sweep()
    store.claims.claim(run.id)
    with pytest.raises(Superseded):
        store.claims.beat(run.id, 1)
    with pytest.raises(Superseded):
        store.claims.finish(run.id, 1, "done", "zombie", 7)
    with pytest.raises(Superseded):
        store.add_version(
            PROJECT, "x", {}, promote=True, keep=5, run=ledger.RunRow(**{**vars(run), "attempt": 1}), message=""
        )
    assert store.versions.of_project(PROJECT) == []
    assert store.runs.get(run.id).state == "running"


def test_a_heartbeat_keeps_the_lease(store, now):
    run = store.runs.request(PROJECT, "annotations")
    store.claims.claim(run.id)
    for _ in range(5):
        now["now"] += ledger.HEARTBEAT_S
        store.claims.beat(run.id, 1)
    assert store.claims.sweep() == []


def test_a_lost_wake_up_is_sent_again(store, now):
    run = store.runs.request(PROJECT, "annotations")
    assert store.runs.due("training") == [run.id]
    assert store.runs.due("training") == []
    now["now"] += WAKE_AGAIN_S + 1
    assert store.runs.due("training") == [run.id]


def test_every_project_has_its_turn_whatever_the_others_ask_for(store, now):
    large = store.runs.request("large", "annotations")
    for small in ("a", "b"):
        now["now"] += 1
        store.runs.request(small, "annotations")
    turns = []
    for _ in range(4):
        now["now"] += 1
        run = store.claims.claim(store.runs.first_due("training"))
        turns.append(run.project)
        store.runs.request("large", "annotations")  # annotations never stop there
        store.claims.finish(run.id, run.attempt, "done", "")
    assert turns == ["large", "a", "b", "large"]
    assert store.runs.get(large.id).state == "done"


def test_a_run_of_a_busy_project_is_nobodys_turn(store):
    run = store.runs.request(PROJECT, "annotations")
    store.claims.claim(run.id)
    store.runs.request(PROJECT, "annotations")
    assert store.runs.first_due("training") is None
    assert store.runs.first_due("publishing") is None


def test_a_few_of_many_due_runs_are_woken_at_a_time(store, now):
    for number in range(2 * WAKES + 1):
        store.runs.request(f"p{number}", "annotations")
    assert [len(store.runs.due("training")) for _ in range(4)] == [WAKES, WAKES, 1, 0]


def test_one_of_many_workers_sweeps_at_a_time(store, now):
    assert [store.workers.takes_turn("sweep", 0.9) for _ in range(3)] == [True, False, False]
    now["now"] += 1
    assert [store.workers.takes_turn("sweep", 0.9) for _ in range(3)] == [True, False, False]
    now["now"] -= 3600
    assert store.workers.takes_turn("sweep", 0.9), "the clock was set back"


def test_a_wake_up_is_sent_again_when_the_clock_was_set_back(store, now):
    run = store.runs.request(PROJECT, "annotations")
    store.runs.due("training")
    now["now"] -= 3_600
    store.runs.request(PROJECT, "start training")
    assert store.runs.due("training") == [run.id]


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_is_asked(store):
    waiting = store.runs.request(PROJECT, "annotations")
    assert store.runs.cancel(waiting.id).state == "cancelled"
    running = store.runs.request(PROJECT, "annotations")
    store.claims.claim(running.id)
    assert store.runs.cancel(running.id).state == "running"
    assert store.runs.get(running.id).cancel


def test_a_run_that_is_handed_back_costs_no_attempt_and_covers_the_one_that_waits(store):
    first = store.runs.request(PROJECT, "annotations")
    store.claims.claim(first.id)
    second = store.runs.request(PROJECT, "annotations")
    store.claims.hand_back(first.id, 1)
    assert store.runs.get(first.id).state == "waiting"
    assert (store.runs.get(second.id).state, store.runs.get(second.id).message) == (
        "cancelled",
        f"covered by run {first.id}",
    )
    assert store.claims.claim(first.id).attempt == 2
    for _ in range(ledger.ATTEMPTS - 1):  # a hand-back is no loss
        store.claims.lose(first.id, store.runs.get(first.id).attempt, "killed")
        assert store.claims.claim(first.id) is not None


def test_changes_after_a_claim_ask_for_the_next_run(store):
    from tests.store.test_annotations import seen

    store.annotations.apply(PROJECT, [seen(id=str(number)) for number in range(3)])
    run = store.runs.request(PROJECT, "annotations")
    store.claims.claim(run.id)
    assert store.annotations.counts(PROJECT) == (3, 0)
    store.annotations.apply(PROJECT, [seen(id="9")])
    assert store.annotations.counts(PROJECT) == (4, 1)


@pytest.mark.parametrize(
    ("promoted", "keep", "left"),
    [(1, 2, [4, 1]), (4, 2, [4, 3]), (3, 3, [4, 3, 2]), (2, 1, [2]), (4, 1, [4]), (1, 4, [4, 3, 2, 1]), (None, 1, [4])],
)
def test_at_most_keep_versions_stay_the_promoted_one_among_them(store, promoted, keep, left):
    for _ in range(4):
        store.versions.add(PROJECT, "folder", {}, promote=False, run=None)
    if promoted is not None:
        store.versions.promote(PROJECT, promoted)
    gone = [row.number for row in store.versions.prune(PROJECT, keep)]
    assert [row.number for row in store.versions.of_project(PROJECT)] == left
    assert sorted(left + gone) == [1, 2, 3, 4]


def test_old_runs_go_with_their_logs_and_the_last_one_stays(store, now):
    def end(state: str, kind: str = "training") -> str:
        run = store.claims.claim(store.runs.request(PROJECT, "start training", kind=kind).id)
        store.run_lines.add(run.id, [RunLine(at=now["now"], level="INFO", text="fits")])
        store.claims.finish(run.id, run.attempt, state, "", None)
        now["now"] += 100
        return run.id

    old, failed, review = end("done"), end("failed"), end("done", "review")  # ended at 1000, 1100 and 1200
    never = store.runs.request(PROJECT, "start training").id
    store.runs.cancel(never)  # at 1300
    now["now"] = 2_000
    assert store.delete_old_runs(1_001) == 0
    assert store.delete_old_runs(1_000) == 1
    assert store.runs.get(old) is None
    assert store.run_lines.of_run(old) == []
    assert store.delete_old_runs(700) == 1
    assert store.runs.get(never) is None
    assert store.runs.last(PROJECT, "training").id == failed
    assert len(store.run_lines.of_run(failed)) == 1
    newest, waiting = end("done"), store.runs.request(PROJECT, "start training").id
    now["now"] = 10_000
    assert store.delete_old_runs(0) == 1
    assert [run.id for run in store.runs.of_project(PROJECT)] == [waiting, newest]
    assert store.runs.last(PROJECT, "review").id == review
    assert store.delete_old_runs(0) == 0


def test_many_old_runs_go_in_turns(store, now):
    with store.transaction():
        for _ in range(BATCH + 1):
            store.runs.cancel(store.runs.request(PROJECT, "start training").id)
    assert [store.delete_old_runs(0) for _ in range(3)] == [BATCH, 1, 0]


def test_a_version_number_is_never_used_twice(store):
    for _ in range(3):
        store.versions.add(PROJECT, "folder", {}, promote=False, run=None)
    store.versions.promote(PROJECT, 1)
    store.versions.prune(PROJECT, 1)
    assert store.versions.add(PROJECT, "folder", {}, promote=True, run=None) == 4
    assert store.versions.promoted(PROJECT) == 4


def test_a_publishing_that_gets_on_survives_any_number_of_deaths_and_others_three(store):
    def die(kind: str, progress: float) -> str:
        run = store.claims.claim(store.runs.of_project(PROJECT, 1, kind=kind)[0].id)
        store.claims.report(run.id, run.attempt, progress, "getting on")
        store.claims.lose(run.id, run.attempt, "killed")
        return store.runs.get(run.id).state

    store.runs.request(PROJECT, "start training")
    store.runs.request(PROJECT, "publishing", kind="publishing")
    assert [die("training", 0.5) for _ in range(3)] == ["waiting", "waiting", "failed"]
    assert [die("publishing", 0.1) for _ in range(5)] == ["waiting"] * 5
    assert [die("publishing", 0.0) for _ in range(3)] == ["waiting", "waiting", "failed"]
