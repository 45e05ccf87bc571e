"""One run for the worker and for `lsml train`, in processes that import no more than they need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lsml.binding import bind
from lsml.errors import NotEnoughData
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.learning.run import TrainingInputs, run
from lsml.recipe import load_recipe
from lsml.store import LOCAL, Store
from tests.conftest import TOPICS, choice, export, tickets, write_recipe
from tests.support.fetching import no_fetch

IMPORTED = """
import sys
import lsml.server.serve
lsml.server.serve.serve = lambda *_arguments, **_more: None
from lsml.cli import main
main(sys.argv[1:], standalone_mode=False)
print(sorted(name for name in sys.modules if name.startswith({names!r})))
"""


def imported(*arguments: object, names: tuple[str, ...]) -> str:
    """Which modules whose names start so a command imported, as its last line."""
    program = IMPORTED.format(names=names)
    if "serve" not in arguments:
        program = "\n".join(line for line in program.splitlines() if "lsml.server" not in line)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.splitlines()[-1]


def test_lsml_train_imports_no_queue_and_no_worker(tmp_path):
    recipe = write_recipe(tmp_path)
    (tmp_path / "export.json").write_text(json.dumps(export(tickets(60))))
    assert imported("train", recipe, tmp_path / "export.json", names=("huey", "lsml.worker", "flask")) == "[]"


def test_the_server_imports_nothing_of_the_worker(tmp_path):
    recipe = write_recipe(tmp_path)
    assert (
        imported("serve", recipe, "--data-dir", tmp_path / "data", names=("lsml.worker", "lsml.learning.run")) == "[]"
    )


@pytest.mark.parametrize("refuse", [True, False])
def test_a_run_that_fails_leaves_nothing_on_disk(tmp_path, refuse):
    recipe = load_recipe(write_recipe(tmp_path))
    binding = bind(recipe, parse_labeling_config(TOPICS))
    store = Store(tmp_path / "data")
    store.projects.touch(LOCAL, labeling_config=TOPICS)

    def check(snapshot):
        assert snapshot.tasks == 1
        if refuse:
            raise NotEnoughData("too few")

    tasks = [AnnotatedTask("1", {"text": "refund"}, (Annotation("1", choice("Billing")),))]
    inputs = TrainingInputs(
        store=store, project=LOCAL, binding=binding, models=binding.trainable, tasks=tasks, fetch=no_fetch, keep=5,
        check=check,
    )  # fmt: skip
    with pytest.raises(NotEnoughData, match=r"^too few$" if refuse else "^not enough data: topic:text-classifier: "):
        run(inputs)
    assert list(store.artifacts.root.iterdir()) == []
    assert store.versions.of_project(LOCAL) == []
    store.close()
