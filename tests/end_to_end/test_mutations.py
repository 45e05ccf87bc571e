"""Recipes, labeling configs, tasks and annotations that are almost right: each works, or is refused in a sentence."""

from __future__ import annotations

import copy
import json
import math
import random
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsml.binding import bind
from lsml.errors import LsmlError, RecipeError
from lsml.labeling import parse_labeling_config
from lsml.recipe import load_recipe
from tests.conftest import PROJECT, Backend, tickets

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
SEEDS = st.integers(0, 2**32 - 1)
HABITS = {"deadline": None, "suppress_health_check": list(HealthCheck)}
SHORT = settings(max_examples=80, **HABITS)
LONG = settings(max_examples=5000, **HABITS)
ODD_TEXTS = (
    "", " ", "a" * 100_000, "\ud800", "\x00", "\x1b[31m", "../../etc/passwd", "<b>&amp;</b>", "${HOME}", "${", "{{a}}", "$text", "$",
    "a\r\nX: y", "1e999", "nan", "😀" * 50, "e\u0301", "0x10", "- a", "null", "a,b", "Choices#c", "/", "%s%n", "\u202e",
)  # fmt: skip
ODD = (
    *ODD_TEXTS, None, True, False, 0, -1, 1, 2**63, -(2**70), 10**400, 0.5, -0.0, 1e308, math.nan, math.inf, -math.inf,
    [], {}, [[]], [None], {"": None}, [{}], ["a", "a"], {"a": {"b": {"c": []}}},
)  # fmt: skip
NAMED = ("topic", "text", "label", "e", "c", "x", "image", "video", "t", "box")
# One annotation of each kind, as Label Studio stores it.
REGIONS = [
    {"type": "choices", "value": {"choices": ["Bug"]}},
    {"type": "taxonomy", "value": {"taxonomy": [["A", "B"], ["C"]]}},
    {"type": "number", "value": {"number": 3}},
    {"type": "rating", "value": {"rating": 4}},
    {"type": "textarea", "value": {"text": ["some text", "more"]}},
    {"type": "labels", "value": {"start": 0, "end": 4, "text": "some", "labels": ["Bug"]}},
    {
        "type": "hypertextlabels",
        "value": {
            "start": "/div[1]/text()[1]", "end": "/div[1]/text()[1]", "startOffset": 0, "endOffset": 3, "hypertextlabels": ["Bug"],
            "globalOffsets": {"start": 0, "end": 3},
        },
    },
    {"type": "paragraphlabels", "value": {"start": "0", "end": "0", "startOffset": 0, "endOffset": 2, "paragraphlabels": ["Bug"]}},
    {"type": "rectanglelabels", "value": {"x": 1, "y": 2, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["Bug"]}},
    {"type": "polygonlabels", "value": {"points": [[1, 1], [50, 1], [50, 50]], "closed": True, "polygonlabels": ["Bug"]}},
    {"type": "ellipselabels", "value": {"x": 50, "y": 50, "radiusX": 10, "radiusY": 5, "rotation": 0, "ellipselabels": ["Bug"]}},
    {"type": "keypointlabels", "value": {"x": 5, "y": 5, "width": 1, "keypointlabels": ["Bug"]}},
    {"type": "brushlabels", "value": {"format": "rle", "rle": [0, 0, 0, 16, 7, 3, 0], "brushlabels": ["Bug"]}},
    {"type": "bitmasklabels", "value": {"imageDataURL": "data:image/png;base64,AAAA", "bitmasklabels": ["Bug"]}},
    {
        "type": "videorectangle",
        "value": {
            "sequence": [{"frame": 1, "enabled": True, "x": 1, "y": 1, "width": 9, "height": 9, "rotation": 0, "time": 0.04}],
            "framesCount": 10, "duration": 0.4, "labels": ["Bug"],
        },
    },
    {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right", "labels": ["is"]},
]  # fmt: skip


def places(tree, path=()):
    """The path of every node of a tree of dicts and lists."""
    yield path
    if isinstance(tree, dict | list):
        for key, below in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(below, (*path, key))


def mutated(tree, draw: random.Random, times: int = 3):
    """A copy in which up to so many nodes were replaced, dropped, doubled, renamed or moved."""
    tree = copy.deepcopy(tree)
    for _ in range(draw.randint(1, times)):
        every = [path for path in places(tree) if path]
        if not every:
            return copy.deepcopy(draw.choice(ODD))
        path = draw.choice(every)
        above = tree
        for key in path[:-1]:
            above = above[key]
        key, how = path[-1], draw.randrange(6)
        if how == 0:
            del above[key]
        elif how == 1 and isinstance(above, list):
            above.append(copy.deepcopy(above[key]))
        elif how == 1:
            above[draw.choice(ODD_TEXTS)] = above.pop(key)
        elif how == 2:
            node = tree
            for step in draw.choice(every):
                node = (
                    node[step]
                    if isinstance(node, dict | list) and step in (node if isinstance(node, dict) else range(len(node)))
                    else node
                )
            above[key] = copy.deepcopy(node)
        elif how == 3:
            above[key] = [above[key]] * draw.choice([1, 2, 300])
        else:
            above[key] = copy.deepcopy(draw.choice(ODD))
    return tree


def mutated_xml(xml: str, draw: random.Random) -> str:
    """A labeling config with up to four changes to its tags and attributes; now and then with broken text, too."""
    root = ElementTree.fromstring(xml)
    for _ in range(draw.randint(1, 4)):
        parents = [tag for tag in root.iter() if len(tag)]
        tag = draw.choice(list(root.iter()))
        how = draw.randrange(7)
        if how == 0 and parents:
            parent = draw.choice(parents)
            parent.remove(draw.choice(list(parent)))
        elif how == 1 and parents:
            parent = draw.choice(parents)
            parent.append(copy.deepcopy(draw.choice(list(root.iter()))))
        elif how == 2 and tag.attrib:
            del tag.attrib[draw.choice(sorted(tag.attrib))]
        elif how == 3 and tag.attrib:
            name = draw.choice(sorted(tag.attrib))
            tag.set(name, draw.choice([*ODD_TEXTS, *NAMED, *(other.get("name", "") for other in root.iter())]))
        elif how == 4:
            tag.set(draw.choice(["choice", "toName", "name", "value", "valueList", "alias", "smart", "visibleWhen", "whenTagName",
                                 "perRegion", "indexFlag", "min", "max", "maxRating", "frameRate", "layout", "valueType", "apiUrl"]),
                    draw.choice([*ODD_TEXTS, *NAMED, "multiple", "choice-selected", "true", "html", "dialogue", "url", "3"]))  # fmt: skip
        elif how == 5:
            tag.tag = draw.choice(["Choices", "Text", "Labels", "Image", "RectangleLabels", "View", "Choice", "Label", "Repeater",
                                   "Taxonomy", "Video", "Unknown", "Relations", "HyperText", "Paragraphs", "Number", "TextArea"])  # fmt: skip
        else:
            tag.text = draw.choice(ODD_TEXTS)
    text = ElementTree.tostring(root, encoding="unicode")
    if draw.random() < 0.2:
        at, upto = sorted((draw.randrange(len(text) + 1), draw.randrange(len(text) + 1)))
        text = (
            text[:at]
            + draw.choice(["", "<", "&", "]]>", "<!--", '"', text[at:upto] * 2])
            + text[at if draw.random() < 0.5 else upto :]
        )
    return text


def gallery_config(draw: random.Random) -> str:
    while True:
        config = yaml.safe_load(draw.choice(RECIPES).read_text(encoding="utf-8")).get("labeling_config")
        if config:
            return config


def is_a_sentence(error: LsmlError) -> None:
    said = str(error)
    assert said.strip()
    assert "Traceback" not in said
    assert all(line.isprintable() for line in said.split("\n")), ascii(said)
    assert len(said) < 60_000, len(said)


def almost_a_recipe(path: Path, seed: int) -> None:
    draw = random.Random(seed)
    recipe = mutated(yaml.safe_load(draw.choice(RECIPES).read_text(encoding="utf-8")), draw)
    text = yaml.safe_dump(recipe, allow_unicode=draw.random() < 0.5) if draw.random() < 0.8 else json.dumps(recipe)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        loaded = load_recipe(path, {"HOME": "x"})
        bind(loaded, parse_labeling_config(loaded.labeling_config) if loaded.labeling_config else None)
    except RecipeError as error:
        assert all(line.startswith(str(path)) for line in str(error).split("\n"))
        is_a_sentence(error)
    except LsmlError as error:
        is_a_sentence(error)


@SHORT
@given(SEEDS)
def test_a_recipe_that_is_almost_right_is_read_or_refused_line_by_line(tmp_path_factory, seed):
    almost_a_recipe(tmp_path_factory.getbasetemp() / "almost.yaml", seed)


@pytest.mark.long
@LONG
@given(SEEDS)
def test_thousands_of_recipes_that_are_almost_right(tmp_path_factory, seed):
    almost_a_recipe(tmp_path_factory.getbasetemp() / "almost.yaml", seed)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One that maps every light adapter, so that whatever tag a config has, something answers it."""
    directory = tmp_path_factory.mktemp("mutations")
    path = directory / "recipe.yaml"
    path.write_text("""lsml: 1
name: mutations
tags:
  Choices: text-classifier
  Taxonomy: text-classifier
  Number: text-regressor
  Rating: text-regressor
  Labels: ner-crf
  HyperTextLabels: text-matcher
  ParagraphLabels: text-matcher
training: {min_annotations: 4, every: 1000000, promote: always}
""")
    made = Backend(path, directory / "data")
    yield made
    made.store.close()


def ask(server, path: str, body) -> object:
    answer = server.client.post(path, data=json.dumps(body), content_type="application/json")
    assert answer.status_code < 500, (path, answer.text[:2000])
    assert answer.mimetype == "application/json"
    if answer.status_code >= 300:
        assert list(answer.json) == ["error"]
        is_a_sentence(LsmlError(answer.json["error"]))
        return None
    return answer.json


def almost_a_project(server, seed: int) -> None:
    draw = random.Random(seed)
    config = gallery_config(draw)
    if draw.random() < 0.7:
        config = mutated_xml(config, draw)
    key = f"{draw.randrange(20)}.1"
    number = int(key.partition(".")[0])
    ask(server, "/setup", {"project": key, "schema": config})
    ask(server, "/validate", {"config": config})
    texts = [text for text, _ in tickets(4, seed)]
    data = {name: draw.choice(texts) for name in (*NAMED, "html", "dialogue", "review", "document")}
    data["dialogue"] = [{"author": "a", "text": texts[0]}, {"author": "b", "text": texts[1]}]
    tasks = [{"id": place, "data": data if draw.random() < 0.3 else mutated(data, draw)} for place in range(3)]
    if draw.random() < 0.2:
        tasks = mutated(tasks, draw)
    names = [tag.get("name", "") for tag in ElementTree.fromstring(gallery_config(draw)).iter()] + list(NAMED)
    results = []
    for _ in range(draw.randint(0, 3)):
        region = {"id": "r", "from_name": draw.choice(names), "to_name": draw.choice(names),
                  "original_width": 100, "original_height": 80, **draw.choice(REGIONS)}  # fmt: skip
        results.append(mutated(region, draw) if draw.random() < 0.8 else region)
    context = {"result": results} if draw.random() < 0.3 else None
    body = {"tasks": tasks, "project": key, "label_config": config, "params": {"context": context}}
    said = ask(server, "/predict", body)
    if said is not None:
        assert len(said["results"]) == len(tasks)
    project = {**PROJECT, "id": number, "label_config": config}
    annotation = {"id": draw.randrange(50), "task": 1, "result": results, "updated_at": "2026-01-01T00:00:00Z"}
    event = {
        "action": "ANNOTATION_CREATED",
        "project": project,
        "task": {"id": 1, "data": data},
        "annotation": annotation,
    }
    ask(server, "/webhook", event)
    ask(server, "/webhook", mutated(event, draw))
    for page in ("/", "/metrics", "/api/projects", "/versions"):
        answer = server.client.get(page)
        assert answer.status_code == 200, (page, answer.text[:500])


@SHORT
@given(SEEDS)
def test_a_project_that_is_almost_right_is_answered_or_refused(server, seed):
    almost_a_project(server, seed)


@pytest.mark.long
@LONG
@given(SEEDS)
def test_thousands_of_projects_that_are_almost_right(server, seed):
    almost_a_project(server, seed)
