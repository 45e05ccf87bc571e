"""What is written on pages comes back with its place: whole pages, turned lines, photographs, and what a person drew around."""

import base64
import io
import json
import math
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from PIL import Image

from lsml.adapters import lacking
from lsml.adapters.base import Target
from lsml.adapters.image.ocr import Ocr
from lsml.adapters.image.ocr.lines import not_thin, with_margin
from lsml.adapters.image.ocr.options import OcrOptions
from lsml.binding import bind
from lsml.binding.first_recipe import first_recipe
from lsml.binding.offers import offers
from lsml.errors import AdapterError
from lsml.labeling import parse_labeling_config
from lsml.metrics.texts import edits
from lsml.recipe import load_recipe
from lsml.recipe.gallery import find_recipe
from lsml.values import Box, KeyPoint, Mask, Polygon
from lsml.values.coverage import bounds
from tests.conftest import Backend
from tests.media.test_fetching import exif
from tests.support.documents import as_url as pdf_url
from tests.support.documents import pdf
from tests.support.judge import verdicts
from tests.support.pages import INVOICE, SIZE, Written, page, page_file

reads = pytest.mark.models
tesseract = pytest.mark.skipif(not which("tesseract"), reason="the program tesseract is not on this machine")
ASPECT = SIZE[0] / SIZE[1]
TEMPLATE = """<View><Image name="image" value="$ocr"/>
<Labels name="label" toName="image"><Label value="Text"/><Label value="Handwriting"/></Labels>
<Rectangle name="bbox" toName="image"/><Polygon name="poly" toName="image"/>
<TextArea name="transcription" toName="image" perRegion="true" editable="true" maxSubmissions="1"/></View>"""


def reader(kinds=("box",), labels=("Text", "Title"), **options):
    return Ocr(OcrOptions(**options), Target(labels, multiple=True, kinds=dict.fromkeys(kinds, tuple(labels))))


def around(line, wide, label="Title", **more):
    """A rectangle that a person draws around a line, turned with it."""
    place = {"x": line.x / SIZE[0], "y": line.y / SIZE[1], "width": wide / SIZE[0], "height": 36 / SIZE[1]}
    return Box(label, rotation=line.turned, aspect=ASPECT, **place, **more)


@pytest.fixture(scope="module")
def invoice(tmp_path_factory):
    return page_file(tmp_path_factory.mktemp("pages") / "invoice.png")


@reads
@pytest.mark.parametrize("kind", ["box", "polygon"])
def test_every_line_comes_with_its_text_where_it_stands(invoice, kind):
    [found] = reader([kind]).predict([invoice])
    assert [value.text for value in found] == [line.text for line in INVOICE]
    assert all(type(value) is (Box if kind == "box" else Polygon) for value in found)
    assert all(value.label == "Text" and value.score > 0.9 for value in found)
    drawn = [around(line, wide) for line, wide in zip(INVOICE, (285, 256, 235), strict=True)]
    for value, line in zip(found, drawn, strict=True):
        assert bounds(value) == pytest.approx(bounds(line), abs=0.03)


@reads
def test_a_turned_line_is_a_turned_box_and_others_are_upright(invoice):
    [found] = reader().predict([invoice])
    assert [value.rotation for value in found] == [0.0, 0.0, pytest.approx(20.0, abs=2.0)]


@reads
def test_where_boxes_and_polygons_are_wanted_each_line_is_shown_once(invoice):
    [found] = reader(["box", "polygon"]).predict([invoice])
    assert [type(value) for value in found] == [Box] * 3


@reads
@pytest.mark.parametrize(
    "text", ["Größe über Straße", "Où est l'élève ?", "El niño señaló", "Preço: 12,50 €", "Gård på Øland"]
)
def test_languages_in_latin_letters_are_read_without_a_choice(tmp_path, text):
    font = Path(pytest.importorskip("matplotlib").get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    [[found]] = reader().predict([page_file(tmp_path / "page.png", [Written(text, 40, 40, font=font)])])
    assert edits(found.text.replace(" ", ""), text.replace(" ", "")) <= 1


@reads
def test_a_page_that_is_clear_is_read_as_if_on_white(tmp_path):
    drawn = page(INVOICE[:1]).convert("L")
    clear = Image.merge("LA", (Image.new("L", SIZE, 0), drawn.point(lambda grey: 255 - grey)))
    clear.save(tmp_path / "clear.png")
    assert [value.text for value in reader().predict([tmp_path / "clear.png"])[0]] == [INVOICE[0].text]


@reads
def test_an_empty_page_has_no_lines(tmp_path):
    assert reader().predict([page_file(tmp_path / "empty.png", ())]) == [[]]


@reads
@pytest.mark.parametrize(
    ("size", "line"),
    [
        ((110, 1200), Written("Total 42", 4, 600, points=20)),
        ((6000, 110), Written("Total 42 Euro", 3000, 15, points=75)),
    ],
    ids=["tall", "wide"],
)
def test_a_thin_image_is_read_where_the_text_stands(tmp_path, size, line):
    page([line], size).save(tmp_path / "thin.png")
    [[found]] = reader().predict([tmp_path / "thin.png"])
    assert found.text == line.text
    assert (found.x * size[0], found.y * size[1]) == (pytest.approx(line.x, abs=25), pytest.approx(line.y, abs=25))


@reads
@pytest.mark.parametrize("size", [(1, 500), (20000, 20)])
def test_the_thinnest_image_is_shown_to_the_library_in_a_frame_and_has_no_lines(tmp_path, size):
    Image.new("RGB", size, "white").save(tmp_path / "thin.png")
    [small, _] = not_thin(np.zeros((size[1], size[0], 3), np.uint8), 2000)
    assert max(small.shape) <= 2000 and max(small.shape[:2]) <= 4 * min(small.shape[:2])
    assert reader().predict([tmp_path / "thin.png"]) == [[]]


@reads
def test_nothing_is_downloaded(invoice, monkeypatch):
    from lsml.adapters.image.ocr import rapid

    def refuse(*_given):
        raise AssertionError("it asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    rapid._library.cache_clear()
    assert len(reader().predict([invoice])[0]) == 3


@reads
def test_a_place_of_a_low_score_is_not_read(invoice):
    assert reader(confidence=1.0).predict([invoice]) == [[]]


@reads
def test_a_model_of_another_language_reads_the_lines(invoice, tmp_path):
    import rapidocr

    [packaged] = (Path(rapidocr.__file__).parent / "models").glob("*_rec_*.onnx")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("lsml: 1\nname: r\ntags:\n  Rectangle: {adapter: ocr, options: {model: k.onnx}}\n")
    options = load_recipe(recipe).models[0].uses[0].options
    assert Ocr.lacks(options, Target()) == (
        "the model k.onnx is not on this machine; put the file there, or correct options.model"
    )
    shutil.copyfile(packaged, tmp_path / "k.onnx")
    model = load_recipe(recipe).models[0].uses[0].options.model
    assert model == str(tmp_path / "k.onnx")
    assert [value.text for value in reader(model=model).predict([invoice])[0]] == [line.text for line in INVOICE]


@reads
@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (None, r"k\.onnx cannot be read as an ONNX model; correct options\.model"),
        ("*_cls_*.onnx", r"k\.onnx does not hold the letters that it reads; set options\.model to a PP-OCR model"),
    ],
)
def test_a_file_that_reads_no_lines_is_refused_and_nothing_is_downloaded(invoice, tmp_path, file, sentence):
    import rapidocr

    (tmp_path / "k.onnx").write_bytes(b"no model")
    if file:
        [other] = (Path(rapidocr.__file__).parent / "models").glob(file)
        shutil.copyfile(other, tmp_path / "k.onnx")
    with pytest.raises(AdapterError, match=sentence):
        reader(model=str(tmp_path / "k.onnx")).predict([invoice])


# ------------------------------------------------------------------------------------------------ what a person drew


@reads
@pytest.mark.parametrize("number", range(3))
def test_the_text_in_a_drawn_rectangle_is_the_answer_for_that_region_alone(invoice, number):
    drawn = around(INVOICE[number], 285, group="theirs")
    [found] = reader().respond(invoice, [drawn])
    assert (found.text, found.label, found.group) == (INVOICE[number].text, "Title", "theirs") and found.score > 0.9
    assert (found.x, found.y, found.width, found.height, found.rotation) == (
        drawn.x, drawn.y, drawn.width, drawn.height, drawn.rotation
    )  # fmt: skip


@reads
def test_several_lines_in_a_rectangle_are_lines_of_its_text(invoice):
    both = Box("Text", x=0.03, y=0.06, width=0.5, height=0.28, aspect=ASPECT)
    [found] = reader().respond(invoice, [both])
    assert found.text == "Invoice number 4711\nTotal 1,250.00 EUR"


@reads
def test_a_word_of_a_line_is_read_without_the_others(invoice):
    word = Box("Text", x=38 / 700, y=38 / 420, width=102 / 700, height=34 / 420, aspect=ASPECT)
    assert [value.text for value in reader().respond(invoice, [word])] == ["Invoice"]


@reads
def test_a_strip_across_a_large_scan_has_no_text_and_takes_no_more_than_a_page(tmp_path, monkeypatch):
    from lsml.adapters.image.ocr import rapid

    Image.new("L", (9000, 30), 255).save(tmp_path / "scan.png")
    shown = []
    monkeypatch.setattr(
        rapid, "with_margin", lambda image, least: shown.append(image.shape) or with_margin(image, least)
    )
    strip = Box("Text", x=0.0, y=0.1, width=1.0, height=0.7, aspect=300.0)
    assert reader().respond(tmp_path / "scan.png", [strip]) == []
    assert shown == [(5, 2000, 3)]


@reads
def test_the_region_that_was_drawn_last_is_asked_for_and_only_if_it_has_no_text_yet(invoice):
    read, new = around(INVOICE[0], 285, text=INVOICE[0].text), around(INVOICE[1], 285)
    assert [value.text for value in reader().respond(invoice, [read, new])] == [INVOICE[1].text]
    assert reader().respond(invoice, [new, read]) == []


@reads
def test_what_is_empty_a_point_or_beyond_the_image_has_no_answer(invoice):
    empty = Box("Text", x=0.7, y=0.05, width=0.2, height=0.2, aspect=ASPECT)
    beyond = Box("Text", x=1.5, y=0.05, width=0.2, height=0.2, aspect=ASPECT)
    nothing = Mask("Text", width=2, height=2, runs=(4,))
    for prompt in (empty, beyond, nothing, KeyPoint("Text", x=0.1, y=0.1)):
        assert reader().respond(invoice, [prompt]) == []


@reads
@pytest.mark.parametrize("kind", ["box", "polygon"])
def test_a_region_of_another_kind_is_answered_with_what_is_wanted(invoice, kind):
    box = around(INVOICE[0], 285)
    outline = Polygon("Title", points=((0.05, 0.09), (0.48, 0.09), (0.48, 0.18), (0.05, 0.18)), aspect=ASPECT)
    for prompt in (box, outline):
        [found] = reader([kind]).respond(invoice, [prompt])
        assert (type(found), found.text) == (Box if kind == "box" else Polygon, INVOICE[0].text)
        assert bounds(found) == pytest.approx(bounds(prompt), abs=1e-6)


# ------------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("labels", "options", "label"),
    [
        (("Title", "text"), {}, "text"),
        (("Line",), {}, "Line"),
        ((), {}, ""),
        (("Printed", "Handwriting"), {"label": "Printed"}, "Printed"),
    ],
)
@reads
def test_a_line_has_the_label_that_means_text(invoice, labels, options, label):
    assert {value.label for value in reader(labels=labels, **options).predict([invoice])[0]} == {label}


@pytest.mark.parametrize(
    ("options", "named"), [({}, "none of the labels is known to be"), ({"label": "X"}, "there is no label `X`, as")]
)
def test_where_no_label_means_text_it_says_what_to_write(options, named):
    why = f"only reads smart rectangles, because {named} that of a line of text; set one as options.label: Date, Total"
    adapter = reader(labels=("Date", "Total"), **options)
    assert Ocr.limits(adapter.options, adapter.target, ()) == why
    with pytest.raises(AdapterError) as caught:
        adapter.predict(["page.png"])
    assert str(caught.value) == f"ocr {why}"


@reads
def test_what_is_no_image_is_an_error_that_says_so(tmp_path):
    (tmp_path / "page.png").write_text("no image")
    with pytest.raises(AdapterError, match=r"^page\.png: is not a readable image$"):
        reader().predict([tmp_path / "page.png"])


# ------------------------------------------------------------------------------------------------ tesseract


@reads
@tesseract
def test_tesseract_reads_pages_and_what_a_person_drew(invoice):
    adapter = reader(engine="tesseract")
    assert [value.text for value in adapter.predict([invoice])[0][:2]] == [line.text for line in INVOICE[:2]]
    [turned] = adapter.respond(invoice, [around(INVOICE[2], 285)])
    assert turned.text == INVOICE[2].text


@reads
@tesseract
def test_a_language_that_tesseract_lacks_is_named_with_those_it_has(invoice):
    with pytest.raises(AdapterError) as caught:
        reader(engine="tesseract", languages=("eng", "xyz")).predict([invoice])
    said = str(caught.value)
    assert said.startswith("tesseract has no language xyz on this machine; it has ") and "eng" in said
    assert said.endswith("; install its data (Debian: apt-get install tesseract-ocr-xyz), or correct options.languages")


def test_without_the_program_tesseract_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("lsml.adapters.is_installed", lambda adapter: True)
    adapter = reader(engine="tesseract")
    assert lacking(Ocr, adapter.options, adapter.target) == (
        "the program tesseract is not on this machine; install it (Debian: apt-get install tesseract-ocr; macOS: brew install "
        "tesseract) so that `tesseract` is on PATH"
    )
    assert not adapter.ready and adapter.predict(["page.png"]) == [[]]
    assert lacking(Ocr, OcrOptions(), adapter.target) is None


# ------------------------------------------------------------------------------------------------ served


def as_url(image, **more):
    file = io.BytesIO()
    image.save(file, "PNG", **more)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def gallery(tmp_path):
    backend = Backend(find_recipe("ocr"), tmp_path / "data")
    yield backend
    backend.store.close()


def asked(backend, image, context=None):
    body = {"tasks": [{"id": 1, "data": {"image": image}}], "params": {"context": context}}
    answer = backend.post("/predict", body)
    assert answer.status_code == 200
    return answer.json["results"][0]


@reads
def test_the_gallery_recipe_answers_the_first_task_in_the_split_form(gallery):
    prediction = asked(gallery, as_url(page()))
    result = prediction["result"]
    assert [(region["from_name"], region["type"]) for region in result] == 3 * [
        ("box", "rectangle"), ("label", "labels"), ("text", "textarea")
    ]  # fmt: skip
    for place, line in enumerate(INVOICE):
        drawn, named, written = result[3 * place : 3 * place + 3]
        assert drawn["id"] == named["id"] == written["id"]
        assert named["value"] == {**drawn["value"], "labels": ["Text"]}
        assert written["value"] == {**drawn["value"], "text": [line.text]}
        assert drawn["score"] == named["score"] == written["score"] > 0.9
    assert len({region["id"] for region in result}) == 3
    doubts = sum(1 - drawn["score"] for drawn in result[::3])
    assert prediction["score"] == pytest.approx(math.exp(-doubts), abs=1e-3)
    assert verdicts([(gallery.recipe.labeling_config, prediction)]) == [[]]


@reads
def test_a_photograph_is_read_as_people_see_it(gallery):
    lying = page().transpose(Image.Transpose.ROTATE_90)
    [first, *_] = asked(gallery, as_url(lying, exif=exif(6).tobytes()))["result"]
    assert (first["original_width"], first["original_height"]) == SIZE
    assert first["value"]["x"] == pytest.approx(40 / 7, abs=2) and first["value"]["y"] == pytest.approx(40 / 4.2, abs=3)


@reads
def test_the_gallery_recipe_reads_what_a_person_draws_around(gallery):
    place = {"x": 5, "y": 8, "width": 45, "height": 11, "rotation": 0}
    facts = {"id": "theirs", "to_name": "image", "original_width": SIZE[0], "original_height": SIZE[1]}
    drawn = [
        {**facts, "from_name": "box", "type": "rectangle", "value": place},
        {**facts, "from_name": "label", "type": "labels", "value": {**place, "labels": ["Handwriting"]}},
    ]
    result = asked(gallery, as_url(page()), {"result": drawn})["result"]
    assert [region["type"] for region in result] == ["rectangle", "labels", "textarea"]
    assert {region["id"] for region in result} == {
        "theirs"
    }  # so that the editor puts it in the place of what was drawn
    assert result[1]["value"] == {**place, "labels": ["Handwriting"]}
    assert result[2]["value"] == {**place, "text": [INVOICE[0].text]}


@reads
def test_every_page_of_a_list_of_images_has_its_lines(tmp_path):
    text = find_recipe("ocr").read_text(encoding="utf-8").replace('value="$image"', 'valueList="$pages"')
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    backend = Backend(tmp_path / "recipe.yaml", tmp_path / "data")
    pages = [as_url(page([line])) for line in INVOICE[:2]]
    try:
        answer = backend.post("/predict", {"tasks": [{"id": 1, "data": {"pages": pages}}]})
    finally:
        backend.store.close()
    result = answer.json["results"][0]["result"]
    written = [(one["item_index"], *one["value"]["text"]) for one in result if one["type"] == "textarea"]
    assert written == [(number, line.text) for number, line in enumerate(INVOICE[:2])]
    assert len({one["id"] for one in result}) == 2


@reads
def test_the_lines_of_each_page_of_a_pdf_document_are_where_they_stand(tmp_path):
    pytest.importorskip("pypdfium2")
    config = """<View><Pdf name="pdf" value="$pdf"/><OcrLabels name="lines" toName="pdf"><Label value="Text"/></OcrLabels></View>"""
    recipe = tmp_path / "pages.yaml"
    recipe.write_text(f"lsml: 1\nname: pages\nlabeling_config: '{config}'\ntags: {{OcrLabels: ocr}}\n")
    backend = Backend(recipe, tmp_path / "data")
    document = pdf([["First page"], ["Second page", "Total 20.00"]])
    answer = backend.post("/predict", {"tasks": [{"id": 1, "data": {"pdf": pdf_url(document)}}]})
    backend.store.close()
    [prediction] = answer.json["results"]
    found = [(one["type"], one["value"]["pageIndex"], one["value"]["ocrtext"]) for one in prediction["result"]]
    assert found == [("ocrlabels", 1, "First page"), ("ocrlabels", 2, "Second page"), ("ocrlabels", 2, "Total 20.00")]
    first = prediction["result"][0]["value"]
    assert first["x"] == pytest.approx(72 / 612, abs=0.01) and first["y"] == pytest.approx(72 / 792, abs=0.02)
    assert "item_index" not in prediction["result"][1]
    assert verdicts([(config, prediction)]) == [[]]


@reads
def test_evaluate_tells_how_much_was_read_wrong_beside_what_people_wrote(tmp_path, gallery):
    task = {"id": 1, "data": {"image": as_url(page())}}
    result = asked(gallery, task["data"]["image"])["result"]
    result[2]["value"]["text"] = ["Invoice number 4712"]  # of 53 characters one is otherwise
    exported = [{**task, "annotations": [{"id": 1, "result": result}]}]
    (tmp_path / "export.json").write_text(json.dumps(exported))
    done = subprocess.run(
        [sys.executable, "-m", "lsml", "evaluate", str(find_recipe("ocr")), "export.json", "--json", "--data-dir", "data"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    judged = json.loads(done.stdout)["tags"]["box"]
    assert (judged["metric"], judged["value"]) == ("map50", 1.0)
    assert judged["character_error_rate"] == pytest.approx(1 / sum(len(line.text) for line in INVOICE), abs=1e-6)


# ------------------------------------------------------------------------------------------------ recipes


def test_a_first_recipe_for_an_ocr_config_names_it_and_is_served_whole(tmp_path):
    offered = offers(parse_labeling_config(TEMPLATE))
    (tmp_path / "recipe.yaml").write_text(first_recipe("mine", "a test", TEMPLATE, offered))
    recipe = load_recipe(tmp_path / "recipe.yaml", environ={})
    assert [([str(one) for one in model.selectors], model.adapter) for model in recipe.models] == [
        (["Rectangle#bbox", "Polygon#poly"], "ocr")
    ]
    assert {offer.control_tag.selector: offer.reason for offer in offered if offer.helps} == {
        "Labels#label": "Labels#label has the labels of Rectangle#bbox, Polygon#poly",
        "TextArea#transcription": "TextArea#transcription takes the texts of the regions of Rectangle#bbox",
    }
    binding = bind(recipe, parse_labeling_config(TEMPLATE))
    assert (binding.unbound, binding.warnings) == ((), ())


@reads
def test_tools_under_one_key_show_each_line_once(tmp_path):
    text = first_recipe("mine", "a test", TEMPLATE, offers(parse_labeling_config(TEMPLATE)))
    (tmp_path / "recipe.yaml").write_text(text.replace("$ocr", "$image"))
    backend = Backend(tmp_path / "recipe.yaml", tmp_path / "data")
    try:
        result = asked(backend, as_url(page()))["result"]
    finally:
        backend.store.close()
    assert [region["type"] for region in result] == ["rectangle", "labels", "textarea"] * 3


def test_it_is_not_offered_where_nothing_takes_texts_and_a_recipe_that_names_it_is_told(tmp_path):
    config = parse_labeling_config(TEMPLATE.replace('perRegion="true"', ""))
    adapters = [adapter.name for offer in offers(config) for adapter in (*offer.chosen, *offer.others)]
    assert "ocr" not in adapters
    (tmp_path / "recipe.yaml").write_text("lsml: 1\nname: x\ntags: {Rectangle: ocr}\n")
    assert bind(load_recipe(tmp_path / "recipe.yaml", environ={}), config).warnings == (
        "Rectangle#bbox: ocr reads the text in its regions, and the labeling config has no tag for it; add <TextArea "
        'name="text" toName="image" perRegion="true" editable="true"/>',
    )
