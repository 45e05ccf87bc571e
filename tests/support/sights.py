"""Media that the gallery's pictures show: a street, animals, a harbour from above, an invoice, a film, sounds, curves."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tests.support.sounds import RATE, drawn_sound, silence, write_sound

SIZE = (720, 400)
FILM = (640, 300)
FILM_RATE, FILM_FRAMES = 25.0, 75
_INK = (52, 58, 70)


def street(path: Path) -> Path:
    """A person with a dog on the pavement, and a car on the road."""
    image = Image.new("RGB", SIZE, (198, 222, 240))
    pen = ImageDraw.Draw(image)
    for left, width, top, colour in (
        (0, 150, 60, (205, 180, 160)),
        (170, 130, 110, (180, 170, 190)),
        (560, 160, 80, (190, 190, 170)),
    ):
        pen.rectangle((left, top, left + width, 260), fill=colour)
        for x in range(left + 16, left + width - 24, 36):
            for y in range(top + 18, 230, 44):
                pen.rectangle((x, y, x + 18, y + 24), fill=(120, 140, 160))
    pen.rectangle((0, 250, *SIZE), fill=(190, 188, 182))
    pen.rectangle((0, 320, *SIZE), fill=(110, 112, 118))
    for x in range(20, SIZE[0], 90):
        pen.rectangle((x, 376, x + 45, 381), fill="white")
    for draw in _DRAWN.values():
        draw(pen)
    image.save(path)
    return path


# Where things stand in `street`: x, y, width, height in pixels.
PERSON, DOG, CAR = (127, 118, 66, 184), (222, 222, 100, 82), (398, 223, 264, 120)
# The person's outline, in pixels: the head, the left half, the right half.
OUTLINE = (
    *((160 + 19 * math.sin(turn / 6), 138 - 19 * math.cos(turn / 6)) for turn in range(15, -16, -2)),
    (146, 161), (131, 167), (130, 232), (141, 233), (146, 238), (146, 300),
    (176, 300), (176, 238), (179, 233), (190, 232), (189, 167), (174, 161),
)  # fmt: skip


def in_street(what: str) -> Any:
    """Which pixels of `street` are the person, the dog or the car, (rows, columns)."""
    image = Image.new("RGB", SIZE)
    _DRAWN[what](ImageDraw.Draw(image))
    return np.asarray(image).any(axis=2)


def _person(pen: ImageDraw.ImageDraw, left: int, top: int, colour: tuple[int, int, int]) -> None:
    pen.ellipse((left - 8, top, left + 28, top + 36), fill=(232, 190, 160))
    pen.rounded_rectangle((left - 8, top + 40, left + 28, top + 116), 12, fill=colour)
    for arm in (left - 20, left + 30):
        pen.rounded_rectangle((arm, top + 44, arm + 10, top + 112), 5, fill=colour)
    for leg in (left - 4, left + 14):
        pen.rectangle((leg, top + 112, leg + 12, top + 180), fill=_INK)


def _dog(pen: ImageDraw.ImageDraw, left: float, top: float, scale: float, colour: tuple[int, int, int]) -> None:
    def at(*places: float) -> tuple[float, ...]:
        return tuple((left, top)[number % 2] + scale * place for number, place in enumerate(places))

    pen.ellipse(at(10, 22, 76, 52), fill=colour)
    pen.ellipse(at(62, 2, 92, 34), fill=colour)
    pen.ellipse(at(82, 14, 100, 30), fill=colour)
    pen.polygon(at(66, 6, 58, 34, 72, 28), fill=_INK)
    pen.ellipse(at(80, 10, 84, 14), fill="white")
    pen.line(at(14, 30, -2, 6), fill=colour, width=round(7 * scale))
    for leg in (18, 30, 56, 66):
        pen.rectangle(at(leg, 44, leg + 8, 72), fill=colour)


def _cat(pen: ImageDraw.ImageDraw, left: int, top: int) -> None:
    colour = (92, 88, 92)
    pen.ellipse((left, top + 90, left + 130, top + 230), fill=colour)
    pen.ellipse((left + 15, top + 10, left + 115, top + 105), fill=colour)
    for ear in (left + 18, left + 78):
        pen.polygon((ear, top + 40, ear + 8, top - 16, ear + 36, top + 22), fill=colour)
    for eye in (left + 38, left + 78):
        pen.ellipse((eye, top + 44, eye + 16, top + 62), fill=(180, 210, 90))
        pen.ellipse((eye + 6, top + 46, eye + 11, top + 60), fill="black")
    pen.polygon((left + 60, top + 72, left + 72, top + 72, left + 66, top + 80), fill=(220, 140, 140))
    pen.arc((left + 100, top + 120, left + 190, top + 230), 20, 200, fill=colour, width=16)


def _car(pen: ImageDraw.ImageDraw, left: int, top: int, colour: tuple[int, int, int]) -> None:
    pen.polygon((left + 50, top + 50, left + 85, top, left + 180, top, left + 220, top + 50), fill=colour)
    pen.polygon(
        (left + 66, top + 48, left + 92, top + 10, left + 128, top + 10, left + 128, top + 48), fill=(205, 225, 235)
    )
    pen.polygon(
        (left + 136, top + 48, left + 136, top + 10, left + 174, top + 10, left + 202, top + 48), fill=(205, 225, 235)
    )
    pen.rounded_rectangle((left, top + 48, left + 260, top + 98), 18, fill=colour)
    for wheel in (left + 35, left + 180):
        pen.ellipse((wheel, top + 70, wheel + 46, top + 116), fill=(30, 30, 34))
        pen.ellipse((wheel + 14, top + 84, wheel + 32, top + 102), fill=(170, 170, 176))


_DRAWN: dict[str, Callable[[ImageDraw.ImageDraw], None]] = {
    "person": lambda pen: _person(pen, 150, 120, (196, 72, 62)),
    "dog": lambda pen: _dog(pen, 225, 230, 1.0, (120, 82, 50)),
    "car": lambda pen: _car(pen, 400, 225, (48, 104, 180)),
}


def pets(path: Path) -> Path:
    """A dog and a cat on a carpet."""
    image = Image.new("RGB", SIZE, (236, 226, 208))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 260, *SIZE), fill=(168, 128, 104))
    _dog(pen, 80, 140, 2.6, (150, 98, 56))
    _cat(pen, 470, 110)
    image.save(path)
    return path


def cat(path: Path) -> Path:
    """One cat."""
    image = Image.new("RGB", (520, 320), (214, 226, 214))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 250, 520, 320), fill=(150, 160, 130))
    _cat(pen, 170, 60)
    image.save(path)
    return path


def scratched(path: Path) -> Path:
    """The door of a car, with a scratch and a dent."""
    image = Image.new("RGB", SIZE, (66, 110, 168))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, SIZE[0], 90), fill=(176, 204, 220))
    pen.line((360, 0, 360, SIZE[1]), fill=(40, 72, 120), width=5)
    pen.rounded_rectangle((250, 130, 330, 150), 9, fill=(190, 196, 204))
    draw = random.Random(1)
    for _ in range(5):
        y = draw.randint(210, 240)
        pen.line((90 + draw.randint(0, 30), y, 280 + draw.randint(-40, 0), y + 46), fill=(214, 220, 228), width=3)
    for ring in range(28, 0, -2):
        pen.ellipse(
            (540 - 2 * ring, 270 - ring, 540 + 2 * ring, 270 + ring), fill=(66 - ring, 110 - 2 * ring, 168 - 2 * ring)
        )
    image.save(path)
    return path


SCRATCH, DENT = (86, 206, 200, 86), (482, 240, 116, 60)


def harbour(path: Path) -> Path:
    """Two ships and three vehicles from above, each turned."""
    image = Image.new("RGB", SIZE, (70, 128, 160))
    pen = ImageDraw.Draw(image)
    pen.polygon((0, 300, 420, 400, 0, 400), fill=(176, 172, 164))
    pen.polygon((460, 0, 720, 0, 720, 220), fill=(176, 172, 164))
    for name, *box in ABOVE:
        outline = {
            "Ship": ((0, 0.5), (0.16, 0), (0.95, 0.06), (1, 0.5), (0.95, 0.94), (0.16, 1)),
            "Vehicle": ((0, 0), (1, 0), (1, 1), (0, 1)),
        }[name]
        pen.polygon(_turned(box, outline), fill={"Ship": (236, 232, 222), "Vehicle": (196, 60, 52)}[name])
        cabin = ((0.7, 0.25), (0.88, 0.25), (0.88, 0.75), (0.7, 0.75))
        pen.polygon(_turned(box, cabin), fill=_INK)
    image.save(path)
    return path


# What is seen in `harbour`: its name, and x, y, width, height in pixels before it is turned about its corner, in degrees.
ABOVE = (
    ("Ship", 190, 60, 190, 52, 18), ("Ship", 440, 300, 220, 58, -22), ("Vehicle", 70, 340, 40, 20, 14),
    ("Vehicle", 560, 22, 40, 20, 40), ("Vehicle", 650, 110, 40, 20, 40),
)  # fmt: skip


def _turned(
    box: list[float] | tuple[float, ...], outline: tuple[tuple[float, float], ...]
) -> list[tuple[float, float]]:
    x, y, width, height, degrees = box
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x + a * width * cos - b * height * sin, y + a * width * sin + b * height * cos) for a, b in outline]


def jumper(path: Path) -> Path:
    """A person from the front, arms and legs apart."""
    image = Image.new("RGB", SIZE, (206, 224, 206))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 350, *SIZE), fill=(150, 176, 120))
    for ends in (JOINTS[1:3], JOINTS[3:5]):
        middle = (360, 150) if ends[0][2] < 200 else (360, 232)
        for _, x, y in ends:
            pen.line((*middle, x, y), fill=(196, 72, 62) if middle[1] < 200 else _INK, width=20)
            pen.ellipse((x - 12, y - 12, x + 12, y + 12), fill=(232, 190, 160) if middle[1] < 200 else (40, 40, 44))
    pen.rounded_rectangle((326, 128, 394, 244), 20, fill=(196, 72, 62))
    pen.ellipse((326, 50, 394, 124), fill=(232, 190, 160))
    pen.polygon((360, 84, 366, 96, 354, 96), fill=(200, 140, 110))
    image.save(path)
    return path


# What joint is where in `jumper`, in pixels; its picture is as wide as its arms reach.
JOINTS = (("Nose", 360, 92), ("Left wrist", 486, 92), ("Right wrist", 234, 92), ("Left ankle", 432, 354), ("Right ankle", 288, 354))  # fmt: skip
JUMPER = (218, 46, 284, 322)

# The lines of a note: its text, and x, y and the size in points.
NOTE = (("Harbour Bakery", 60, 40, 40), ("Opens at 7, on Sundays at 8", 60, 130, 28), ("Bread  3.20", 60, 200, 28), ("Cake  2.80", 60, 260, 28))  # fmt: skip
BILL = (
    ("Lindqvist Paper AB", 40, 28, 30, "Vendor"), ("Invoice no. 20417", 40, 100, 22, "Number"),
    ("3 March 2026", 420, 100, 22, "Date"), ("Payable until 2 April 2026", 40, 150, 22, "Due date"),
    ("Envelopes, 4 boxes", 40, 230, 22, "Other"), ("Total  86.40", 420, 300, 26, "Total"),
)  # fmt: skip


def note(path: Path) -> Path:
    """A note of four lines."""
    return _written(path, NOTE)


def bill(path: Path) -> Path:
    """A small invoice."""
    return _written(path, tuple(line[:4] for line in BILL))


def _written(path: Path, lines: tuple[tuple[str, int, int, int], ...]) -> Path:
    image = Image.new("RGB", (SIZE[0], 360), (252, 250, 244))
    for text, x, y, points in lines:
        ImageDraw.Draw(image).text((x, y), text, font=ImageFont.load_default(points), fill=_INK)
    image.save(path)
    return path


def extent(text: str, x: int, y: int, points: int) -> tuple[float, float, float, float]:
    """Where a written line is: x, y, width, height in pixels, a little wider than its letters."""
    left, top, right, bottom = ImageFont.load_default(points).getbbox(text)
    return x + left - 4, y + top - 4, right - left + 8, bottom - top + 8


def film(path: Path) -> Path:
    """A car that waits, crosses the picture, and waits again: three seconds."""
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP80"), FILM_RATE, FILM)
    for number in range(FILM_FRAMES):
        image = Image.new("RGB", FILM, (198, 222, 240))
        pen = ImageDraw.Draw(image)
        pen.rectangle((0, 150, *FILM), fill=(150, 176, 120))
        pen.rectangle((0, 210, *FILM), fill=(110, 112, 118))
        left, top, *_ = driving(number)
        _car(pen, round(left), round(top), (48, 104, 180))
        writer.write(np.asarray(image)[:, :, ::-1])
    writer.release()
    return path


def driving(frame: int) -> tuple[float, float, float, float]:
    """Where the car of `film` is in a frame, from 0: x, y, width, height in pixels."""
    return 20 + 12 * min(max(frame - 25, 0), 25), 130, 260, 116


def recording(path: Path) -> Path:
    """A bark, a door and an engine, with silence between; where they are tells `HEARD`."""
    draw = np.random.default_rng(4)
    samples = silence(draw, 6.0)
    for kind, (_, start, end) in zip(("Whistle", "Noise", "Hum"), HEARD, strict=True):
        begin = round(start * RATE)
        samples[begin : begin + round((end - start) * RATE)] += drawn_sound(kind, draw, end - start)
    return write_sound(path, samples)


HEARD = (("Bark", 0.8, 1.5), ("Door", 2.4, 2.9), ("Engine", 3.6, 5.4))


def curves(path: Path) -> Path:
    """Two channels of a sensor, by seconds: at rest, walking, running, and long at rest."""
    draw = random.Random(2)
    rows = ["time,x,y"]
    for number in range(600):
        time_s = number / 20
        swing, pace = next(((swing, pace) for end, swing, pace in _PACES if time_s < end), _PACES[0][1:])
        x = swing * math.sin(pace * time_s) + draw.gauss(0, 0.05)
        y = swing * math.cos(pace * time_s) + draw.gauss(0, 0.05)
        rows.append(f"{time_s:g},{x:.3f},{y:.3f}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


_PACES = ((2.5, 0.1, 3.0), (5.0, 0.8, 9.0), (7.5, 2.0, 18.0))  # until when, in seconds, how far, and how fast
