"""Agreement among annotators: figures worked out by hand, what counts as an answer, and what the API and the page show."""

from __future__ import annotations

import pytest

from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.labeling.annotated import AnnotatedTasks
from lsml.learning.agreement import agreement
from lsml.recipe import load_recipe
from lsml.studio.connection import fetcher
from tests.conftest import PROJECT_KEY, TOPICS, choice, event, write_recipe

SPANS = '<View><Text name="text" value="$text"/><Labels name="who" toName="text"><Label value="City"/></Labels></View>'


def agreed(folder, tasks, config=TOPICS, text=""):
    binding = bind(load_recipe(write_recipe(folder, text, config=config)), parse_labeling_config(config))
    return agreement(binding, AnnotatedTasks(tasks), fetcher(binding.recipe, None))


def task(id: int, answers: dict[str, str], **more) -> dict:
    """One that each of these people gave a label."""
    annotations = [
        {"id": 10 * id + number, "completed_by": int(who), "result": choice(label), "lead_time": 1.0, **more}
        for number, (who, label) in enumerate(answers.items())
    ]
    return {"id": id, "data": {"text": f"text {id}"}, "annotations": annotations}


def test_choices_are_measured_as_by_hand(tmp_path):
    given = [("Bug", "Bug"), ("Bug", "Bug"), ("Bug", "Billing"), ("Billing", "Billing"), ("Billing", "Billing")]
    tasks = [task(id, {"1": first, "2": second}) for id, (first, second) in enumerate(given, 1)]
    (control,) = agreed(tmp_path, tasks).controls
    (pair,) = control.pairs
    # Observed 4/5. Kappa expects 3/5 * 2/5 + 2/5 * 3/5 = 12/25, so (0.8 - 0.48) / 0.52.
    assert (pair.annotators, pair.value, pair.tasks) == (("1", "2"), pytest.approx(0.32 / 0.52, abs=1e-4), 5)
    # Alpha: observed disagreement 2/10; expected 2 * 5 * 5 / (10 * 9) = 5/9.
    assert (control.measure, control.value) == ("Krippendorff's alpha", pytest.approx(1 - 0.2 / (5 / 9), abs=1e-4))
    assert control.tasks == 5


def test_alpha_is_that_of_another_implementation(tmp_path):
    import random

    import krippendorff

    labels, drawn = ["Billing", "Bug", "Question"], random.Random(5)
    people = [[str(number) for number in range(drawn.randint(2, 5))] for _ in range(40)]
    answers = [{who: drawn.choice(labels[: 1 + drawn.randint(0, 2)]) for who in those} for those in people]
    (control,) = agreed(tmp_path, [task(id, given) for id, given in enumerate(answers, 1)]).controls
    counts = [[list(given.values()).count(label) for label in labels] for given in answers]
    theirs = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    assert control.value == pytest.approx(theirs, abs=1e-4)


def test_who_agrees_least_has_the_lowest_figure(tmp_path):
    labels = ["Bug", "Billing", "Question"]
    tasks = [
        task(id, {"1": labels[id % 3], "2": labels[id % 3], "3": labels[(id + id % 2) % 3]}) for id in range(1, 31)
    ]
    people = agreed(tmp_path, tasks)
    figures = {one.annotator: one.agreement for one in people.annotators}
    assert figures["3"] < figures["1"] == figures["2"] < 1
    assert [one.annotations for one in people.annotators] == [30, 30, 30]


def test_alone_on_every_task_nobody_is_compared(tmp_path):
    people = agreed(tmp_path, [task(1, {"1": "Bug"}), task(2, {"2": "Bug"})])
    assert people.controls == []
    assert [one.agreement for one in people.annotators] == [None, None]


def test_what_a_model_made_and_nobody_touched_is_nobody_s_answer(tmp_path):
    tasks = [task(id, {"1": "Bug"}) for id in range(1, 4)]
    for one in tasks:
        made = {"id": 900 + one["id"], "completed_by": 2, "result": choice("Billing"), "parent_prediction": 5}
        one["annotations"].append(made)
    people = agreed(tmp_path, tasks)
    assert [(one.annotator, one.annotations) for one in people.annotators] == [("1", 3)]
    assert people.controls == []


def test_of_one_person_the_last_annotation_of_a_task_counts(tmp_path):
    one = task(1, {"1": "Bug", "2": "Billing"})
    one["annotations"].append(
        {"id": 99, "completed_by": 2, "result": choice("Bug"), "lead_time": 1.0, "updated_at": "2030-01-01T00:00:00Z"}
    )
    (control,) = agreed(tmp_path, [one, task(2, {"1": "Question", "2": "Question"})]).controls
    assert control.value == 1.0


def test_spans_are_measured_by_how_far_they_meet(tmp_path):
    def marked(who: int, *spans: tuple[int, int]) -> dict:
        result = [
            {"id": f"r{start}", "from_name": "who", "to_name": "text", "type": "labels",
             "value": {"start": start, "end": end, "text": TEXT[start:end], "labels": ["City"]}}
            for start, end in spans
        ]  # fmt: skip
        return {"id": who, "completed_by": who, "result": result, "lead_time": 1.0}

    TEXT = "From Berlin to Paris"
    tasks = [{"id": 1, "data": {"text": TEXT}, "annotations": [marked(1, (5, 11), (15, 20)), marked(2, (5, 11))]}]
    (control,) = agreed(tmp_path, tasks, SPANS, "tags: {Labels: ner-crf}\n").controls
    # One of two is met: precision 1, recall 1/2.
    assert (control.measure, control.value) == ("mean of pairs", pytest.approx(2 / 3, abs=1e-4))


def test_the_api_and_the_page_show_it(backend):
    server = backend()
    for id in range(1, 11):
        for who in (1, 2):
            label = "Bug" if id % 2 or (who == 2 and id == 4) else "Billing"
            told = event(id, f"text {id}", label, completed_by=who)
            told["annotation"]["id"] = 10 * id + who
            server.post("/webhook", told)
    told = server.client.get(f"/api/projects/{PROJECT_KEY}/people").json
    assert [(one["annotator"], one["annotations"]) for one in told["annotators"]] == [("1", 10), ("2", 10)]
    (control,) = told["controls"]
    page = server.client.get(f"/projects/{PROJECT_KEY}/people").text
    assert f"{control['value']:.3f}" in page
    assert "on 10 tasks with several annotators" in page


def test_a_version_remembers_the_metric_of_people_against_each_other(backend):
    here = backend("training: {every: 1000, quiet: 0s, promote: always}\n")
    for id in range(1, 21):
        label = ["Bug", "Billing"][id % 2]
        for who, said in ((1, label), (2, "Billing" if id == 4 else label)):
            told = event(id, f"text {id}", said, completed_by=who)
            told["annotation"]["id"] = 100 * who + id
            here.post("/webhook", told)
    here.train()
    (version,) = here.client.get(f"/api/projects/{PROJECT_KEY}").json["versions"]
    # Of 20 tasks one is Bug for the first and Billing for the second: F1 of Bug 18/19, of Billing 20/21.
    assert version["ceilings"] == {"topic": {"value": pytest.approx((18 / 19 + 20 / 21) / 2, abs=1e-4), "tasks": 20}}
    page = here.client.get(f"/projects/{PROJECT_KEY}").text
    assert "agreement of people" not in page  # one version makes no curve
    here.train()
    page = here.client.get(f"/projects/{PROJECT_KEY}").text
    assert '<line class="ceiling"' in page
    assert "on 20 tasks with several annotators" in page
