"""A page in a browser cannot drive lsml, nor read it under a name of its own; Label Studio and programs can."""

import re

import pytest

from lsml.recipe import Server
from lsml.server.listening import open_to_others
from tests.conftest import PROJECT_KEY, TOPICS, event, tickets
from tests.server.test_traffic import recorded, send

WEBHOOK = event(1, "refund", "Billing")
CHANGING = {
    "/setup": {"project": PROJECT_KEY, "schema": TOPICS},
    "/train": {"project": PROJECT_KEY},
    "/delete": {"project": PROJECT_KEY},
    "/webhook": WEBHOOK,
    "/predict": {"tasks": [], "project": PROJECT_KEY, "label_config": TOPICS},
}
FOREIGN = [
    {"Origin": "http://other.example", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Origin": "http://other.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://localhost.other.example"},
    {"Origin": "http://localhost@other.example"},
    {"Origin": "chrome-extension://localhost"},
]
OPEN, SECRET, PASSWORD = "", "server: {secret_path: hidden}\n", "server: {username: ann, password: secret}\n"
ANN = {"Authorization": "Basic YW5uOnNlY3JldA=="}


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: " ".join(headers.values()) or "empty")
@pytest.mark.parametrize("path", CHANGING)
def test_what_a_page_of_another_site_sends_is_refused_and_nothing_is_stored(backend, path, headers):
    server = backend()
    answer = server.client.post(path, json=CHANGING[path], headers=headers)
    assert answer.status_code == 403
    assert "a page of another site sent this request" in answer.json["error"]
    assert server.store.projects.all() == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", None])
@pytest.mark.parametrize("path", [*CHANGING, "/job_status", "/validate", f"/api/projects/{PROJECT_KEY}/promote"])
def test_a_body_that_is_not_said_to_be_json_is_not_read(backend, path, kind):
    server = backend()
    if "promote" in path:
        server.annotate([("refund", "Billing")])
    known = server.store.projects.all()
    answer = server.client.post(path, data=b'{"project": "1", "version": 1}', content_type=kind)
    assert answer.status_code == 415
    assert "expected application/json" in answer.json["error"]
    assert server.store.projects.all() == known


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/vnd.api+json"])
def test_every_way_to_say_json_is_read(backend, kind):
    assert backend().client.post("/predict", data=b'{"tasks": []}', content_type=kind).json == {"results": []}


@pytest.mark.parametrize(
    ("recipe", "prefix", "auth"), [(SECRET, "/hidden", {}), (PASSWORD, "", ANN)], ids=["secret path", "password"]
)
def test_a_password_that_the_browser_knows_lets_no_other_page_in(backend, recipe, prefix, auth):
    server = backend(recipe)
    for headers in FOREIGN:
        assert server.client.post(f"{prefix}/webhook", json=WEBHOOK, headers={**headers, **auth}).status_code == 403
    assert server.store.projects.all() == []


def test_a_run_is_not_cancelled_by_another_page(backend):
    server = backend()
    server.annotate(tickets(20))
    job = server.post("/train", {"project": PROJECT_KEY}).json["job"]
    assert server.client.post(f"/api/runs/{job}/cancel", headers={"Origin": "http://x.example"}).status_code == 403
    assert server.post("/job_status", {"job": job}).json["job_status"] == "queued"


def test_a_link_on_another_page_may_be_followed_but_nothing_be_embedded(backend):
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    client = backend().client
    assert client.get("/", headers=link).status_code == 200
    assert client.get("/", headers={**link, "Sec-Fetch-Dest": "iframe"}).status_code == 403
    assert client.get("/api/projects", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:9090", "http://localhost:9090"),
        ("LOCALHOST:9090", "http://localhost:9090"),
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("[::1]:9090", "http://[::1]:9090"),
        ("ml-backend:9090", "http://ml-backend:9090"),
        ("lsml.example.com", "https://lsml.example.com"),
        ("lsml.example.com", "https://lsml.example.com:443"),
        ("lsml:9090", "https://lsml.example.com"),  # a proxy that tells another Host
    ],
)
def test_lsml_s_own_origin_passes(backend, host, origin):
    server = backend("server: {hosts: [lsml.example.com]}\n")
    headers = {"Host": host, "Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert server.client.post("/predict", json={"tasks": []}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "other.example",
        "other.example:9090",
        "127.0.0.1.other.example",
        "localhost.other.example",
        "evil.host.docker.internal",
        "a@localhost.x",
        "localhost/.x",
        "[::1",
        "localhost:port",
        "",
    ],
)
def test_a_host_that_is_not_lsml_s_reads_and_changes_nothing(backend, host):
    server = backend()
    for answer in (
        server.client.get("/", headers={"Host": host}),
        server.client.get("/metrics", headers={"Host": host}),
        server.client.post("/webhook", json=WEBHOOK, headers={"Host": host}),
    ):
        assert answer.status_code == 403
        assert answer.json["error"].endswith(
            "add it to the recipe (server: {hosts: [NAME]}), or set server.secret_path or a password"
        )
    assert server.store.projects.all() == []
    assert server.client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9090",
        "127.8.8.8",
        "[::1]:9090",
        "10.0.0.7:9090",
        "[fd00::7]",
        "localhost",
        "localhost.:9090",
        "lsml.localhost",
        "host.docker.internal:9090",
        "host.containers.internal:9090",
        "ml-backend:9090",
        "ml_backend",
        "lsml.example.com",
        "LSML.example.com.:9090",
    ],
)
@pytest.mark.parametrize("name", ["02_", "10_", "36_", "37_", "51_"])
def test_label_studio_reaches_lsml_by_every_name_that_is_lsml_s(backend, host, name):
    request = recorded(name)
    assert send(backend("server: {hosts: [lsml.example.com]}\n"), request, Host=host).status_code == 200


@pytest.mark.parametrize("recipe", [SECRET, PASSWORD], ids=["secret path", "password"])
def test_behind_a_secret_any_host_will_do_and_without_it_none_reads_a_thing(backend, recipe):
    server = backend(recipe)
    there = {"Host": "behind.a.proxy.example"}
    assert server.client.get("/hidden/" if recipe is SECRET else "/", headers={**there, **ANN}).status_code == 200
    assert server.client.get("/", headers=there).status_code in (401, 404)


def test_the_address_that_it_is_bound_to_is_its_own(tmp_path):
    from lsml.recipe import load_recipe
    from lsml.server.app import create_app
    from lsml.store import Store
    from lsml.store.queue import open_queue
    from tests.conftest import write_recipe

    store = Store(tmp_path / "data")
    app = create_app(load_recipe(write_recipe(tmp_path)), store, open_queue(tmp_path / "data"), "lsml.internal.example")
    for host, status in {"lsml.internal.example:9090": 200, "other.internal.example": 403}.items():
        assert app.test_client().get("/", headers={"Host": host}).status_code == status
    store.close()


@pytest.mark.parametrize(
    ("host", "server", "warned"),
    [
        ("0.0.0.0", Server(), True),
        ("::", Server(), True),
        ("10.0.0.7", Server(), True),
        ("lsml.example.com", Server(username="ann"), True),
        ("127.0.0.1", Server(), False),
        ("localhost", Server(), False),
        ("::1", Server(), False),
        ("0.0.0.0", Server(secret_path="x"), False),
        ("0.0.0.0", Server(username="ann", password="x"), False),
    ],
)
def test_an_address_that_others_reach_without_a_secret_gets_a_line_of_warning(host, server, warned):
    line = open_to_others(server, host)
    assert (line is not None) == warned
    if line is not None:
        assert re.fullmatch(
            rf"lsml: warning: everybody who can reach {re.escape(host)} can .+ set server\.secret_path, .+", line
        )


def test_a_setup_that_names_another_label_studio_is_not_believed_and_said_once(backend, caplog):
    server = backend("label_studio: {url: 'http://studio.example:80', api_key: '" + "1" * 40 + "'}\n")
    told = {"project": PROJECT_KEY, "schema": TOPICS, "access_token": "0" * 40}
    server.post("/setup", {**told, "hostname": "http://studio.example"})
    assert "; ignored, because" not in caplog.text
    for _ in range(3):
        server.post("/setup", {**told, "hostname": "http://ann:pass@elsewhere.example/"})
    said = [message for message in caplog.messages if "; ignored, because" in message]
    assert said == [
        f"project {PROJECT_KEY}: /setup names the Label Studio http://elsewhere.example/; ignored, because "
        "label_studio.url of the recipe is http://studio.example:80"
    ]
    assert server.store.projects.get(PROJECT_KEY).hostname is None
