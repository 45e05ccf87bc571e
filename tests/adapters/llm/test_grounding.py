"""A quote stands where its words do, exactly or nearly."""

import msgspec
import pytest

from lsml.adapters.llm.adapter import Llm
from lsml.adapters.llm.grounding import ground
from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.prediction import Predictor, predict_tasks
from lsml.recipe import load_recipe
from tests.support.fetching import no_fetch
from tests.support.language_model import KEY, MODEL, language_model


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        ("New York", (12, 20)),
        ("new  york", (12, 20)),
        ("Sant Petersburg in May", (25, 48)),
        ("Saint Petersburg", (25, 41)),
        ("London", None),
        ("", None),
        ("Moscow or any other city", None),
    ],
)
def test_spans_stand_where_their_words_do(quote, expected):
    text = "🤖 left from New York for Saint Petersburg in May."
    assert ground(text, [(quote, "LOC")], 0.85) == [expected]


def test_words_that_stand_there_twice_are_found_twice():
    text = "Ann met Bob, and Ann left."
    assert ground(text, [("Ann", "P"), ("Bob", "P"), ("Ann", "P"), ("Ann", "P")], 1.0) == [
        (0, 3),
        (8, 11),
        (17, 20),
        None,
    ]


LABELS = '<Label value="ORG"/><Label value="LOC"/>'
SCHOOL = "University of Oslo"
# (the labeling config, the task's data, the places of the school and of the city in it)
SHOWN = {
    "a text": (
        f'<Text name="t" value="$t"/><Labels name="l" toName="t">{LABELS}</Labels>',
        f"\U0001f916 at {SCHOOL}.",
        [{"start": 5, "end": 23}, {"start": 19, "end": 23}],
    ),
    "a page": (
        f'<HyperText name="t" value="$t"/><HyperTextLabels name="l" toName="t">{LABELS}</HyperTextLabels>',
        "<p>at University of <b>Oslo</b>.</p>",
        [
            {"start": "/p[1]/text()[1]", "startOffset": 3, "end": "/p[1]/b[1]/text()[1]", "endOffset": 4},
            {"start": "/p[1]/b[1]/text()[1]", "startOffset": 0, "end": "/p[1]/b[1]/text()[1]", "endOffset": 4},
        ],
    ),
    "a dialogue": (
        f'<Paragraphs name="t" value="$t" nameKey="who"/><ParagraphLabels name="l" toName="t">{LABELS}</ParagraphLabels>',
        [{"who": "Oslo", "text": "Where?"}, {"who": "Ann", "text": f"At {SCHOOL}."}],
        [
            {"start": "1", "end": "1", "startOffset": 3, "endOffset": 21},
            {"start": "1", "end": "1", "startOffset": 17, "endOffset": 21},
        ],
    ),
}


@pytest.mark.parametrize("case", SHOWN)
def test_spans_within_others_stand_where_they_do_in_what_the_editor_shows(case, tmp_path):
    config, data, places = SHOWN[case]
    path = tmp_path / "r.yaml"
    tags = "  Labels: &it {adapter: llm, options: {model: m, api_key: k}}\n  HyperTextLabels: *it\n  ParagraphLabels: *it\n"
    path.write_text(f"lsml: 1\nname: r\ntags:\n{tags}", "utf-8")
    bound = bind(load_recipe(path), parse_labeling_config(f"<View>{config}</View>"))
    (model,) = bound.models
    spans = {"l": [{"text": SCHOOL, "label": "ORG"}, {"text": "Oslo", "label": "LOC"}]}
    with language_model(lambda text, schema: spans, share=None) as web:
        given = {"model": MODEL, "base_url": f"{web.url}/v1", "api_key": KEY}
        adapter = Llm(msgspec.convert(given, Llm.Options), model.target)
        (outcome,) = predict_tasks(Predictor(bound, {model.key: adapter}, no_fetch), [{"data": {"t": data}}])
    values = [region["value"] for region in outcome.prediction["result"]]
    assert [{key: value[key] for key in place} for place, value in zip(places, values, strict=True)] == places
