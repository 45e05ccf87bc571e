"""What is held out, what is promoted and why, what is carried over."""

import msgspec
import pytest

from lsml.adapters.text.classifier import TextClassifier
from lsml.binding import bind
from lsml.errors import NotEnoughData, VersionError
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.learning.run import TrainingInputs, run
from lsml.recipe import load_recipe, share_of
from lsml.store import LOCAL, Store
from lsml.store.artifacts import LocalArtifacts
from lsml.versions import Why, learnt_hashes, load_promoted, model_version
from tests.conftest import PROJECT_KEY, TOPICS, choice, tickets, write_recipe
from tests.support.fetching import no_fetch

ON_ENGINES = True


def annotated(pairs, first_id=1):
    return [
        AnnotatedTask(str(id), {"text": text}, (Annotation(str(id), choice(label)),))
        for id, (text, label) in enumerate(pairs, first_id)
    ]


class Project:
    """The project `local` of one recipe, trained in this process."""

    def __init__(self, directory, recipe_text="", config=TOPICS):
        directory.mkdir(exist_ok=True)
        self.recipe = load_recipe(write_recipe(directory, recipe_text, config=config))
        self.binding = bind(self.recipe, parse_labeling_config(config))
        self.store = Store(directory / "data", self.recipe.storage, self.recipe.name)
        self.store.projects.touch(LOCAL, labeling_config=config)

    def train(self, tasks):
        inputs = TrainingInputs(
            store=self.store, project=LOCAL, binding=self.binding, models=self.binding.trainable, tasks=tasks,
            fetch=no_fetch, keep=5,
        )  # fmt: skip
        return run(inputs).card

    @property
    def promoted(self):
        return self.store.versions.promoted(LOCAL)


@pytest.fixture
def project(tmp_path, storage):
    made = []

    def make(recipe_text="", config=TOPICS):
        made.append(Project(tmp_path / f"project-{len(made)}", recipe_text + storage(), config))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def test_the_first_version_that_fits_is_promoted(project):
    here = project()
    card = here.train(annotated(tickets(60)))
    assert here.promoted == 1
    assert card.verdict == "promoted: the first version"
    assert card.models["topic:text-classifier"].classes.keys() == {"Billing", "Bug", "Question"}
    assert card.metrics["topic"]["value"] > 0.8


def test_tasks_are_held_out_by_a_hash_of_their_id(project):
    tasks = annotated(tickets(200))
    card = project().train(tasks)
    held_out = [task for task in tasks if share_of(task.id) < 0.2]
    assert card.held_out == len(held_out)
    assert card.models["topic:text-classifier"].examples == 200 - len(held_out)


@pytest.mark.slow
def test_holdout_0_trains_on_everything_and_judges_what_was_annotated_since_by_cross_validation(project):
    here = project("training: {holdout: 0}\n")
    card = here.train(annotated(tickets(60)))
    assert (card.held_out, card.models["topic:text-classifier"].examples) == (0, 60)
    assert card.metrics["topic"]["value"] is None
    decision = here.train(annotated(tickets(80))).decisions["topic:text-classifier"]
    assert (decision.compared.tasks, decision.compared.by) == (20, "cross-validation")
    assert here.train(annotated(tickets(68))).verdict == (
        "promoted: not evaluated: 0 validation tasks, and an evaluation needs 30; a coin toss, so the newest version "
        "is promoted"
    )


@pytest.mark.parametrize("count", [30, 200])
def test_the_same_annotations_and_options_make_nothing_new(project, count):
    """Also where too few tasks are held out to judge: every stored prediction would be stale for nothing."""
    here = project()
    here.train(annotated(tickets(count)))
    card = here.train(annotated(tickets(count)))
    assert here.promoted == 1
    assert card.verdict == "not promoted: nothing changed since v1: the same annotations and options"


def test_a_version_that_is_not_better_is_not_promoted(project):
    here = project()
    here.train(annotated(tickets(200)))
    card = here.train(annotated(tickets(204)))
    assert here.promoted == 1
    assert card.verdict.startswith("not promoted: not better than v1 on ")
    assert [row.number for row in here.store.versions.of_project(LOCAL)] == [2, 1]
    compared = card.decisions["topic:text-classifier"].compared
    assert compared.new == compared.promoted
    assert compared.interval == (0, 0)


def test_a_better_version_is_promoted_on_the_same_held_out_tasks(project):
    here = project()
    pairs = tickets(200)
    wrong = {"Billing": "Bug", "Bug": "Question", "Question": "Billing"}
    here.train(
        annotated([(text, wrong[label]) if number % 3 else (text, label) for number, (text, label) in enumerate(pairs)])
    )
    card = here.train(annotated(pairs))
    assert here.promoted == 2
    decision = card.decisions["topic:text-classifier"]
    compared = decision.compared
    assert (decision.taken, decision.why, compared.by, compared.confidence) == (True, Why.BETTER, "held-out tasks", 0.8)
    assert compared.new > compared.promoted and compared.interval[0] > 0
    assert compared.labels.keys() == {"Billing", "Bug", "Question"}
    low, high = compared.interval
    assert card.verdict == (
        f"promoted: better than v1 on {compared.tasks} held-out tasks ({compared.new:.3f} > {compared.promoted:.3f}; "
        f"{low:+.3f} to {high:+.3f} with 80% confidence)"
    )


@pytest.mark.parametrize(("rule", "promoted"), [("always", 2), ("never", 1)])
def test_the_recipe_rules_what_is_promoted(project, rule, promoted):
    here = project(f"training: {{promote: {rule}}}\n")
    here.train(annotated(tickets(60)))
    here.train(annotated(tickets(60)))
    assert here.promoted == promoted
    assert len(here.store.versions.of_project(LOCAL)) == 2


def test_training_takes_held_out_tasks_where_it_needs_a_second_class(project):
    held_out = [id for id in range(1, 400) if share_of(str(id)) < 0.2]
    others = [id for id in range(1, 400) if share_of(str(id)) >= 0.2][:20]
    tasks = [AnnotatedTask(str(id), {"text": "refund invoice"}, (Annotation("1", choice("Billing")),)) for id in others]
    tasks += [
        AnnotatedTask(str(id), {"text": f"crash error {id}"}, (Annotation("1", choice("Bug")),)) for id in held_out[:5]
    ]
    here = project()
    card = here.train(tasks)
    first = min(held_out[:5], key=lambda id: share_of(str(id)))
    assert card.models["topic:text-classifier"].moved == [str(first)]
    assert card.held_out == 4


def test_one_class_is_not_enough_and_says_so(project):
    with pytest.raises(NotEnoughData, match="^not enough data: topic:text-classifier: "):
        project().train(annotated([(text, "Bug") for text, _ in tickets(30)]))


def test_labels_without_annotations_are_never_answered(project):
    """The incumbent took the position of a class for the position of a label."""
    config = TOPICS.replace('<Choice value="Billing"/>', '<Choice value="Absent"/><Choice value="Billing"/>')
    here = project(config=config)
    here.train(annotated([pair for pair in tickets(90) if pair[1] != "Bug"]))
    adapters = load_promoted(here.store, LOCAL, here.binding).adapters
    values = adapters["topic:text-classifier"].predict(["refund the invoice", "how can someone explain"])
    assert [max(of_text, key=lambda value: value.score).label for of_text in values] == ["Billing", "Question"]
    assert {value.label for of_text in values for value in of_text} == {"Billing", "Question"}


TWO = """<View><Text name="text" value="$text"/>
<Choices name="topic" toName="text"><Choice value="Billing"/><Choice value="Bug"/><Choice value="Question"/></Choices>
<Rating name="stars" toName="text"/></View>"""
TWO_TAGS = "tags: {Choices: text-classifier, Rating: text-regressor}\n"


def with_stars(pairs, first_id=1):
    stars = {"Billing": 1, "Bug": 2, "Question": 5}
    return [
        AnnotatedTask(
            str(id), {"text": text},
            (Annotation(str(id), [*choice(label), {"from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": stars[label]}}]),),
        )
        for id, (text, label) in enumerate(pairs, first_id)
    ]  # fmt: skip


def test_each_tag_is_trained_on_its_own_and_what_did_not_get_better_is_carried_over(project):
    here = project(TWO_TAGS, TWO)
    tasks = with_stars(tickets(200))
    here.train(tasks)
    wrong = [
        msgspec.structs.replace(
            task, annotations=(Annotation("1", [{**task.annotations[0].result[1], "value": {"rating": 3}}]),)
        ) if number % 2 else task for number, task in enumerate(tasks)
    ]  # fmt: skip
    first = here.store.versions.get(LOCAL, 1)
    card = here.train(wrong)
    assert here.store.versions.get(LOCAL, 1) == first
    assert set(card.models) == {"topic:text-classifier", "stars:text-regressor"}
    loaded = load_promoted(here.store, LOCAL, here.binding)
    assert all(adapter.ready for adapter in loaded.adapters.values())


def test_a_tag_with_too_few_examples_does_not_stop_the_others(project):
    here = project(TWO_TAGS, TWO)
    card = here.train(annotated(tickets(60)))
    assert set(card.models) == {"topic:text-classifier"}
    assert card.notes[0].startswith("stars:text-regressor: 0 of 60 annotated tasks have an annotation for Rating#stars")


def test_a_tag_that_never_learns_is_left_alone(project):
    here = project("tags: {Choices: text-classifier, Rating: {adapter: text-regressor, training: false}}\n", TWO)
    assert set(here.train(with_stars(tickets(60))).models) == {"topic:text-classifier"}


def test_model_version_names_what_decides_a_prediction(project):
    base = project()
    plain = model_version(base.binding, 0, None, LOCAL)
    same = model_version(project("training: {every: 3, keep: 9}\nserver: {port: 1}\n").binding, 0, None, LOCAL)
    threshold = model_version(
        project("tags: {Choices: {adapter: text-classifier, threshold: 0.9}}\n").binding, 0, None, LOCAL
    )
    score = model_version(project("score: entropy\n").binding, 0, None, LOCAL)
    assert plain == same
    assert len({plain, threshold, score}) == 3


def test_keep_bounds_the_versions_and_removes_their_files(backend):
    server = backend("training: {promote: always, keep: 2}\n")
    server.annotate(tickets(40))
    for _ in range(4):
        server.train()
    rows = server.store.versions.of_project(PROJECT_KEY)
    assert [row.number for row in rows] == [4, 3]
    kept = server.store.artifacts.open(rows[0].folder).parent
    assert {path.name for path in kept.iterdir()} == {row.folder.split("/")[1] for row in rows}
    assert not [path for path in kept.parent.iterdir() if path.name.startswith(".making")]


def test_with_keep_1_a_version_that_is_not_promoted_leaves_its_verdict_alone(backend):
    server = backend("training: {promote: never, keep: 1}\n")
    server.annotate(tickets(40))
    for _ in range(2):
        server.train()
    (row,) = server.store.versions.of_project(PROJECT_KEY)
    assert row.number == server.store.versions.promoted(PROJECT_KEY) == 1
    kept = server.store.artifacts.open(row.folder).parent
    assert [path.name for path in kept.iterdir()] == [row.folder.split("/")[1]]
    assert server.store.runs.of_project(PROJECT_KEY)[0].message == (
        "v2: not promoted: the recipe says `promote: never`; not kept: with `keep: 1` only the promoted version stays"
    )


def test_a_text_with_half_a_surrogate_pair_costs_its_task_alone(project):
    here = project()
    pairs = tickets(60)
    pairs[7] = (pairs[7][0] + " \ud800", pairs[7][1])
    card = here.train(annotated(pairs))
    assert here.promoted == 1
    assert card.tasks == 59
    assert [(one.reason, one.count, one.task) for one in card.left_out] == [("not Unicode", 1, "8")]
    adapters = load_promoted(here.store, LOCAL, here.binding).adapters
    assert adapters["topic:text-classifier"].predict(["refund \udc00 invoice"])[0]


def test_several_models_on_one_control_are_judged_together_and_once(project):
    here = project("tags: {Choices: [text-classifier, {adapter: text-classifier, options: {C: 1}}]}\n")
    card = here.train(annotated(tickets(120)))
    assert card.metrics["topic"]["examples"] == card.held_out


def test_what_a_version_learnt_never_judges_it_whatever_the_ids_are(project):
    """As when a project starts from what was learnt offline, where the same texts had other ids."""
    here = project()
    here.train(annotated(tickets(200)))
    again = annotated(tickets(200), first_id=5000)
    card = here.train(again)
    fair = {task.data["text"] for task in again if share_of(task.id) < 0.2}
    learnt = {text for id, (text, _) in enumerate(tickets(200), 1) if share_of(str(id)) >= 0.2}
    decision = card.decisions["topic:text-classifier"]
    assert not fair - learnt or decision.compared.tasks <= len({text for text, _ in tickets(200)} - learnt)


@pytest.fixture
def resuming(monkeypatch):
    """Text classifiers that go on from what is promoted, as yolo and detector do with `resume: true`; the folders of which
    they were loaded."""
    loaded, load = [], TextClassifier.load
    monkeypatch.setattr(TextClassifier, "resumes", True)
    monkeypatch.setattr(TextClassifier, "load", lambda self, folder: (loaded.append(folder), load(self, folder)))
    return loaded


def test_a_model_that_resumes_goes_on_from_what_is_served_and_knows_what_that_learnt(project, resuming):
    here = project("training: {promote: always}\n")
    found = []
    for pairs, first_id in ((tickets(40), 1), (tickets(80)[40:], 1000)):
        card = here.train(annotated(pairs, first_id))
        folder = here.store.artifacts.open(here.store.versions.get(LOCAL, here.promoted).folder)
        found.append((card.notes, learnt_hashes(folder, card.models["topic:text-classifier"])))
    (first, of_first), (second, of_second) = found
    assert not any("went on" in note for note in first) and len(resuming) >= 1
    assert "topic:text-classifier: went on from v1" in second
    assert of_first < of_second


def test_the_model_that_auto_chooses_goes_on_from_what_is_served_if_that_is_of_the_same_adapter(project, resuming):
    other = "{adapter: text-classifier, options: {ngrams: [1, 3]}}"
    here = project(
        f"tags: {{Choices: {{adapter: auto, models: [text-classifier, {other}]}}}}\ntraining: {{promote: always}}\n"
    )
    first = here.train(annotated(tickets(6)))
    resuming.clear()
    second = here.train(annotated([*tickets(6), *tickets(8)[6:]]))
    # Too few for a comparison: both times the first is chosen.
    assert {card.models["topic:auto"].selection.chosen for card in (first, second)} == {"text-classifier"}
    assert not any("went on" in note for note in first.notes)
    assert "topic:auto: went on from v1" in second.notes
    # Once to compare with it, once by `auto`, and once by the model that goes on.
    assert len(resuming) == 3 and len(set(resuming)) <= 2


@pytest.mark.parametrize("damage", ["file", "content"])
def test_a_model_that_resumes_begins_anew_where_the_promoted_version_cannot_be_read(
    project, resuming, damage, monkeypatch, caplog
):
    here = project("training: {promote: always}\n")
    here.train(annotated(tickets(40)))
    folder = here.store.artifacts.open(here.store.versions.get(LOCAL, 1).folder)
    if damage == "file":
        if not isinstance(here.store.artifacts, LocalArtifacts):
            pytest.skip("a shared store brings a damaged copy again")
        for path in (folder / "0-text-classifier").iterdir():
            path.write_bytes(b"nothing")
    else:  # a library that reads it no more: the server's copy is in memory, and a new one fails
        read = TextClassifier.load

        def refuse(self, path):
            if len(resuming) > 1:
                raise VersionError(f"{path}: cannot be read any more")
            read(self, path)

        resuming.clear()
        monkeypatch.setattr(TextClassifier, "load", refuse)
        resuming.append(folder)
    card = here.train(annotated(tickets(80)))
    said = "topic:text-classifier: v1 cannot be loaded, so training began with the recipe's weights"
    assert [note for note in card.notes if note.startswith(said)] and said in caplog.text
    assert not any("went on" in note for note in card.notes)
    assert here.promoted == 2


def test_an_absurd_number_is_no_example(project):
    here = project(
        TWO_TAGS.replace("Rating", "Number"),
        TWO.replace('<Rating name="stars" toName="text"/>', '<Number name="stars" toName="text"/>').replace(
            "Rating", "Number"
        ),
    )
    region = {"from_name": "stars", "to_name": "text", "type": "number", "value": {"number": 1e308}}
    task = AnnotatedTask("1", {"text": "x"}, (Annotation("1", [region]),))
    assert here.binding.learn(task, no_fetch).answers == {}
