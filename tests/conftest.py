"""What many tests need: recipes on disk, a world of easy texts, a server in this process."""

from __future__ import annotations

import json
import logging
import os
import random
from pathlib import Path

import pytest

from lsml.recipe import load_recipe
from lsml.server.app import create_app
from lsml.store import Store
from lsml.store.queue import open_queue

# As in every process of lsml; before anything imports numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

REPOSITORY = Path(__file__).parent.parent

TOPICS = """<View>
  <Text name="text" value="$text"/>
  <Choices name="topic" toName="text">
    <Choice value="Billing"/><Choice value="Bug"/><Choice value="Question"/>
  </Choices>
</View>"""

_WORDS = {
    "Billing": ["invoice", "refund", "charged", "twice", "payment", "card", "price", "euros", "subscription"],
    "Bug": ["crash", "error", "freezes", "broken", "screen", "exception", "button", "fails"],
    "Question": ["how", "where", "can", "someone", "explain", "tutorial", "documentation", "help"],
}
_FILLER = [
    "the",
    "a",
    "my",
    "please",
    "since",
    "yesterday",
    "app",
    "account",
    "we",
    "you",
    "it",
    "today",
    "again",
    "very",
    "team",
]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """What one test fetched is not there in the next."""
    directory = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LSML_CACHE_DIR", str(directory))
    return directory


@pytest.fixture(autouse=True)
def own_log_levels():
    """A command that runs in this process sets log levels; the next test starts from those before."""
    loggers = [logging.getLogger(name) for name in (None, "lsml")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def no_label_studio_in_the_environment(monkeypatch):
    """A developer's own Label Studio must not leak into the tests."""
    for name in (
        "LABEL_STUDIO_URL",
        "LABEL_STUDIO_HOST",
        "LABEL_STUDIO_HOSTNAME",
        "LABEL_STUDIO_API_KEY",
        "LABEL_STUDIO_ACCESS_TOKEN",
        "LSML_HOST",
        "LSML_PORT",
        "LSML_DATA_DIR",
        "LSML_LOG_FORMAT",
    ):
        monkeypatch.delenv(name, raising=False)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for processes of their own."""
    return (os.cpu_count() or 1) + 1


def tickets(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(text, label) of easy support tickets, each label equally often."""
    draw = random.Random(seed)
    labels = sorted(_WORDS)
    made = []
    for number in range(count):
        label = labels[number % len(labels)]
        words = draw.sample(_WORDS[label], 3) + draw.sample(_FILLER, 4)
        draw.shuffle(words)
        made.append((" ".join(words), label))
    return made


def choice(label: str, name: str = "topic") -> list[dict]:
    return [{"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [label]}}]


def export(pairs: list[tuple[str, str]], first_id: int = 1) -> list[dict]:
    """A Label Studio JSON export of annotated tickets."""
    return [
        {"id": id, "data": {"text": text}, "annotations": [{"id": id, "result": choice(label)}]}
        for id, (text, label) in enumerate(pairs, first_id)
    ]


PROJECT = {"id": 1, "created_at": "2026-11-23T09:03:34.474647Z", "title": "triage", "label_config": TOPICS}
PROJECT_KEY = "1.1795424614"


def event(id: int, text: str, label: str, action: str = "ANNOTATION_CREATED", at: int = 0, **annotation) -> dict:
    """A webhook as Label Studio sends it, with what lsml reads."""
    stamp = f"2026-11-23T10:{at // 60:02d}:{at % 60:02d}.000000Z"
    return {
        "action": action,
        "project": PROJECT,
        "task": {"id": id, "data": {"text": text}, "updated_at": stamp},
        "annotation": {"id": id, "task": id, "updated_at": stamp, "result": choice(label), **annotation},
    }


def write_recipe(directory: Path, text: str = "", name: str = "triage.yaml", config: str | None = TOPICS) -> Path:
    """A recipe in `directory`: the tickets' one, with `text` added at the top level."""
    body = "lsml: 1\nname: triage\n"
    if config is not None:
        body += "labeling_config: |\n" + "".join(f"  {line}\n" for line in config.splitlines())
    if "tags:" not in text:
        body += "tags:\n  Choices: text-classifier\n"
    path = directory / name
    path.write_text(body + text)
    return path


class Backend:
    """lsml's application in this process, with Flask's client; `work` trains what is due, in this process, too."""

    def __init__(self, recipe_path: Path, data: Path) -> None:
        self.recipe_path = recipe_path
        self.recipe = load_recipe(recipe_path)
        self.store = Store(data, self.recipe.storage, self.recipe.name)
        self.queue = open_queue(data, self.recipe.storage.queue, self.recipe.name)
        self.app = create_app(self.recipe, self.store, self.queue)
        self.client = self.app.test_client()

    def post(self, path: str, body, **more):
        return self.client.post(path, json=body, **more)

    def predict(self, *texts: str, **more) -> list:
        answer = self.post(
            "/predict", {"tasks": [{"id": i, "data": {"text": text}} for i, text in enumerate(texts)], **more}
        )
        assert answer.status_code == 200, answer.text
        return answer.json["results"]

    def annotate(self, pairs: list[tuple[str, str]], first_id: int = 1) -> None:
        for id, (text, label) in enumerate(pairs, first_id):
            assert self.post("/webhook", event(id, text, label)).status_code == 200

    def train(self, project: dict = PROJECT) -> dict:
        """Press Start Training, and train; the run's end."""
        from lsml.worker.child import do_run

        job = self.post("/webhook", {"action": "START_TRAINING", "project": project}).json["job"]
        run = self.store.claims.claim(job)
        assert run is not None
        do_run(self.recipe, self.store, run.id, run.attempt)
        return self.post("/job_status", {"job": job}).json


def pytest_generate_tests(metafunc):
    """The tests of a module that says ON_ENGINES run on each kind of storage; those on engines are slow."""
    if "storage" in metafunc.fixturenames and getattr(metafunc.module, "ON_ENGINES", False):
        kinds = ["directory", pytest.param("engines", marks=pytest.mark.slow)]
        metafunc.parametrize("storage", kinds, indirect=True)


@pytest.fixture(scope="session")
def engines():
    """A function that returns the `storage` of a recipe, each time a new one, on PostgreSQL, Redis and S3."""
    from tests.support.engines import fresh_storages

    with fresh_storages() as fresh:
        yield fresh


@pytest.fixture
def storage(request):
    """A function that returns what a recipe says of its storage, as text: by default nothing."""
    if getattr(request, "param", "directory") == "directory":
        return lambda: ""
    fresh = request.getfixturevalue("engines")
    return lambda: f"storage: {json.dumps(fresh())}\n"


@pytest.fixture
def backend(tmp_path, storage):
    """A function that makes a Backend from recipe text; all are closed at the end."""
    made = []

    def make(text: str = "", config: str | None = TOPICS) -> Backend:
        directory = tmp_path / f"backend-{len(made)}"
        directory.mkdir()
        made.append(Backend(write_recipe(directory, text + storage(), config=config), directory / "data"))
        return made[-1]

    yield make
    for one in made:
        one.store.close()
