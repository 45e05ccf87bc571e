"""A snapshot holds what annotations teach, and nothing that lsml itself wrote into a task."""

from lsml.binding import bind
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.learning.snapshot import take_snapshot
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
