"""Users with roles, what they may do, and the log of what they did."""

from __future__ import annotations

import base64

import pytest

from lsml.errors import RecipeError
from lsml.recipe import load_recipe
from tests.conftest import PROJECT, PROJECT_KEY, tickets, write_recipe

USERS = (
    "server: {username: studio, password: secret-studio, users: {ana: {password: secret-ana, role: owner}, "
    "bob: {password: secret-bob}}}\n"
)


def login(name: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:secret-{name}".encode()).decode()}


@pytest.fixture
def learnt(backend):
    """A backend with users, whose project learnt twice."""
    server = backend("training: {every: 1000, promote: always}\n" + USERS)
    server.client.environ_base["HTTP_AUTHORIZATION"] = login("studio")["Authorization"]
    server.annotate(tickets(40))
    server.train()
    server.annotate(tickets(20, seed=3), first_id=41)
    server.train()
    del server.client.environ_base["HTTP_AUTHORIZATION"]
    return server


def test_a_reader_looks_and_tries_and_an_owner_acts(learnt):
    promote = f"/api/projects/{PROJECT_KEY}/promote"
    for path in ("/", f"/projects/{PROJECT_KEY}", "/api/projects", "/metrics"):
        assert learnt.client.get(path).status_code == 401
        assert learnt.client.get(path, headers=login("bob")).status_code == 200
    body = {"tasks": [{"data": {"text": "please refund my invoice"}}], "project": PROJECT_KEY}
    assert learnt.client.post("/predict", json=body, headers=login("bob")).json["results"]
    for path, body in (
        (promote, {"version": 1}),
        (f"/api/projects/{PROJECT_KEY}/review", {}),
        ("/train", {"project": PROJECT_KEY}),
        ("/webhook", {"action": "START_TRAINING", "project": PROJECT}),
    ):
        refused = learnt.client.post(path, json=body, headers=login("bob"))
        assert refused.status_code == 403, path
        assert refused.json["error"].startswith(
            "bob is a reader, who may only see pages and try the model; ask an owner"
        )
    assert learnt.client.post(promote, json={"version": 1}, headers=login("ana")).json["promoted"] == 1
    wrong = {"Authorization": "Basic " + base64.b64encode(b"ana:secret-bob").decode()}
    assert learnt.client.post(promote, json={"version": 2}, headers=wrong).status_code == 401


def test_who_did_what_is_written_down(learnt):
    learnt.client.post(f"/api/projects/{PROJECT_KEY}/promote", json={"version": 1}, headers=login("ana"))
    job = learnt.client.post("/train", json={"project": PROJECT_KEY}, headers=login("studio")).json["job"]
    learnt.client.post(f"/api/runs/{job}/cancel", json={}, headers=login("ana"))
    told = learnt.client.get(f"/api/projects/{PROJECT_KEY}/actions", headers=login("bob")).json["actions"]
    assert [(one["who"], one["what"], one["detail"]) for one in told] == [
        ("ana", "cancel", f"training {job}"), ("studio", "train", ""), ("ana", "promote", "v1"),
    ]  # fmt: skip
    assert {one["source"] for one in told} == {"127.0.0.1"}
    page = learnt.client.get(f"/projects/{PROJECT_KEY}", headers=login("bob")).text
    assert "Who did what" in page and "promote v1" in page


def test_of_very_many_actions_the_newest_are_kept(backend):
    actions = backend().store.actions
    with actions._database.write_transaction():
        for number in range(10_050):
            actions.note("ana", "::1", "promote", "p", f"v{number}")
    kept = actions.latest("p", limit=20_000)
    assert (len(kept), kept[0].detail, kept[-1].detail) == (10_000, "v10049", "v50")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server: {users: {ana: {password: x}}}\n", "server.users: needs `username` and `password`"),
        (
            "server: {username: ana, password: x, users: {ana: {password: y}}}\n",
            "server.users.ana: is `server.username`",
        ),
        (
            "server: {username: s, password: x, users: {ana: {password: y, role: boss}}}\n",
            "expected one of owner, reader",
        ),
        (
            "server: {username: s, password: x, users: {'a b': {password: y}}}\n",
            "expected a name without spaces or colons",
        ),
        (
            "server: {username: s, password: x, users: {ana: {role: owner}}}\n",
            "server.users.ana.password: missing; every user needs it",
        ),
    ],
)
def test_users_that_cannot_be_are_told(tmp_path, text, problem):
    with pytest.raises(RecipeError) as refused:
        load_recipe(write_recipe(tmp_path, text))
    assert problem in str(refused.value)
    assert "password: y" not in str(refused.value)


def test_passwords_of_users_are_secrets_and_are_warned_of(tmp_path):
    recipe = load_recipe(write_recipe(tmp_path, USERS))
    assert {"secret-ana", "secret-bob"} <= set(recipe.secrets())
    assert "secret-ana" not in repr(recipe)
    assert any("LSML_PASSWORD_OF_ANA" in str(one) for one in recipe.warnings)
