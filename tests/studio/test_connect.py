"""Connecting to a small Label Studio: what is there stays, what is not as it should be is mended, what is others' is left."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lsml.errors import LsmlError, RequestError, StudioError, StudioRefused
from lsml.recipe import load_recipe
from lsml.studio.addresses import backend_url
from lsml.studio.client import Studio
from lsml.studio.connect import Connected, ConnectRequest, connect, explanation
from lsml.versions import names_of
from tests.conftest import write_recipe
from tests.support.label_studio import free_port
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.web import Answer, Web

V0, V1, V2 = (f"triage-v{number}-00000000" for number in (0, 1, 2))
LOGIN = "server: {username: ann, password: open-sesame}\n"
HEADER = {"Authorization": f"Basic {base64.b64encode(b'ann:open-sesame').decode()}"}
SAMPLING = 'set task sampling to "Uncertainty sampling"'
SMART = '<View><Text name="text" value="$text"/><Labels name="who" toName="text" smart="true"><Label value="A"/></Labels></View>'


@contextmanager
def connecting(studio: SmallStudio, folder: Path, recipe: str = "") -> Iterator[Callable[..., Connected]]:
    """A function that connects the project of `studio`; where lsml listens, the little server answers for it, too."""
    written = load_recipe(write_recipe(folder, recipe))
    with Web(studio) as web, Studio(web.url, TOKEN) as client:

        def run(url: str = "", **asked: Any) -> Connected:
            target = {"project": 7} if "create" not in asked else {}
            return connect(
                client,
                written,
                names_of("triage"),
                ConnectRequest(url or web.url, **target, **asked),
                lambda _said: None,
            )

        yield run


def test_a_project_gets_one_model_with_its_title_its_webhook_and_its_sampling_and_the_second_time_nothing(tmp_path):
    studio = SmallStudio({1: {"text": "a"}}, serves=V0)
    with connecting(studio, tmp_path) as run:
        connected = run()
        url = studio.backends[0]["url"]
        assert connected.changes == (
            SAMPLING, f"added the model at {url}", f"set the model's title to {V0}, so that its scores are shown",
        )  # fmt: skip
        assert (connected.project, connected.title, connected.notes) == (7, "Tickets", ())
        assert connected.address.endswith("/projects/7")
        assert studio.model_version == studio.backends[0]["title"] == V0
        assert [hook["url"] for hook in studio.webhooks] == [f"{url}/webhook"]
        done = list(studio.log)
        assert run().changes == ()
    assert studio.log == done
    assert len(studio.backends) == len(studio.webhooks) == 1


def test_a_dry_run_says_the_same_and_changes_nothing(tmp_path):
    studio = SmallStudio(title=None)
    tasks = tmp_path / "tasks.txt"
    tasks.write_text("one\n\ntwo\n")
    with connecting(studio, tmp_path) as run:
        connected = run(create="Tickets", tasks=tasks, dry=True)
        assert [change.partition(" ")[0] for change in connected.changes] == ["would"] * 5
        assert connected.project is None
        assert (studio.log, studio.title, studio.backends, studio.webhooks) == ([], None, [], [])
        studio.title = "Tickets"
        connected = run(tasks=tasks, dry=True)
    assert connected.changes[-1] == f"would import 2 tasks of {tasks}"
    assert (studio.log, studio.backends, studio.webhooks) == ([], [], [])


def test_create_makes_a_project_once_and_connects_the_one_that_is_there(tmp_path):
    studio = SmallStudio(title=None, serves=V0)
    with connecting(studio, tmp_path) as run:
        assert run(create="Tickets").changes[0] == 'made project "Tickets"'
        assert run(create="Tickets").changes == ()
        with pytest.raises(RequestError, match="a title of 3 to 50 characters"):
            run(create="ab")
    assert "Choices" in studio.label_config


def test_create_without_a_labeling_config_says_what_to_add(tmp_path):
    path = write_recipe(tmp_path, config=None)
    with Web(SmallStudio(title=None)) as web, Studio(web.url, TOKEN) as client, pytest.raises(RequestError) as raised:
        connect(client, load_recipe(path), names_of("triage"), ConnectRequest(web.url, create="Tickets"), print)
    assert str(raised.value).endswith(
        "has no labeling config for a new project; add `labeling_config:` to it, or give an existing project with "
        "--project"
    )


def test_no_project_is_made_where_its_tasks_cannot_be_read(tmp_path):
    studio = SmallStudio(title=None)
    with connecting(studio, tmp_path) as run, pytest.raises(RequestError, match="cannot be read"):
        run(create="Tickets", tasks=tmp_path / "gone.txt")
    assert studio.title is None


def test_what_the_recipe_does_not_fit_is_not_connected(tmp_path):
    studio = SmallStudio(label_config='<View><Text name="t" value="$text"/></View>')
    with (
        connecting(studio, tmp_path) as run,
        pytest.raises(RequestError, match='project "Tickets": nothing is bound: '),
    ):
        run()
    assert studio.log == []


def test_where_nothing_listens_it_says_how_to_start_lsml(tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    studio = SmallStudio()
    with connecting(studio, tmp_path) as run, pytest.raises(RequestError) as raised:
        run(url)
    assert str(raised.value) == (
        f"nothing listens at {url}, and Label Studio only accepts a model that answers: start `lsml run` first, or "
        "use `lsml run --connect`"
    )
    assert studio.log == []


def test_the_title_stays_while_publishing_is_about_to_change_it(tmp_path):
    studio = SmallStudio({1: {"text": "a"}}, serves=V1)
    with connecting(studio, tmp_path) as run:
        run()
        studio.add(1, V1)
        studio.backends[0]["model_version"] = V2
        assert run().changes == (), "predictions of the second version are still to come"
        studio.add(1, V2)
        assert run().changes == (f"set the model's title to {V2}, so that its scores are shown",)
    assert studio.model_version == V2


def test_an_interactive_recipe_switches_interactive_preannotations_on_and_nobody_off(tmp_path):
    studio = SmallStudio(label_config=SMART, serves=V0)
    with connecting(studio, tmp_path, "tags: {Labels: text-matcher}\n") as run:
        run()
        assert studio.backends[0]["is_interactive"] is True
        studio.backends[0]["is_interactive"] = False
        assert run().changes == ("changed model 1: interactive preannotations on",)
        assert studio.backends[0]["is_interactive"] is True


def test_with_a_password_the_model_and_its_webhook_bring_it(tmp_path):
    studio = SmallStudio(serves=V0)
    with connecting(studio, tmp_path, LOGIN) as run:
        connected = run()
        hook = studio.webhooks[0]
        assert connected.changes[2] == f"changed webhook 1 ({hook['url']}): it has the username and password"
        assert hook["headers"] == HEADER
        backend = studio.backends[0]
        assert (backend["auth_method"], backend["basic_auth_user"]) == ("BASIC_AUTH", "ann")
        assert run().changes == ()
    assert "open-sesame" not in repr(connected)


def test_a_username_in_the_address_is_the_login_and_no_other_is_told_with_the_title(tmp_path):
    studio = SmallStudio(serves=V0)
    with Web(studio) as web, Studio(web.url, TOKEN) as client:
        asked = ConnectRequest(web.url.replace("://", "://ann:open-sesame@"), project=7)
        connect(client, load_recipe(write_recipe(tmp_path, LOGIN)), names_of("triage"), asked, print)
    assert studio.backends[0]["title"] == studio.model_version == V0
    assert "auth_method" not in studio.backends[0]


@pytest.mark.parametrize("state", ["CO", "TR", "PR", "DI", "ER", ""])
def test_a_model_that_label_studio_does_not_reach_is_connected_again(tmp_path, state):
    studio = SmallStudio(serves=V0)
    with connecting(studio, tmp_path) as run:
        run()
        studio.backends[0]["state"] = state
        reached = state in ("CO", "TR", "PR")
        assert run().changes == (() if reached else ("changed model 1: connected again",))


def test_a_password_that_changed_is_told_to_the_model_and_its_webhook(tmp_path):
    studio = SmallStudio(serves=V0)
    with connecting(studio, tmp_path, LOGIN) as run:
        run()
        hook, backend = studio.webhooks[0], studio.backends[0]
        hook["headers"] = {"X-Their": "own", "Authorization": "Basic b2xkOm9sZA=="}
        backend.update(state="ER", basic_auth_pass="old")
        assert run().changes == (
            "changed model 1: connected again", f"changed webhook 1 ({hook['url']}): it has the username and password",
        )  # fmt: skip
    assert backend["basic_auth_pass"] == "open-sesame"
    assert hook["headers"] == {"X-Their": "own", **HEADER}


def test_with_a_secret_path_the_webhook_needs_no_password(tmp_path):
    studio = SmallStudio(serves=V0)
    with connecting(
        studio, tmp_path, "server: {username: ann, password: open-sesame, secret_path: hush-hush}\n"
    ) as run:
        run()
    assert studio.webhooks[0]["headers"] == {}


def old(id: int, url: str, **more: Any) -> dict[str, Any]:
    common = {"is_active": True, "send_payload": True, "send_for_all_actions": True, "headers": {}}
    return {"id": id, "url": url, **common, **more}


def test_a_model_that_moved_takes_its_webhook_along(tmp_path):
    before = f"http://127.0.0.1:{free_port()}"
    backends = [{"id": 4, "url": before, "title": V1, "model_version": V1}]
    studio = SmallStudio(backends=backends, webhooks=[old(3, f"{before}/webhook")], model_version=V1)
    with connecting(studio, tmp_path) as run:
        connected = run()
        url = studio.backends[0]["url"]
        assert connected.changes == (
            SAMPLING, f"changed model 4: its address from {before} to {url}",
            f"moved webhook 3 from {before}/webhook to {url}/webhook",
        )  # fmt: skip
        assert run().changes == ()
    assert [hook["url"] for hook in studio.webhooks] == [f"{url}/webhook"]
    assert url != before


def test_a_webhook_of_an_old_address_goes_and_those_of_others_stay(tmp_path):
    dead = f"http://localhost:{free_port()}/webhook"
    with Web(lambda _: Answer(404)) as alive:
        theirs = [
            old(1, f"{alive.url}/webhook"),  # somebody answers there
            old(2, "http://192.0.2.7:9090/webhook"),  # another machine
            old(3, dead.replace("/webhook", "/other/webhook")),
            old(4, dead, headers={"X-Their": "own"}),
            old(5, dead, send_for_all_actions=False),
            old(6, dead.replace("/webhook", "/webhooks")),
        ]
        kept = [dict(hook) for hook in theirs]
        ours = [old(8, dead), old(9, "http://192.0.2.7:1/webhook", headers=HEADER)]
        studio = SmallStudio(webhooks=[*theirs, *ours], serves=V0)
        with connecting(studio, tmp_path, LOGIN) as run:
            connected = run()
            assert connected.changes[2:-1] == (
                "changed webhook 10 (" + studio.backends[0]["url"] + "/webhook): it has the username and password",
                f"turned off webhook 8 ({dead}), because nothing listens there and no model has that address",
                "deleted webhook 9 (http://192.0.2.7:1/webhook), of an old address of lsml",
            )
            assert run().changes == ()
    assert studio.webhooks[:6] == kept
    assert [(hook["id"], hook["is_active"]) for hook in studio.webhooks[6:]] == [(8, False), (10, True)]


def test_a_webhook_that_was_deleted_or_switched_off_comes_back(tmp_path):
    studio = SmallStudio(serves=V0)
    with connecting(studio, tmp_path) as run:
        run()
        hook = studio.webhooks[0]
        hook["is_active"] = False
        assert run().changes == (f"changed webhook 1 ({hook['url']}): it sends all events",)
        studio.webhooks.clear()
        assert run().changes == (f"added the webhook {hook['url']}",)
    assert len(studio.webhooks) == 1


def test_models_that_stand_in_the_way_are_named_and_left(tmp_path):
    theirs = {"id": 1, "url": "http://192.0.2.7:9090", "title": "bert", "model_version": "bert-7"}
    older = {"id": 2, "url": "http://192.0.2.8:9090", "title": V1, "model_version": V1}
    studio = SmallStudio(serves=V1)
    with connecting(studio, tmp_path) as run:
        run()
        mine = {**studio.backends[0], "id": 3}
        studio.backends = [theirs, older, mine]
        connected = run()
    assert connected.changes == ()
    assert connected.notes == (
        "model 2 (http://192.0.2.8:9090) is an older connection of this recipe; delete it in Settings > Model",
        'Label Studio asks only a project\'s first model, which is model 1, "bert" at http://192.0.2.7:9090; delete '
        "it in Settings > Model",
    )


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ("URL resolves to a reserved network address (block: 127.0.0.0/8)", "ML_BLOCK_LOCAL_IP=false"),
        ("Can't resolve hostname localhost", "it cannot find the host localhost; give an address that it can reach"),
        ("Able to connect to ML Server, but authentication parameters were", "expects another username and password"),
        ("it doesn't look like a valid ML backend. Reason: 401 Client Error: UNAUTHORIZED", "expects another username"),
        (
            "it doesn't look like a valid ML backend. Reason: 403 Client Error: FORBIDDEN",
            "add that name to server.hosts",
        ),
        ("it doesn't look like a valid ML backend. Reason: 404 Client Error", "is not this lsml"),
        ("Can't connect to ML backend, health check failed.", "--backend-url http://host.docker.internal:9090"),
    ],
)
def test_a_refusal_of_label_studio_says_what_to_do(tmp_path, refusal, said):
    whole = explanation(f"http://ls:8080: refused to connect the model (400): {refusal}", "http://localhost:9090")
    assert whole.startswith("http://ls:8080: refused to connect the model: ")
    assert said in whole and refusal not in whole


def test_a_host_without_a_dot_gets_no_webhook_and_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("lsml.studio.connect.refuses", lambda *_: False)
    studio = SmallStudio(serves=V0)
    with connecting(studio, tmp_path) as run, pytest.raises(StudioRefused) as raised:
        run("http://ml-backend:9090")
    assert str(raised.value).partition(": refused")[2] == (
        " to add a webhook: it sends no webhook to http://ml-backend:9090, as it needs a host name with a dot; "
        "give lsml's container an alias with a dot and set --backend-url http://lsml.internal:9090 (without a "
        "password and a secret path, add that name to server.hosts, too)"
    )


@pytest.mark.parametrize(("status", "detail"), [
    (403, "URL resolves to a reserved network address (block: 127.0.0.0/8)"), (500, "Can't resolve hostname lsml"),
])  # fmt: skip
def test_an_address_that_label_studio_does_not_ask_is_no_reason_to_try_again(tmp_path, status, detail):
    def before(asked):
        refusal = Answer(status, json.dumps({"detail": detail}).encode())
        return refusal if (asked.method, asked.path) == ("POST", "/api/ml/") else None

    with (
        connecting(SmallStudio(before=before), tmp_path) as run,
        pytest.raises(StudioRefused, match="refused to connect the"),
    ):
        run()


def test_what_a_token_may_not_is_said_as_ever(tmp_path):
    studio = SmallStudio(before=lambda asked: Answer(403, b"{}") if asked.method == "PATCH" else None)
    with connecting(studio, tmp_path) as run, pytest.raises(StudioError, match=r"may not change project 7 \(403\)"):
        run()


# Addresses


@pytest.mark.parametrize(
    ("host", "studio", "container", "found"),
    [
        ("127.0.0.1", "http://localhost:8080", False, "http://127.0.0.1:9090"),
        ("127.0.0.1", "http://localhost:8080", True, "http://127.0.0.1:9090"),  # in the same container
        ("0.0.0.0", "http://127.0.0.1:8080", False, "http://127.0.0.1:9090"),
        ("::1", "http://127.0.0.1:8080", False, "http://[::1]:9090"),
        ("10.1.2.3", "http://label-studio.example", False, "http://10.1.2.3:9090"),
        ("0.0.0.0", "http://host.docker.internal:8080", True, "http://127.0.0.1:9090"),
        ("127.0.0.1", "http://192.0.2.7:8080", False, "with --host 0.0.0.0"),
        (
            "0.0.0.0",
            "http://label-studio:8080",
            True,
            "give it with --backend-url, for instance http://lsml.internal:9090",
        ),
    ],
)
def test_where_label_studio_finds_lsml_follows_from_where_both_are(
    tmp_path, monkeypatch, host, studio, container, found
):
    monkeypatch.setattr("lsml.studio.addresses.in_container", lambda: container)
    recipe = load_recipe(write_recipe(tmp_path))
    if found.startswith("http"):
        assert backend_url(recipe, host, 9090, studio) == found
        return
    with pytest.raises(LsmlError) as raised:
        backend_url(recipe, host, 9090, studio)
    assert found in str(raised.value)


def test_the_secret_path_is_part_of_the_address(tmp_path):
    recipe = load_recipe(write_recipe(tmp_path, "server: {secret_path: /hush/hush/}\n"))
    assert backend_url(recipe, "127.0.0.1", 9090, "http://localhost:8080") == "http://127.0.0.1:9090/hush/hush"
