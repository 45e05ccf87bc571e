"""What to look at: the least sure tasks, and annotations that are probably wrong."""

from __future__ import annotations

import re

from lsml.worker.child import do_run
from tests.conftest import PROJECT_KEY, tickets


def test_a_review_is_asked_for_by_a_button_done_by_a_worker_and_shown(backend):
    server = backend("training: {every: 1000}\n")
    pairs = tickets(60)
    wrong = {10: "Bug", 20: "Billing"}  # tickets 10 and 20 are of another label
    assert all(pairs[place - 1][1] != label for place, label in wrong.items())
    server.annotate([(text, wrong.get(place, label)) for place, (text, label) in enumerate(pairs, 1)])
    page = f"/projects/{PROJECT_KEY}/queue"
    before = server.client.get(page).text
    assert "Not searched yet" in before and "The address of Label Studio is not known" in before

    started = server.post(f"/api/projects/{PROJECT_KEY}/review", {}).json
    assert (started["kind"], started["job_status"]) == ("review", "queued")
    assert "Review: queued" in server.client.get(page).text
    run = server.store.claims.claim(started["job"])
    do_run(server.recipe, server.store, run.id, run.attempt)

    told = server.client.get(f"/api/projects/{PROJECT_KEY}/queue").json
    assert told["review"]["job_status"] == "finished", told["review"]
    assert {one["task"] for one in told["suspects"]} == {"10", "20"}
    assert told["tasks"] == 60
    after = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", server.client.get(page).text))
    assert "2 annotations of 60 tasks, searched on" in after
    assert pairs[9][0] in after
    assert server.store.actions.latest(PROJECT_KEY)[0].what == "review"


def test_a_review_that_cannot_be_says_why(backend):
    server = backend()
    server.annotate(tickets(3))
    run = server.store.claims.claim(server.post(f"/api/projects/{PROJECT_KEY}/review", {}).json["job"])
    do_run(server.recipe, server.store, run.id, run.attempt)
    assert "a review needs 20" in server.client.get(f"/projects/{PROJECT_KEY}/queue").text
