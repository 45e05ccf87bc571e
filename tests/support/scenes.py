"""An example task of every recipe of the gallery, and what its models say of it: what the gallery's pictures show.

The values are written here, for most models need weights; their regions are made as every prediction's are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from lsml.binding import control_of
from lsml.controls.base import Control, Region, about
from lsml.labeling import parse_labeling_config
from lsml.labeling.objects import Clip, Picture, read_object
from lsml.prediction.ids import with_ids
from lsml.recipe import load_recipe
from lsml.recipe.gallery import find_recipe
from lsml.values import (
    Box,
    Choice,
    Interval,
    Keyframe,
    KeyPoint,
    Mask,
    Moment,
    Number,
    Polygon,
    Ranking,
    Relation,
    Span,
    Text,
    Track,
    Value,
)
from tests.support import sights
from tests.support.fetching import Fetching


class Media(NamedTuple):
    """A file that is drawn, and how its name ends."""

    draw: Callable[[Path], Path]
    ending: str = "png"


class Scene(NamedTuple):
    """`data`: the task's, with Media in the place of URLs. `said`: the values for each control by its name; of a control
    that asks about regions one for each region, in order. `selected`: the first region is, so that its answers are seen."""

    data: Mapping[str, Any]
    said: Mapping[str, Sequence[Value]]
    selected: bool = False


def predicted(name: str, folder: Path, address: Callable[[str], str]) -> tuple[dict[str, Any], list[Region]]:
    """(a task's data, the regions that lsml predicts of it). Its media are drawn into `folder`; `address` tells the URL
    of a file by its name there."""
    scene = SCENES[name]
    config = parse_labeling_config(load_recipe(find_recipe(name)).labeling_config or "")
    files: dict[str, Path] = {}
    data: dict[str, Any] = {}
    for key, value in scene.data.items():
        if isinstance(value, Media):
            file = value.draw(folder / f"{name}.{value.ending}")
            data[key] = address(file.name)
            files[data[key]] = file
        else:
            data[key] = value
    fetch = _reading(files)
    views = {name: read_object(tag, {"data": data}, fetch)[0] for name, tag in config.objects.items()}
    regions: list[Region] = []
    asking: list[Control] = []
    for tag in config.controls:
        control = control_of(tag, config)
        if tag.name in scene.said and tag.per_region:
            asking.append(control)
        elif tag.name in scene.said:
            written = control.encode(scene.said[tag.name], _object_of(control), views.get(_object_of(control)))
            regions += written
    regions = with_ids(regions, ())
    for control in asking:
        own = [region for region in regions if region["from_name"] != control.config_name]
        places = list({region["id"]: region for region in own}.values())
        for region, value in zip(places, scene.said[control.config_name], strict=True):
            regions += about(control, region).encode([value], region["to_name"])
    return data, regions


def _object_of(control: Control) -> str:
    return next(iter(control.control_tag.to_names), "")


def _reading(files: Mapping[str, Path]) -> Fetching:
    def image(url: str, _task: Any) -> Picture:
        with Image.open(files[url]) as opened:
            return Picture(files[url], opened.size)

    def video(url: str, _task: Any) -> Clip:
        return Clip(files[url], sights.FILM, sights.FILM_FRAMES / sights.FILM_RATE)

    return Fetching(file=lambda url, _task: files[url], image=image, video=video)


def texts(text: str, *marked: tuple[str, str, float]) -> list[Value]:
    """The spans of a text where each part (its text, its label, its score) first stands."""
    return [Span(text.index(part), text.index(part) + len(part), label, score) for part, label, score in marked]


def box(label: str, score: float, place: Sequence[float], size: tuple[int, int] = sights.SIZE, **fields: Any) -> Box:
    """A box of pixels: x, y, width, height, and degrees if it is turned."""
    x, y, width, height, *turned = place
    fields |= {"aspect": size[0] / size[1], "rotation": float(turned[0]) if turned else 0.0}
    return Box(label, score, x=x / size[0], y=y / size[1], width=width / size[0], height=height / size[1], **fields)


def track(label: str) -> Track:
    """The car's way through the film."""
    wide, high = sights.FILM
    keyframes = []
    for frame in (0, 25, 50, 74):
        x, y, width, height = sights.driving(frame)
        keyframes.append(Keyframe(frame / sights.FILM_RATE, x / wide, y / high, width / wide, height / high))
    return Track(label, 0.93, aspect=wide / high, keyframes=tuple(keyframes))


def lines(written: Sequence[tuple[str, int, int, int]], label: str = "") -> list[Value]:
    """Lines of a page as a reader finds them, with their texts."""
    return [box(label, 0.97, sights.extent(*line), (sights.SIZE[0], 360), text=line[0]) for line in written]


REVIEW = "The soup was wonderful, but the waiter forgot us twice."
NEWS = "Mara Okafor of Norvik Steel spoke in Lisbon on Friday."
VISIT = "Ada Byron flew from London to Lisbon with Jonas Lindholm."
PATIENT = "Takes ibuprofen 400 mg for her headache, and aspirin 100 mg every morning."
LETTER = "Invoice of 3 March 2026. Please pay 86.40 by 2 April 2026 at the latest."
PAGE = "<h2>Contract</h2><p><b>Mara Okafor</b> of <i>Norvik Steel</i> pays</p><ul><li>now: 1,200 euros</li><li>in May: 800 euros</li></ul>"
PAGE_TEXT = "Contract\nMara Okafor of Norvik Steel pays\nnow: 1,200 euros\nin May: 800 euros"
CHAT = [
    {"author": "Ann", "text": "My kettle Aqua 3 leaks again."},
    {"author": "Support", "text": "I am sorry. We will send a new lid by Friday."},
    {"author": "Ann", "text": "Thank you, and the cable is too short."},
]
CHAT_TEXT = "\n".join(turn["text"] for turn in CHAT)
FOUNDED = "Mara Okafor founded Norvik Steel; Jonas Lindholm works for Tellaro."
TICKET = "Mara Okafor of Norvik Steel was charged twice for one invoice and wants her money back today."
REPORT = (
    "The town council met on Tuesday for four hours. It decided to close the bridge to lorries from June on, after an "
    "engineer had found cracks in two of its pillars. Buses may use it as before."
)
STREET, FILM, RECORDING = Media(sights.street), Media(sights.film, "webm"), Media(sights.recording, "wav")
_TOPIC = {"text": "The airport lost our suitcases, and the hotel was full."}
_SEEN = [box("Person", 0.94, sights.PERSON), box("Vehicle", 0.91, sights.CAR), box("Dog", 0.83, sights.DOG)]
_PLACES = texts(VISIT, ("Ada Byron", "Person", 0.97), ("London", "Place", 0.95), ("Lisbon", "Place", 0.92),
                ("Jonas Lindholm", "Person", 0.96))  # fmt: skip

OF_TEXTS = {
    "aspects": Scene(
        {"text": REVIEW},
        {"aspect": texts(REVIEW, ("soup", "Food", 0.93), ("waiter", "Service", 0.88)),
         "opinion": [Choice("Positive", 0.9), Choice("Negative", 0.95)]},
        selected=True,
    ),
    "cold-start": Scene(_TOPIC, {"topic": [Choice("Travel", 0.71)]}),
    "dates": Scene({"text": LETTER}, {"issued": [Moment("2026-03-03", 0.96)], "due": [Moment("2026-04-02", 0.91)]}),
    "dialogues": Scene(
        {"dialogue": CHAT},
        {"mention": texts(CHAT_TEXT, ("Aqua 3", "Product", 0.93), ("leaks", "Problem", 0.9),
                          ("send a new lid by Friday", "Promise", 0.81), ("cable is too short", "Problem", 0.76))},
    ),
    "entities-and-topic": Scene(
        {"text": NEWS},
        {"entity": texts(NEWS, ("Mara Okafor", "PER", 0.96), ("Norvik Steel", "ORG", 0.89), ("Lisbon", "LOC", 0.94)),
         "topic": [Choice("Business", 0.82)]},
    ),
    "entities-in-words": Scene(
        {"text": PATIENT},
        {"entity": texts(PATIENT, ("ibuprofen", "Medicine", 0.95), ("400 mg", "Dose", 0.93),
                         ("headache", "Complaint", 0.88), ("aspirin", "Medicine", 0.96), ("100 mg", "Dose", 0.91))},
    ),
    "entities-transformers": Scene(
        {"text": NEWS},
        {"entity": texts(NEWS, ("Mara Okafor", "Person", 0.99), ("Norvik Steel", "Organisation", 0.97),
                         ("Lisbon", "Place", 0.99))},
    ),
    "existing-backend": Scene({"text": VISIT}, {"entities": _PLACES}),
    "few-shot-topics": Scene(_TOPIC, {"topic": [Choice("Travel", 0.88)]}),
    "html-pages": Scene(
        {"html": PAGE},
        {"entity": texts(PAGE_TEXT, ("Mara Okafor", "Person", 0.95), ("Norvik Steel", "Company", 0.91),
                         ("1,200 euros", "Amount", 0.9), ("800 euros", "Amount", 0.87))},
    ),
    "http-service": Scene({"text": VISIT}, {"entities": _PLACES}),
    "intents": Scene({"text": "Two boxes of the blue envelopes again, please."}, {"intent": [Choice("Order", 0.87)]}),
    "language-model": Scene(
        {"text": TICKET},
        {"topic": [Choice("Billing", 0.97)], "urgency": [Number(4)],
         "who": texts(TICKET, ("Mara Okafor", "Person", 0.95), ("Norvik Steel", "Organisation", 0.92)),
         "summary": [Text("A customer was charged twice and asks for a refund today.")]},
    ),
    "preferences": Scene(
        {"prompt": "How long do eggs boil?", "answer1": "It depends.",
         "answer2": "Six minutes for a soft yolk, ten for a hard one."},
        {"better": [Choice("right", 0.86)]},
    ),
    "ranking": Scene(
        {"prompt": "How long do eggs boil?",
         "items": [{"id": "a", "title": "Short", "body": "It depends."},
                   {"id": "b", "title": "Precise", "body": "Six minutes for a soft yolk, ten for a hard one."},
                   {"id": "c", "title": "Rough", "body": "Some minutes, as you like them."}]},
        {"rank": [Ranking(("b", "c", "a"), score=0.7)]},
    ),
    "rating": Scene(
        {"text": "Good food, but we waited for half an hour."}, {"stars": [Number(3)], "minutes": [Number(30)]}
    ),
    "relations": Scene(
        {"text": FOUNDED},
        {"name": texts(FOUNDED, ("Mara Okafor", "Person", 0.97), ("Norvik Steel", "Company", 0.94),
                       ("Jonas Lindholm", "Person", 0.96), ("Tellaro", "Company", 0.9)),
         "relations": [Relation("name-0", "name-1", "founded", 0.88), Relation("name-2", "name-3", "works for", 0.83)]},
    ),
    "reviewed-topics": Scene(
        {"text": "The parcel should have come on Monday, and today is Friday."},
        {"topic": [Choice("Delivery", 0.93)], "urgency": [Number(4)]},
    ),
    "sentiment-transformers": Scene(
        {"text": "What a wonderful little lamp, I love it"}, {"sentiment": [Choice("Positive", 0.98)]}
    ),
    "summaries": Scene(
        {"text": REPORT}, {"summary": [Text("From June on, lorries may not use the bridge, for two pillars have cracks.")]}
    ),
    "taxonomy": Scene({"text": "I was charged twice and want my money back."}, {"category": [Choice("Billing / Refund", 0.84)]}),
    "tickets-with-fields": Scene(
        {"title": "Wrong size", "body": "The shoes are too small. How do I send them back?"},
        {"team": [Choice("Returns", 0.91)], "urgency": [Number(2)]},
    ),
    "topics": Scene(
        {"text": "Cheap and well made, but it took three weeks to arrive."},
        {"topics": [Choice("Price", 0.88), Choice("Delivery", 0.93), Choice("Quality", 0.74)]},
    ),
}  # fmt: skip
OF_IMAGES = {
    "detection": Scene({"image": STREET}, {"box": _SEEN}),
    "detection-apache": Scene({"image": STREET}, {"box": _SEEN}),
    "detection-from-scratch": Scene(
        {"image": Media(sights.scratched)},
        {"damage": [box("Scratch", 0.81, sights.SCRATCH), box("Dent", 0.74, sights.DENT)]},
    ),
    "image-classification": Scene({"image": Media(sights.cat)}, {"animal": [Choice("Cat", 0.92)]}),
    "image-quality": Scene({"image": Media(sights.cat)}, {"quality": [Number(4)], "shade": [Number(35)]}),
    "invoice-fields": Scene(
        {"page": Media(sights.bill)},
        {"line": lines([line[:4] for line in sights.BILL]), "field": [Choice(line[4], 0.9) for line in sights.BILL]},
        selected=True,
    ),
    "objects-and-condition": Scene(
        {"image": STREET}, {"box": [box("Car", 0.91, sights.CAR)], "condition": [Choice("Sound", 0.86)]},
        selected=True,
    ),
    "ocr": Scene({"image": Media(sights.note)}, {"box": lines(sights.NOTE, "Text")}),
    "open-vocabulary": Scene({"image": STREET}, {"box": _SEEN[:2]}),
    "oriented-boxes": Scene(
        {"image": Media(sights.harbour)}, {"box": [box(name, 0.88, place) for name, *place in sights.ABOVE]}
    ),
    "pose": Scene(
        {"image": Media(sights.jumper)},
        {"person": [box("Person", 0.95, sights.JUMPER)],
         "joints": [KeyPoint(name, 0.9, x=x / sights.SIZE[0], y=y / sights.SIZE[1], size=0.012)
                    for name, x, y in sights.JOINTS]},
    ),
    "segment-anything": Scene({"image": STREET}, {"mask": [Mask.from_pixels(sights.in_street("person"), "Object", score=0.96)]}),
    "segmentation": Scene(
        {"image": STREET},
        {"outline": [Polygon("Person", 0.93, points=tuple((x / sights.SIZE[0], y / sights.SIZE[1]) for x, y in sights.OUTLINE))]},
    ),
    "segmentation-apache": Scene(
        {"image": STREET},
        {"mask": [Mask.from_pixels(sights.in_street(what), label, score=score)
                  for what, label, score in (("person", "Person", 0.94), ("car", "Vehicle", 0.91), ("dog", "Dog", 0.83))]},
    ),
}  # fmt: skip
OF_TIME = {
    "activities": Scene(
        {"csv": Media(sights.curves, "csv")},
        {"activity": [Interval(0.0, 2.4, "Rest", 0.97), Interval(2.5, 4.9, "Walk", 0.93), Interval(5.0, 7.4, "Run", 0.95)]},
    ),
    "smart-tracking": Scene({"video": FILM}, {"box": [track("Object")]}),
    "sound-events": Scene(
        {"audio": RECORDING}, {"event": [Interval(start, end, label, 0.9) for label, start, end in sights.HEARD]}
    ),
    "sounds": Scene({"audio": RECORDING}, {"state": [Choice("Worn", 0.72)], "quality": [Number(3)]}),
    "transcription": Scene({"audio": RECORDING}, {"transcription": [Text("A dog barks, a door shuts, and a car drives off.")]}),
    "video-classification": Scene({"video": FILM}, {"choice": [Choice("Sharp", 0.94)]}),
    "video-events": Scene(
        {"video": FILM},
        {"part": [Interval(0.0, 1.0, "Still", 0.91), Interval(1.0, 2.0, "Movement", 0.95), Interval(2.0, 3.0, "Still", 0.9)]},
    ),
    "video-tracking": Scene({"video": FILM}, {"box": [track("Car")]}),
}  # fmt: skip
SCENES = OF_TEXTS | OF_IMAGES | OF_TIME
