"""remote as another ML backend: a strict server that behaves as the reference SDK's examples do, and a real lsml."""

from __future__ import annotations

import json
import threading

import pytest

from lsml.adapters.remote import elsewhere
from lsml.adapters.remote.label_studio import _as_score
from lsml.adapters.remote.options import RemoteOptions
from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.recipe import load_recipe
from tests.conftest import PROJECT_KEY, TOPICS, tickets
from tests.support.backend import until
from tests.support.service import said
from tests.support.web import Answer, Web

ENTITIES = """<View>
  <Text name="text" value="$text"/>
  <Labels name="who" toName="text"><Label value="Person"/></Labels>
  <Choices name="topic" toName="text"><Choice value="Bug"/><Choice value="Billing"/></Choices>
</View>"""
TAGS = """tags:
  Labels, Choices:
    adapter: remote
    options: {protocol: label-studio, url: "%s", private: true, retries: 0, authorization: "Basic c2VjcmV0", timeout: 5%s}
"""


class Reference:
    """What the reference SDK and its examples do: 500 for a batch with one bad task, no entry for a task without entities
    where `drops`, scores above 1, labels that the config lacks. `says` replaces the answer to /predict.
    """

    def __init__(self, drops=False, says=None):
        self.version, self.drops, self.says = "ner-3", drops, says
        self.calls = []

    def __call__(self, asked):
        self.calls.append(asked.path)
        if asked.headers.get("authorization") != "Basic c2VjcmV0":
            return said("who are you?", 401)
        body = json.loads(asked.body)
        if asked.path == "/ml/setup":
            assert set(body) == {"project", "schema", "hostname", "access_token", "extra_params"}
            assert body["schema"].strip() == ENTITIES and body["project"] == "lsml" and not body["access_token"]
            return said({"model_version": self.version})
        assert asked.path == "/ml/predict" and set(body) == {"tasks", "project", "label_config", "params"}
        assert body["label_config"].strip() == ENTITIES
        assert body["params"] == {"login": None, "password": None, "context": None}
        if self.says is not None:
            return self.says
        if any("broken" in task["data"]["text"] for task in body["tasks"]):
            return said({"detail": "list index out of range"}, 500)
        made = [self._prediction(task) for task in body["tasks"]]
        return said({"results": [one for one in made if one["result"] or not self.drops]})

    def _prediction(self, task):
        assert task["annotations"] == [] and task["predictions"] == [], "a backend never sees the answer"
        text = task["data"]["text"]
        named = {"from_name": "who", "to_name": "text", "type": "labels"}
        found = [
            {
                **named,
                "score": score,
                "value": {"start": start, "end": start + len(word), "text": word, "labels": [label]},
            }
            for word, label, score in (("Ann", "Person", 0.75), ("Bob", "Person", 2.0), ("Oslo", "City", 0.5))
            if (start := text.find(word)) >= 0
        ]
        if "late" in text:
            found.append({**named, "value": {"start": 5000, "end": 5003, "labels": ["Person"]}})
        return {"result": found, "score": 2.0, "model_version": self.version}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """Versions are asked anew in each test, and each time."""
    monkeypatch.setattr(elsewhere, "_known", type(elsewhere._known)(8))
    monkeypatch.setattr(elsewhere, "_FRESH_S", 0.0)


def asking(backend, web, more="", change=("", "")):
    return backend((TAGS % (f"{web.url}/ml/", more)).replace(*change), config=ENTITIES)


def values(prediction):
    return [(region["from_name"], *region["value"].values(), region.get("score")) for region in prediction["result"]]


def test_answers_become_values_and_what_cannot_be_used_is_dropped_and_counted(backend, caplog):
    with Web(Reference()) as web:
        first, second = asking(backend, web).predict("Ann met Bob in Oslo", "nobody, late")
    assert values(first) == [("who", 8, 11, "Bob", ["Person"], None), ("who", 0, 3, "Ann", ["Person"], 0.75)]
    assert second["result"] == [], "the backend looked, and found nothing"
    assert "regions of the backend were dropped: beyond the text 1, unknown label 1" in caplog.text


def test_a_task_that_fails_costs_only_itself(backend):
    with Web(Reference()) as web:
        answered = asking(backend, web).predict("Ann", "broken", "Ann is here")
    assert [len(one["result"]) if one else None for one in answered] == [1, None, 1]
    assert len([one for one in web.asked if one.path == "/ml/predict"]) == 4, "the batch, and each task alone once"


def test_a_backend_that_leaves_tasks_out_is_asked_for_each_alone(backend):
    with Web(Reference(drops=True)) as web:
        answered = asking(backend, web).predict("Ann", "nobody", "Ann is here")
    assert [len(one["result"]) if one else None for one in answered] == [1, None, 1]


def test_many_tasks_go_in_requests_of_a_few(backend):
    with Web(Reference()) as web:
        asking(backend, web, ", tasks: 2").predict("Ann", "Ann 2", "Ann 3", "Ann")
    sent = [len(json.loads(one.body)["tasks"]) for one in web.asked if one.path == "/ml/predict"]
    assert sent == [2, 2], "two tasks of one text are two tasks"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (said({"results": [[]]}), "has no prediction for this task"),
        (said({"results": [None]}), "has no prediction for this task"),
        (said({"results": [{"score": 1}]}), "no list of regions under `result`"),
        (said({"results": []}), "answered 0 results for 1 tasks"),
        (said(["a list"]), "answered no results for 1 tasks"),
        (Answer(body=b"<html>"), "its answer is not JSON"),
        (said({}, 500), "failed on the request (500); its own log says why"),
        (said({}, 503), "answered 503 to the last of 1 attempts"),
        (said({}, 404), "answered 404"),
        (Answer(headers={"Content-Length": "9"}, pieces=[b"x"], pause_s=2), "no answer within 0.3 s"),
        (Answer(headers={"Content-Length": "200"}, pieces=[b" "] * 200, pause_s=0.1), "no answer within 0.3 s"),
        (Answer(body=b"no gzip", headers={"Content-Encoding": "gzip"}), "cannot be reached (DecodingError)"),
    ],
)
def test_trouble_is_told_and_nothing_is_predicted(backend, answer, why, caplog):
    with Web(Reference(says=answer)) as web:
        change = ("timeout: 5", "timeout: 0.3") if "0.3 s" in why else ("", "")
        assert asking(backend, web, change=change).predict("Ann") == [[]]
    assert why in caplog.text and "c2VjcmV0" not in caplog.text


def test_one_of_several_predictions_is_taken(backend):
    region = {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": ["Bug"]}}
    with Web(Reference(says=said({"results": [[{"result": [region], "score": 0.6}, {"result": []}]]}))) as web:
        (answered,) = asking(backend, web).predict("Ann")
    assert values(answered) == [("topic", ["Bug"], 0.6)], "the prediction's score is that of its only region"


@pytest.mark.parametrize(("given", "taken"), [(1, 1.0), (0, 0.0), (True, None), (-0.1, None), (float("nan"), None)])
def test_only_a_score_from_0_to_1_is_taken(given, taken):
    assert _as_score(given) == taken
    assert _as_score(10**400) is None, "JSON has integers beyond every float"


def test_a_slow_backend_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(elsewhere, "_TIMEOUT_S", 30.0)
    go_on = threading.Event()

    def slow(_asked):
        go_on.wait(20)
        return said({"model_version": "slow"})

    with Web(slow) as first, Web(lambda _asked: said({"model_version": "quick"})) as second:
        waiting = threading.Thread(
            target=elsewhere.version_at, args=(RemoteOptions(first.url, private=True), "<View/>")
        )
        waiting.start()
        until("the slow one is asked", lambda: first.asked, 10)
        options = RemoteOptions(second.url, private=True)
        assert (elsewhere.version_at(options, "<View/>"), elsewhere.trouble_at(options)) == ("quick", None)
        assert waiting.is_alive()
        go_on.set()
        waiting.join()


def test_a_backend_whose_version_cannot_be_read_is_in_trouble():
    with Web(lambda _asked: Answer(body=b"no gzip", headers={"Content-Encoding": "gzip"})) as web:
        options = RemoteOptions(web.url, private=True)
        assert elsewhere.version_at(options, "<View/>") is None
        assert "DecodingError" in elsewhere.trouble_at(options)


def test_the_backends_version_is_part_of_ours(backend):
    reference = Reference()
    with Web(reference) as web:
        made = asking(backend, web)

        def setup():
            asked = {"project": PROJECT_KEY, "schema": ENTITIES}
            return made.post("/setup", asked).json["model_version"]

        first = setup()
        assert setup() == first and made.predict("Ann", project=PROJECT_KEY)[0]["model_version"] == first
        reference.version = "ner-4"
        second = setup()
        assert second != first and second.startswith("triage-v0-")
        assert made.predict("Ann", project=PROJECT_KEY)[0]["model_version"] == second
    assert setup() == second, "a backend that does not answer keeps its last version"
    assert "remote: 127.0.0.1: cannot be reached" in made.client.get("/").text


def test_an_address_that_is_not_public_is_asked_only_where_the_recipe_says_so(backend, caplog):
    with Web(Reference()) as web:
        assert asking(backend, web, change=("private: true, ", "")).predict("Ann") == [[]]
    assert not web.asked and "has the private address 127.0.0.1" in caplog.text


def test_a_real_lsml_is_a_backend_of_another(backend):
    theirs = backend()
    theirs.annotate(tickets(24))

    def forward(asked):
        answered = theirs.client.open(asked.path, method=asked.method, data=asked.body, content_type="application/json")
        return Answer(answered.status_code, answered.data, {"Content-Type": "application/json"})

    options = '{protocol: label-studio, url: "%s", private: true, project: "' + PROJECT_KEY + '"}'
    with Web(forward) as web:
        ours = backend("tags:\n  Choices: {adapter: remote, options: " + options % web.url + "}\n")
        texts = [text for text, _ in tickets(6, seed=7)]
        before = ours.post("/setup", {"project": "9.1795424614", "schema": TOPICS}).json["model_version"]
        theirs.train()
        after = ours.post("/setup", {"project": "9.1795424614", "schema": TOPICS}).json["model_version"]
        got, expected = ours.predict(*texts), theirs.predict(*texts, project=PROJECT_KEY)
    shown = [[(one["value"], round(one["score"], 6)) for one in answered["result"]] for answered in got]
    assert shown == [[(one["value"], round(one["score"], 6)) for one in answered["result"]] for answered in expected]
    assert shown and all(shown) and before != after, "what the other one learns gives us another version"


IMAGES = """<View><Image name="i" value="$image"/>
  <RectangleLabels name="b" toName="i"><Label value="Cat"/></RectangleLabels>
  <Text name="t" value="$text"/><Relations><Relation value="of"/></Relations>
  <Choices name="c" toName="i" perRegion="true"><Choice value="A"/></Choices></View>"""


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ("RectangleLabels: {%s}", ""),
        ("RectangleLabels: {%s, each: results}", "`each` has no meaning with `protocol: label-studio`; remove it"),
        ("Choices: {%s}", "name the tag of the regions under `needs`"),
    ],
)  # fmt: skip
def test_it_fits_tags_that_other_services_do_not(tmp_path, tags, reason):
    entry = tags.replace(
        "{%s", "{adapter: remote, options: {protocol: label-studio, url: 'https://example.com/'"
    ).replace("}", "}}")
    path = tmp_path / "r.yaml"
    path.write_text(f"lsml: 1\nname: r\ntags:\n  {entry}\n")
    made = bind(load_recipe(path), parse_labeling_config(IMAGES))
    assert made.models if not reason else any(reason in one.reason for one in made.unbound)
