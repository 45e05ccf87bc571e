"""Invoices that tests and benchmarks draw: each layout has places and words of its own, each page another text."""

from __future__ import annotations

import random
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from lsml.values import Box

SIZE = (850, 1100)
FIELDS = ("Vendor", "Number", "Date", "Due date", "Total", "Other")
_WORDS = {
    "Number": ("Invoice no.", "Invoice number", "Invoice #", "Bill number", "Reference"),
    "Date": ("Date", "Invoice date", "Issued", "Date of issue", "Billed on"),
    "Due date": ("Due date", "Payable until", "Due", "Pay by", "Payment due"),
    "Total": ("Total", "Amount due", "Grand total", "Total due", "To pay"),
}
_NAMES = ("Miller", "Ostrava", "Lindqvist", "Castello", "Harbour", "Nordwind", "Beck", "Sunrise", "Papyrus", "Delta")
_KINDS = ("Ltd", "GmbH", "Inc.", "AB", "S.r.l.")
_GOODS = ("Paper", "Chairs", "Consulting", "Transport", "Lamps", "Cleaning", "Licences", "Repair", "Cables", "Storage")


class Line(NamedTuple):
    """A line of text, its top left corner in pixels, its size in points, and which field it is."""

    text: str
    x: int
    y: int
    points: int
    field: str


def invoice(layout: int, seed: int) -> list[Line]:
    """The lines of an invoice. Pages of one layout have the same places and the same words beside values."""
    plan, draw = random.Random(layout), random.Random(1000 * layout + seed)
    top, left, right = plan.randint(40, 120), plan.choice((50, 90, 420)), plan.choice((480, 560))
    vendor = f"{draw.choice(_NAMES)} {draw.choice(_NAMES)} {draw.choice(_KINDS)}"
    lines = [Line(vendor, left, top, plan.choice((26, 30, 34)), "Vendor")]
    lines.append(Line(f"{draw.choice(_NAMES)} Street {draw.randint(1, 99)}", left, top + 50, 17, "Other"))
    lines.append(Line(plan.choice(("INVOICE", "Bill", "Tax invoice")), plan.choice((50, 560)), top + 120, 28, "Other"))
    day, month = draw.randint(1, 28), draw.randint(1, 12)
    form = plan.choice(("{0:02d}.{1:02d}.2026", "2026-{1:02d}-{0:02d}", "{0:02d}/{1:02d}/2026"))
    prefix, digits = plan.choice(("", "INV-", "RE ", "A-")), plan.choice((4, 6))
    values = {
        "Number": f"{prefix}{draw.randint(10 ** (digits - 1), 10**digits - 1)}",
        "Date": form.format(day, month),
        "Due date": form.format(draw.randint(1, 28), draw.randint(1, 12)),
    }
    names = list(values)
    plan.shuffle(names)
    beside, start = plan.random() < 0.6, top + plan.randint(180, 230)
    at = plan.choice((50, right - 120))
    for row, name in enumerate(names):
        label, value = plan.choice(_WORDS[name]), values[name]
        if beside:
            lines += [Line(label, at, start + 36 * row, 18, "Other"), Line(value, at + 190, start + 36 * row, 18, name)]
        else:
            lines += [
                Line(label, 50 + 250 * row, start, 18, "Other"),
                Line(value, 50 + 250 * row, start + 34, 18, name),
            ]
    row, total = start + 170, 0
    for _ in range(draw.randint(2, 6)):
        price = draw.randint(500, 90000)
        total += price
        lines += [Line(draw.choice(_GOODS), 60, row, 17, "Other"), Line(_money(price), 640, row, 17, "Other")]
        row += 38
    net = plan.random() < 0.5
    if net:
        lines += [Line("Net", 470, row + 20, 17, "Other"), Line(_money(total * 4 // 5), 640, row + 20, 17, "Other")]
    label = plan.choice(_WORDS["Total"])
    lines += [Line(label, 440, row + 60, 19, "Other"), Line(_money(total), 640, row + 60, 19, "Total")]
    lines.append(Line(f"Thank you, {draw.choice(_NAMES)}", 60, row + 140, 17, "Other"))
    return lines


def _money(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02d}"


def boxes(lines: list[Line]) -> tuple[Box, ...]:
    """The lines as boxes with their texts, as a perfect reader would find them."""
    found = []
    for line in lines:
        left, top, right, bottom = ImageFont.load_default(line.points).getbbox(line.text)
        found.append(
            Box(label="", x=line.x / SIZE[0], y=line.y / SIZE[1], width=(right - left) / SIZE[0],
                height=(bottom - top) / SIZE[1], aspect=SIZE[0] / SIZE[1], text=line.text)
        )  # fmt: skip
    return tuple(found)


def drawn(lines: list[Line]) -> Image.Image:
    """The page."""
    image = Image.new("RGB", SIZE, "white")
    for line in lines:
        font = ImageFont.load_default(line.points)
        left, top, *_ = font.getbbox(line.text)
        ImageDraw.Draw(image).text((line.x - left, line.y - top), line.text, font=font, fill="black")
    return image
