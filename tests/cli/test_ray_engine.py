"""`lsml predict --engine ray`: the file that the local engine writes, block by block, resumed where it stopped."""

from __future__ import annotations

import json
from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace

import pytest

from lsml.cli import ray_engine
from lsml.cli.engines import Job, Predicted
from lsml.errors import RequestError
from tests.conftest import export, tickets
from tests.support.commands import lsml, said, write_recipe

TASKS = [{"id": number, "data": {"text": text}} for number, (text, _) in enumerate(tickets(7))]


@pytest.fixture
def trained(tmp_path):
    """A recipe, which learnt, and a file of tasks: one lacks its text."""
    recipe = write_recipe(tmp_path)
    (tmp_path / "learnt.json").write_text(json.dumps(export(tickets(40))))
    said(lsml("train", recipe, tmp_path / "learnt.json", cwd=tmp_path))
    (tmp_path / "tasks.json").write_text(json.dumps([*TASKS, {"id": 99, "data": {"other": "x"}}]))
    return recipe


@pytest.mark.slow
def test_ray_writes_what_the_local_engine_writes(trained, tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    import pyarrow
    import pyarrow.parquet

    tasks = tmp_path / "tasks.json"
    here = lsml("predict", trained, tasks, "-o", tmp_path / "here.json", cwd=tmp_path)
    there = lsml(
        "predict", trained, tasks, "-o", tmp_path / "ray.json", "--engine", "ray",
        cwd=tmp_path, environment={"PYTHONUNBUFFERED": "1"}, timeout_s=300,
    )  # fmt: skip
    assert (tmp_path / "ray.json").read_bytes() == (tmp_path / "here.json").read_bytes()
    assert there.stdout == here.stdout.replace("here.json", "ray.json")
    assert not (tmp_path / "ray.json.blocks").exists()
    rows = [{"text": task["data"]["text"]} for task in TASKS]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    lsml("predict", trained, tmp_path / "rows.parquet", "-o", tmp_path / "rows.json", cwd=tmp_path)
    found = json.loads((tmp_path / "rows.json").read_text())
    assert [task["predictions"] for task in found] == [
        task["predictions"] for task in json.loads((tmp_path / "here.json").read_text())[:7]
    ]


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "find_spec", lambda _name: None)
    with pytest.raises(RequestError, match=r'Ray is not installed; pip install "lsml\[ray\]"'):
        ray_engine.predict_by_ray(JOB, "v1", TASKS, tmp_path / "out.json", 1, lambda *_: None)


JOB = Job(*[None] * 3, "local", None)


class Cluster:
    """Computes blocks as Ray does, without it; `dies_after` so many."""

    def __init__(self, dies_after=None, version="v1"):
        self.blocks = []
        self._dies_after = dies_after
        self._version = version

    def __call__(self, _job, blocks, _actors):
        for number, tasks in reversed(blocks.items()):  # they end in any order
            if len(self.blocks) == self._dies_after:
                raise KeyboardInterrupt
            self.blocks.append(number)
            written = [{**task, "predictions": []} for task in json.loads(tasks)]
            done = {"written": written, "dropped": {"untrained": len(written)}, "why": {"untrained": f"block {number}"}}
            yield number, self._version, json.dumps(done).encode()


@pytest.fixture
def predict(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "_BLOCK", 2)
    monkeypatch.setattr(ray_engine, "find_spec", lambda _name: True)

    def run(cluster, tasks=TASKS, version="v1") -> Predicted:
        monkeypatch.setattr(ray_engine, "_computed", cluster)
        return ray_engine.predict_by_ray(JOB, version, tasks, tmp_path / "out.json", 1, lambda *_: None)

    return run


def test_a_stopped_job_goes_on_and_each_task_is_predicted_once(predict):
    stopped, again = Cluster(dies_after=2), Cluster()
    with pytest.raises(KeyboardInterrupt):
        predict(stopped)
    done = predict(again)
    assert (stopped.blocks, again.blocks) == ([3, 2], [1, 0])
    assert [task["id"] for task in done.written] == [task["id"] for task in TASKS]
    assert (done.dropped, done.why) == ({"untrained": 7}, {"untrained": "block 0"})


def test_blocks_stay_until_the_output_is_written(predict, tmp_path):
    predict(Cluster())  # the disk may be full when the output is written
    again = Cluster()
    assert [task["id"] for task in predict(again).written] == [task["id"] for task in TASKS]
    assert again.blocks == []
    ray_engine.remove_blocks(tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_stays(predict, tmp_path):
    (tmp_path / "out.json.blocks").mkdir()
    (tmp_path / "out.json.blocks" / "thesis.txt").write_text("years of work")
    with pytest.raises(RequestError, match="holds other files than blocks of predictions; move it"):
        predict(Cluster())
    assert (tmp_path / "out.json.blocks" / "thesis.txt").exists()


@pytest.mark.parametrize(("tasks", "version"), [(TASKS[:-1], "v1"), (TASKS, "v2")])
def test_other_tasks_and_another_version_begin_anew(predict, tasks, version):
    with pytest.raises(KeyboardInterrupt):
        predict(Cluster(dies_after=2))
    again = Cluster(version=version)
    predict(again, tasks, version)
    assert again.blocks == ([2, 1, 0] if len(tasks) < len(TASKS) else [3, 2, 1, 0])


def test_a_machine_that_serves_another_version_is_refused(predict):
    with pytest.raises(RequestError, match="a machine serves v0, expected v1; use one data directory"):
        predict(Cluster(version="v0"))


class Ray:
    """As much of the module as a project needs, in this process. `ended`: what it says of an actor that ended."""

    class exceptions:
        class RayError(Exception):
            """What Ray raises."""

    def __init__(self, ended=None):
        self._ended = ended

    def remote(self, actor):
        def asked(method):
            return SimpleNamespace(remote=partial(partial, method))

        return SimpleNamespace(remote=lambda job: SimpleNamespace(predict=asked(actor(job).predict)))

    def get(self, asked):
        if self._ended is not None:
            raise self.exceptions.RayError(self._ended)
        return [one() for one in asked]


class Halves:
    """An actor that counts its tasks."""

    def __init__(self, job):
        assert job.recipe.is_absolute()

    def predict(self, tasks):
        return "v1", [(len(tasks), task["id"]) for task in tasks]


@pytest.fixture
def of_a_project(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "_ProjectActor", Halves)

    @contextmanager
    def predicting(ray, version="v1"):
        monkeypatch.setattr(ray_engine, "_cluster", lambda _actors: nullcontext(ray))
        job = Job(tmp_path / "recipe.yaml", tmp_path, None, "7.1", tmp_path)
        with ray_engine.project_actors(job, version, 3) as predict:
            yield predict

    return predicting


@pytest.mark.parametrize("many", [0, 1, 3, 7])
def test_the_actors_share_the_tasks_of_a_project_in_order(of_a_project, many):
    with of_a_project(Ray()) as predict:
        found = predict([{"id": number} for number in range(many)])
    assert [id for _, id in found] == list(range(many))
    assert max((size for size, _ in found), default=0) == -(-many // 3)


def test_an_actor_that_ended_and_one_of_another_version_are_sentences(of_a_project):
    of_memory = "--engine ray: It had no memory left.; start it again, and it goes on"
    ended = of_a_project(Ray("The actor died.\nIt had no memory left."))
    with ended as predict, pytest.raises(RequestError, match=of_memory):
        predict([{"id": 1}])
    with of_a_project(Ray(), "v2") as predict, pytest.raises(RequestError, match="a machine serves v1, expected v2"):
        predict([{"id": 1}])
