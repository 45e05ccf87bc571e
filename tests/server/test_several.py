"""Several recipes at one address: each answers under its own path, and one page shows those that one may see."""

import pytest
from werkzeug.test import Client

from lsml.server.several import Several
from lsml.server.swapping import Swapping
from tests.conftest import PROJECT_KEY, Backend, event, tickets, write_recipe

ANN = {"Authorization": "Basic YW5uOnNlY3JldA=="}
OPEN, PASSWORD, SECRET = "", "server: {username: ann, password: secret}\n", "server: {secret_path: hidden}\n"


@pytest.fixture
def several(tmp_path):
    """A function that serves recipes of these texts, named after their keys: their backends, and a client of them all."""
    made = []

    def make(**texts: str) -> tuple[dict[str, Backend], Client]:
        backends = {}
        for name, text in texts.items():
            directory = tmp_path / name
            directory.mkdir()
            recipe = write_recipe(directory, text)
            recipe.write_text(recipe.read_text().replace("name: triage", f"name: {name}"))
            backends[name] = Backend(recipe, directory / "data")
        made.extend(backends.values())
        return backends, Client(Several({name: Swapping(one.app) for name, one in backends.items()}))

    yield make
    for one in made:
        one.store.close()


def predicted(client: Client, name: str) -> list:
    body = {"tasks": [{"id": 1, "data": {"text": "refund my invoice"}}], "project": PROJECT_KEY}
    return client.post(f"/r/{name}/predict", json=body).json["results"]


def test_each_learns_and_answers_under_its_own_path(several):
    backends, client = several(first=OPEN, second=OPEN)
    for id, (text, label) in enumerate(tickets(40), 1):
        assert client.post("/r/first/webhook", json=event(id, text, label)).status_code == 200
    backends["first"].train()
    assert predicted(client, "first")[0]["result"][0]["value"] == {"choices": ["Billing"]}
    assert predicted(client, "second") == [[]]
    assert backends["second"].store.projects.all() == []
    assert client.get("/r/second/api/projects").json == {"recipe": "second", "projects": []}


def test_health_names_them_and_other_paths_say_where_they_are(several):
    _, client = several(first=OPEN, second=OPEN)
    assert client.get("/health").json == {"status": "UP", "model_class": "lsml", "recipes": ["first", "second"]}
    assert client.get("/r/first/health").json["recipe"] == "first"
    for path in ("/predict", "/r/third/predict", "/r/firs", "/r", "/r/first/nothing"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json["error"]
    assert "each under /r/NAME" in client.post("/predict", json={"tasks": []}).json["error"]


def test_one_page_shows_them_all_and_each_has_its_own(several):
    backends, client = several(first=OPEN, second=OPEN)
    backends["first"].annotate([("refund", "Billing")])
    page = client.get("/").text
    assert page.index('<a href="./r/first/">first</a>') < page.index('<a href="./r/second/">second</a>')
    assert "1 annotation to train on" in page
    assert "followed by <code>/r/second</code>" in page
    own = client.get("/r/second/").text
    assert "first" not in own
    assert ">second</h1>" in own


def test_the_page_shows_a_recipe_to_those_alone_who_may_see_it(several):
    _, client = several(first=PASSWORD, second=OPEN, third=SECRET)
    assert "first" not in client.get("/").text
    assert "third" not in client.get("/", headers=ANN).text
    for name in ("first", "second"):
        assert f'<a href="./r/{name}/">' in client.get("/", headers=ANN).text
    assert client.get("/r/first/api/projects").status_code == 401
    assert client.get("/r/third/api/projects").status_code == 404
    assert client.get("/r/third/hidden/api/projects").json["recipe"] == "third"


def test_where_nobody_may_see_any_the_page_asks_for_the_password(several):
    _, client = several(first=PASSWORD, second=SECRET)
    answer = client.get("/")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="lsml"')
    cross = {"Origin": "http://other.example", "Sec-Fetch-Site": "cross-site"}
    assert client.get("/", headers={**ANN, **cross}).status_code == 403


def test_with_secret_paths_alone_there_is_no_page(several):
    _, client = several(first=SECRET, second=SECRET)
    answer = client.get("/")
    assert answer.status_code == 404
    assert "first" not in answer.text


def test_what_is_logged_of_a_request_names_its_recipe(several):
    from lsml.logs import recipe_name

    _, client = several(first=OPEN, second=OPEN)
    names = []
    backends, client = several(third=OPEN, fourth=OPEN)
    backends["third"].app.after_request(lambda answer: names.append(recipe_name.get()) or answer)
    client.get("/r/third/health")
    client.get("/health")
    assert (names, recipe_name.get()) == (["third"], None)
