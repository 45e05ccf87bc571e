"""What annotators do with predictions: each fate told by hand, what is compared with what, and where it is shown."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.labeling.annotated import AnnotatedTasks
from lsml.learning.corrections import corrections
from lsml.recipe import load_recipe
from tests.conftest import PROJECT_KEY, choice, event, write_recipe
from tests.server.test_telemetry import numbers

VERSION, OLDER = "triage-v2-0123abcd-p1", "triage-v1-0123abcd-p1"
TEXT = "Ada met Bob in Paris."
CONFIG = """<View><Text name="text" value="$text"/>
<Labels name="who" toName="text"><Label value="PER"/><Label value="LOC"/></Labels>
<Choices name="topic" toName="text" choice="multiple"><Choice value="A"/><Choice value="B"/><Choice value="C"/></Choices>
<Rating name="stars" toName="text"/></View>"""
TAGS = "tags: {Labels: ner-crf, Choices: text-classifier, Rating: text-regressor}\n"


def span(id: str, start: int, end: int, label: str, **more) -> dict:
    value = {"start": start, "end": end, "text": TEXT[start:end], "labels": [label]}
    return {"id": id, "from_name": "who", "to_name": "text", "type": "labels", "value": value, **more}


def chosen(*labels: str) -> dict:
    return {"id": "c", "from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": list(labels)}}


def stars(number: int) -> dict:
    return {"id": "n", "from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": number}}


def made(id: int, predicted: list, result: list, who: int = 7, version: str = VERSION, **more) -> dict:
    """An annotation that began from a prediction, as Label Studio writes it."""
    prediction = {"id": 900 + id, "model_version": version, "result": predicted}
    return {
        "id": id, "completed_by": who, "result": result, "lead_time": 4.0, "parent_prediction": 900 + id,
        "prediction": prediction, **more,
    }  # fmt: skip


def found(folder, annotations: list, config: str = CONFIG, tags: str = TAGS, **task):
    binding = bind(load_recipe(write_recipe(folder, tags, config=config)), parse_labeling_config(config))
    tasks = [{"id": 1, "data": {"text": TEXT}, "annotations": annotations, **task}]
    return corrections(binding, AnnotatedTasks(tasks))


def counts(regions) -> tuple[int, int, int, int]:
    return regions.untouched, regions.edited, regions.deleted, regions.added


ADA, BOB, PARIS = span("a", 0, 3, "PER"), span("b", 8, 11, "LOC"), span("p", 15, 20, "LOC")


@pytest.mark.parametrize(
    ("predicted", "result", "expected"),
    [
        ([ADA, BOB], [{**ADA, "origin": "prediction", "score": 0.7}, BOB], (2, 0, 0, 0)),
        ([ADA, BOB], [ADA, span("b", 8, 11, "PER"), PARIS], (1, 1, 0, 1)),  # a new label for what was found
        ([ADA, BOB], [span("a", 0, 7, "PER")], (0, 1, 1, 0)),  # drawn longer
        ([ADA], [span("z", 0, 3, "PER")], (1, 0, 0, 0)),  # a program's own id
        ([], [ADA], (0, 0, 0, 1)),
        ([ADA], [], (0, 0, 1, 0)),
        ([chosen("A")], [chosen("A")], (1, 0, 0, 0)),
        ([chosen("A")], [chosen("B")], (0, 1, 0, 0)),
        ([chosen("A")], [chosen("A", "C")], (1, 0, 0, 1)),
        ([chosen("A", "B")], [chosen("A", "C")], (1, 0, 1, 1)),
        ([chosen("A")], [], (0, 0, 1, 0)),
        ([stars(3)], [stars(3)], (1, 0, 0, 0)),
        ([stars(3)], [stars(4)], (0, 1, 0, 0)),
        ([{"from_name": "gone", "value": {}}, "x"], [{"from_name": "other", "id": "o", "value": {}}], (0, 0, 0, 0)),
    ],
)
def test_each_region_has_the_fate_that_a_person_would_tell(tmp_path, predicted, result, expected):
    told = found(tmp_path, [made(1, predicted, result)])
    assert counts(told.regions) == expected
    assert (told.annotations, told.unchanged) == (1, int(expected[1:] == (0, 0, 0)))


@pytest.mark.parametrize(("x", "expected"), [(10.00004, (1, 0, 0, 0)), (10.5, (0, 1, 0, 0))])
def test_a_box_that_the_editor_stored_anew_is_untouched(tmp_path, x, expected):
    config = (
        '<View><Image name="image" value="$text"/><RectangleLabels name="box" toName="image"><Label value="Cat"/>'
        "</RectangleLabels></View>"
    )

    def box(x: float) -> list:
        value = {"x": x, "y": 5.0, "width": 20, "height": 20.0, "rotation": 0, "rectanglelabels": ["Cat"]}
        return [{"id": "a", "from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": value}]

    told = found(tmp_path, [made(1, box(10.0), box(x))], config, "tags: {RectangleLabels: yolo}\n")
    assert counts(told.regions) == expected
    assert [(one.control, one.label) for one in told.labels] == [("box", "Cat")]


def test_figures_are_told_by_label_version_and_annotator(tmp_path):
    told = found(
        tmp_path,
        [
            made(1, [ADA, BOB], [ADA, BOB], who=7, lead_time=2.0),
            made(2, [ADA, BOB], [ADA, span("b", 8, 11, "PER")], who=8, lead_time=6.0),
            made(3, [ADA], [ADA], who=8, version=OLDER, lead_time=10.0),
            {"id": 4, "completed_by": 8, "result": [ADA], "lead_time": 30.0},  # begun anew
        ],
    )
    assert (told.annotations, told.unchanged, counts(told.regions)) == (3, 2, (4, 1, 0, 0))
    assert told.regions.accepted == 0.8
    assert (told.lead_time_s.from_prediction, told.lead_time_s.anew) == (6.0, 30.0)
    assert [(one.label, counts(one.regions)) for one in told.labels] == [("LOC", (1, 1, 0, 0)), ("PER", (3, 0, 0, 0))]
    assert [(one.version, one.annotations, one.unchanged) for one in told.versions] == [(OLDER, 1, 1), (VERSION, 2, 1)]
    by_person = {one.annotator: (one.annotations, one.unchanged, one.lead_time_s) for one in told.annotators}
    assert by_person["7"][:2] == (1, 1)
    assert by_person["8"][:2] == (2, 1)
    assert (by_person["8"][2].from_prediction, by_person["8"][2].anew) == (8.0, 30.0)


def test_what_nobody_saw_and_other_models_predictions_say_nothing(tmp_path):
    bulk = made(1, [ADA], [ADA], lead_time=None)
    theirs = made(2, [ADA], [ADA], version="another-model")
    begun_anew = {**made(3, [ADA], [ADA]), "parent_prediction": None}
    told = found(tmp_path, [bulk, theirs, begun_anew])
    assert (told.annotations, told.unknown, told.regions.accepted) == (0, 0, None)
    assert (told.lead_time_s.from_prediction, told.lead_time_s.anew) == (None, 4.0)


def test_a_prediction_is_found_among_those_of_the_task_and_else_counted_as_unknown(tmp_path):
    annotation = made(1, [], [ADA], prediction={})
    assert found(tmp_path, [annotation]).unknown == 1
    others = [5, {"id": 901, "model_version": VERSION, "result": [ADA]}]
    told = found(tmp_path, [annotation], predictions=others)
    assert (told.unknown, counts(told.regions)) == (0, (1, 0, 0, 0))


def test_a_model_that_is_not_shown_is_not_judged_by_it(tmp_path):
    tags = "tags: {Labels: {adapter: ner-crf, show: false}, Choices: text-classifier}\n"
    told = found(tmp_path, [made(1, [ADA, chosen("A")], [BOB, chosen("A")])], tags=tags)
    assert counts(told.regions) == (1, 0, 0, 0)


def shown(id: int, label: str, predicted: str, at: int = 0, **more) -> dict:
    told = event(id, f"text {id}", label, at=at, **more)
    told["annotation"] |= {
        key: value for key, value in made(id, choice(predicted), choice(label)).items() if key not in more
    }
    return told


def test_the_api_the_page_and_metrics_show_what_webhooks_told(backend):
    server = backend()
    for id in range(1, 11):
        server.post("/webhook", shown(id, "Bug" if id <= 7 else "Billing", "Bug", lead_time=float(id)))
    server.post("/webhook", event(20, "text", "Bug", lead_time=60.0, completed_by=9))
    told = server.client.get(f"/api/projects/{PROJECT_KEY}/people").json["corrections"]
    assert (told["annotations"], told["unchanged"], told["regions"]["accepted"]) == (10, 7, 0.7)
    assert told["lead_time_s"] == {"from_prediction": 5.5, "anew": 60.0}
    assert told["labels"] == [
        {
            "control": "topic",
            "label": "Bug",
            "regions": {"untouched": 7, "edited": 3, "deleted": 0, "added": 0, "accepted": 0.7},
        }
    ]
    page = server.client.get(f"/projects/{PROJECT_KEY}/people").text
    assert "70 % of the predicted regions were accepted untouched" in page
    assert "took 5.5 s from a prediction, and 60.0 s without one" in page
    gauges = numbers(server)
    assert gauges[f'lsml_corrections{{fate="edited",model_version="{VERSION}",project="{PROJECT_KEY}"}}'] == 3
    assert gauges[f'lsml_lead_time_seconds{{began="prediction",project="{PROJECT_KEY}"}}'] == 5.5

    # A correction of a correction counts as it is now; a replay of the first state changes nothing.
    server.post("/webhook", shown(1, "Billing", "Bug", at=30, lead_time=9.0, action="ANNOTATION_UPDATED"))
    server.post("/webhook", shown(1, "Bug", "Bug", lead_time=1.0))
    told = server.client.get(f"/api/projects/{PROJECT_KEY}/people").json["corrections"]
    assert (told["unchanged"], told["lead_time_s"]["from_prediction"]) == (6, 6.5)


def test_a_known_prediction_stays_and_goes_with_its_annotation(backend):
    server = backend()
    server.post("/webhook", shown(1, "Bug", "Bug"))
    server.post("/webhook", shown(1, "Billing", "Bug", at=5, prediction={}))
    (task,) = server.store.beginnings.latest(PROJECT_KEY, 10)
    assert task.annotations[0].seen.result == choice("Bug")
    project = event(1, "", "Bug")["project"]
    server.post("/webhook", {"action": "ANNOTATIONS_DELETED", "project": project, "annotations": [{"id": 1}]})
    server.post("/webhook", shown(1, "Bug", "Bug", at=9))
    with closing(sqlite3.connect(server.store.directory / "lsml.db")) as database:
        assert database.execute("SELECT count(*) FROM beginning").fetchone() == (0,)


def test_a_page_without_any_says_how_to_get_them(backend):
    server = backend()
    server.post("/webhook", shown(1, "Bug", "Bug", prediction={}))
    page = server.client.get(f"/projects/{PROJECT_KEY}/people").text
    assert "1 started from a prediction that Label Studio did not report" in page
