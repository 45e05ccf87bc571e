"""A snapshot holds what annotations teach, and nothing that lsml itself wrote into a task."""

from lsml.binding import bind
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.learning.snapshot import read_examples, take_snapshot
from lsml.recipe import load_recipe
from tests.conftest import TOPICS, choice, write_recipe
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
