"""A snapshot holds what annotations teach, and nothing that lsml itself wrote into a task."""

import pytest

from lsml.binding import bind
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.labeling.annotated import AnnotatedTasks
from lsml.learning.snapshot import read_examples, take_snapshot
from lsml.recipe import load_recipe
from tests.conftest import PROJECT_KEY, TOPICS, choice, event, write_recipe
from tests.support.fetching import no_fetch


def test_a_published_score_in_the_data_leaves_the_snapshot_as_it_was(tmp_path):
    recipe = load_recipe(write_recipe(tmp_path, "publish: {field: lsml_score}\n"))
    binding = bind(recipe, parse_labeling_config(TOPICS))

    def snapshot(name: str, **more: object):
        tasks = [AnnotatedTask("1", {"text": "refund", **more}, (Annotation("1", choice("Billing")),))]
        return take_snapshot(tasks, binding, tmp_path / name, no_fetch)

    plain = snapshot("plain")
    assert plain.tasks == 1
    assert snapshot("scored", lsml_score=0.25).digest == plain.digest
    assert snapshot("other", score=0.25).digest != plain.digest


def test_people_who_are_confirmed_are_heard_more_whether_examples_are_kept_in_a_file_or_in_memory(tmp_path):
    recipe = load_recipe(write_recipe(tmp_path, "training: {learn_from: {several: weighted}}\n"))
    binding = bind(recipe, parse_labeling_config(TOPICS))

    def task(number: int, **said: str) -> AnnotatedTask:
        given = (Annotation(who, choice(label), annotator=who) for who, label in said.items())
        return AnnotatedTask(
            str(number), {"text": f"half of a pair: \ud800 {number}" if number == 3 else "x"}, tuple(given)
        )

    # Ann and Bob agree with each other, Eve with nobody; the last word is hers.
    tasks = [task(n, ann="Bug", bob="Bug", eve=["Billing", "Question"][n % 2]) for n in range(20)]
    tasks.append(task(20, ann="Bug", eve="Billing"))
    snapshot = take_snapshot(iter(tasks), binding, tmp_path / "snapshot", no_fetch)
    kept = {example.task: example.answers["topic"][0][0].label for example in snapshot}
    assert set(kept.values()) == {"Bug"} and len(kept) == 20  # half of a pair costs its task
    assert [path.name for path in tmp_path.glob("snapshot*")] == ["snapshot"]
    examples, _ = read_examples(binding, iter(tasks), no_fetch)
    assert {example.answers["topic"][0][0].label for example in examples} == {"Bug"}


@pytest.mark.parametrize(
    "learn_from",
    [
        "{}", "{annotators: [1, 3], several: all}", "{except_annotators: [3], several: majority}", "{several: weighted}",
        "{ground_truth: only}", "{ground_truth: any}", "{accepted: true}",
    ],
)  # fmt: skip
def test_annotations_teach_the_same_whether_webhooks_or_an_export_bring_them(backend, tmp_path, learn_from):
    server = backend(f"training: {{every: 1000, learn_from: {learn_from}}}\n")
    exported = []
    for number in range(1, 10):
        annotations = []
        for who, label in enumerate(("Bug", "Billing" if number % 2 else "Bug", "Question"), 1):
            told = event(number, f"text {number}", label, at=who, completed_by=who, lead_time=2.0)
            told["annotation"] |= {"id": 10 * number + who, "ground_truth": (number, who) in {(2, 1), (5, 2)}}
            if (number, who) == (7, 3):
                told["annotation"] |= {"parent_prediction": 5, "lead_time": None}
            server.post("/webhook", told)
            annotations.append({**told["annotation"], "completed_by": {"id": who, "email": f"{who}@example.com"}})
        exported.append({**told["task"], "annotations": annotations})
    binding = bind(server.recipe, parse_labeling_config(TOPICS))
    online, offline = (
        take_snapshot(tasks, binding, tmp_path / name, no_fetch)
        for name, tasks in (("online", server.store.annotations.tasks(PROJECT_KEY)), ("file", AnnotatedTasks(exported)))
    )
    assert online.tasks == (2 if "only" in learn_from else 9)
    assert offline.digest == online.digest
    in_memory, left_out = read_examples(binding, AnnotatedTasks(exported), no_fetch)
    assert (in_memory, left_out) == (list(online), offline.left_out)
    assert {one.task for one in in_memory if one.ground_truth} == {"2", "5"}
