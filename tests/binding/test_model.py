"""Pages: a control for each page of a list of images (perItem), and PDF documents, read as texts or as pages."""

from __future__ import annotations

import base64

import pytest

from tests.conftest import PROJECT as TICKETS
from tests.conftest import PROJECT_KEY
from tests.support.documents import as_url, pdf
from tests.support.drawings import disc
from tests.support.language_model import KEY, MODEL, language_model

CONFIG = """<View><Image name="pages" valueList="$pages"/>
<Choices name="colour" toName="pages" perItem="true"><Choice value="Red"/><Choice value="Blue"/></Choices>
</View>"""
RECIPE = "tags:\n  Choices#colour: image-classifier\ntraining: {min_annotations: 2, holdout: 0}\n"
PROJECT = {**TICKETS, "label_config": CONFIG}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A picture of each colour, as a data URL."""
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for colour in ("Red", "Blue"):
        path = disc(folder / f"{colour}.png", colour, (50, 40), 25)
        made[colour] = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    return made


def answered(page: int | None, colour: str) -> dict[str, object]:
    where = {} if page is None else {"item_index": page}
    value = {"choices": [colour]}
    return {"id": f"r{page}", "from_name": "colour", "to_name": "pages", "type": "choices", "value": value, **where}


def annotated(id: int, pages: object, result: list[dict[str, object]]) -> dict[str, object]:
    return {
        "action": "ANNOTATION_CREATED", "project": PROJECT, "task": {"id": id, "data": {"pages": pages}},
        "annotation": {"id": id, "task": id, "project": PROJECT["id"], "result": result, "was_cancelled": False, "completed_by": 1},
    }  # fmt: skip


def test_each_page_of_a_task_is_learnt_and_answered_alone(backend, pages):
    server = backend(RECIPE, CONFIG)
    for id in range(1, 7):
        order = ["Red", "Blue", "Blue"] if id % 2 else ["Blue", "Red"]
        result = [answered(page, colour) for page, colour in enumerate(order)]
        assert server.post("/webhook", annotated(id, [pages[colour] for colour in order], result)).status_code == 200
    assert server.train(PROJECT)["job_status"] == "finished"
    task = {"id": 9, "data": {"pages": [pages["Blue"], pages["Red"], pages["Blue"]]}}
    asked = {"tasks": [task], "project": PROJECT_KEY, "label_config": CONFIG}
    [prediction] = server.post("/predict", asked).json["results"]
    found = [(region["item_index"], region["value"]["choices"], region["from_name"]) for region in prediction["result"]]
    assert sorted(found) == [(0, ["Blue"], "colour"), (1, ["Red"], "colour"), (2, ["Blue"], "colour")]
    assert len({region["id"] for region in prediction["result"]}) == 3


def test_of_a_page_that_nobody_answered_nothing_is_learnt(backend, pages):
    server = backend(RECIPE, CONFIG)
    for id, colour in enumerate(("Red", "Blue", "Red", "Blue"), 1):
        unsaid = pages["Blue" if colour == "Red" else "Red"]
        server.post("/webhook", annotated(id, [pages[colour], unsaid], [answered(0, colour)]))
    assert server.train(PROJECT)["job_status"] == "finished"
    task = {"id": 9, "data": {"pages": [pages["Red"], pages["Blue"]]}}
    asked = {"tasks": [task], "project": PROJECT_KEY, "label_config": CONFIG}
    [prediction] = server.post("/predict", asked).json["results"]
    assert [region["value"]["choices"] for region in prediction["result"]] == [["Red"], ["Blue"]]


def test_a_single_image_has_one_answer_without_a_page(backend, pages):
    server = backend(RECIPE, CONFIG)
    for id, colour in enumerate(("Red", "Blue", "Red", "Blue"), 1):
        server.post("/webhook", annotated(id, pages[colour], [answered(None, colour)]))
    assert server.train(PROJECT)["job_status"] == "finished"
    asked = {"tasks": [{"id": 9, "data": {"pages": pages["Red"]}}], "project": PROJECT_KEY, "label_config": CONFIG}
    [prediction] = server.post("/predict", asked).json["results"]
    [region] = prediction["result"]
    assert region["value"]["choices"] == ["Red"] and "item_index" not in region


MEASURES = """<View><Image name="pages" valueList="$pages"/>
<Number name="brightness" toName="pages" perItem="true"/><Rating name="stars" toName="pages" perItem="true"/></View>"""


def test_numbers_and_ratings_of_each_page_are_learnt_and_answered_alone(backend, pages):
    project = {**PROJECT, "label_config": MEASURES}
    server = backend(
        "tags:\n  Number: image-regressor\n  Rating: image-regressor\ntraining: {min_annotations: 2, holdout: 0}\n",
        MEASURES,
    )
    told = {"Red": (10, 1), "Blue": (50, 5)}
    for id in range(1, 9):
        order = ["Red", "Blue"] if id % 2 else ["Blue", "Red", "Red"]
        result = []
        for page, colour in enumerate(order):
            for name, key, given in zip(("brightness", "stars"), ("number", "rating"), told[colour], strict=True):
                where = {"id": f"{name}{page}", "from_name": name, "to_name": "pages", "item_index": page}
                result.append({**where, "type": key, "value": {key: given}})
        event = {**annotated(id, [pages[colour] for colour in order], result), "project": project}
        assert server.post("/webhook", event).status_code == 200
    assert server.train(project)["job_status"] == "finished"
    task = {"id": 9, "data": {"pages": [pages["Blue"], pages["Red"]]}}
    asked = {"tasks": [task], "project": PROJECT_KEY, "label_config": MEASURES}
    [prediction] = server.post("/predict", asked).json["results"]
    found = {(one["from_name"], one["item_index"]): one["value"] for one in prediction["result"]}
    assert found["brightness", 0]["number"] == pytest.approx(50, abs=8)
    assert found["brightness", 1]["number"] == pytest.approx(10, abs=8)
    assert (found["stars", 0], found["stars", 1]) == ({"rating": 5}, {"rating": 1})


CAPTIONS = """<View><Image name="pages" valueList="$pages"/>
<TextArea name="caption" toName="pages" perItem="true"/>
<Choices name="whole" toName="pages"><Choice value="Letter"/></Choices></View>"""


def test_a_text_is_written_for_each_page_beside_a_choice_for_all_of_them(backend, pages):
    with language_model() as web:
        options = f'{{model: {MODEL}, base_url: "{web.url}/v1", api_key: {KEY}}}'
        server = backend(f"tags:\n  TextArea, Choices: {{adapter: llm, options: {options}}}\n", CAPTIONS)
        task = {"id": 9, "data": {"pages": [pages["Blue"], pages["Red"]]}}
        asked = {"tasks": [task], "project": PROJECT_KEY, "label_config": CAPTIONS}
        [prediction] = server.post("/predict", asked).json["results"]
    found = [(one["from_name"], one.get("item_index"), one["value"]) for one in prediction["result"]]
    assert sorted(found, key=str) == [
        ("caption", 0, {"text": ["image"]}), ("caption", 1, {"text": ["image"]}), ("whole", None, {"choices": ["Letter"]})
    ]  # fmt: skip


DOCUMENTS = """<View><Pdf name="pdf" value="$pdf"/><Rating name="stars" toName="pdf" maxRating="5"/>
<Choices name="kind" toName="pdf"><Choice value="Letter"/><Choice value="Invoice"/></Choices></View>"""
ARTICLES = {
    "Letter": [["Dear Ann, thank you", "for your kind letter"], ["With love, Ben"]],
    "Invoice": [["Invoice number 7", "Total due 20.00"]],
}


@pytest.mark.parametrize(
    ("classifier", "regressor"), [("text-classifier", "text-regressor"), ("image-classifier", "image-regressor")]
)
def test_pdf_documents_are_learnt_and_answered_by_their_text_or_their_first_page(backend, classifier, regressor):
    pytest.importorskip("pypdfium2")
    project = {**PROJECT, "label_config": DOCUMENTS}
    server = backend(
        f"tags:\n  Choices: {classifier}\n  Rating: {regressor}\ntraining: {{min_annotations: 2, holdout: 0}}\n",
        DOCUMENTS,
    )
    for id in range(1, 9):
        kind, stars = ("Letter", 5) if id % 2 else ("Invoice", 1)
        result = [
            {"id": "a", "from_name": "kind", "to_name": "pdf", "type": "choices", "value": {"choices": [kind]}},
            {"id": "b", "from_name": "stars", "to_name": "pdf", "type": "rating", "value": {"rating": stars}},
        ]
        data = {"pdf": as_url(pdf([*ARTICLES[kind], [f"page {id}"]]))}
        event = {**annotated(id, None, result), "task": {"id": id, "data": data}, "project": project}
        assert server.post("/webhook", event).status_code == 200
    assert server.train(project)["job_status"] == "finished"
    tasks = [
        {"id": 9, "data": {"pdf": as_url(pdf(ARTICLES["Invoice"]))}},
        {"id": 10, "data": {"pdf": as_url(pdf([[]], locked=True))}},
    ]
    asked = {"tasks": tasks, "project": PROJECT_KEY, "label_config": DOCUMENTS}
    answer = server.post("/predict", asked).json
    found = {one["from_name"]: one["value"] for one in answer["results"][0]["result"]}
    assert found == {"kind": {"choices": ["Invoice"]}, "stars": {"rating": 1}}
    assert answer["results"][1] == []
    assert "is a PDF document with a password; save it without one" in str(answer)
