"""Learning curves as an SVG image without scripts or embedded fonts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lsml.learning.simulate import Point, Simulated

WIDTH: Final = 720  # of an image of curves
HEIGHT: Final = 420
_LEFT, _TOP, _RIGHT, _BOTTOM = 60, 40, 20, 60
_COLOURS: Final = ("#5a6579", "#1f6feb", "#c2410c", "#15803d", "#7c3aed", "#0891b2")


def curves_svg(simulated: Simulated, title: str) -> str:
    """Return an image with the curve of each order and its interval, the target as a line, and the annotations that each
    needs.
    """
    curves = simulated.curves
    most = max(point.annotations for curve in curves.values() for point in curve)
    values = [value for curve in curves.values() for point in curve for value in (point.low, point.high)]
    low, high = max(0.0, min(values)), max(simulated.target, *values)
    span = (high - low) or 1.0

    def x(annotations: float) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * annotations / most, 1)

    def y(value: float) -> float:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (min(max(value, low), high) - low) / span, 1)

    def line(points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x(at)},{y(value)}" for at, value in points)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}: {escape(simulated.sentence)}</text>',
        f'<line x1="{_LEFT}" y1="{y(simulated.target)}" x2="{WIDTH - _RIGHT}" y2="{y(simulated.target)}" stroke="#bbb" '
        'stroke-dasharray="4 4"/>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value, annotations = low + share * span, share * most
        parts.append(f'<text x="{_LEFT - 8}" y="{y(value) + 4}" text-anchor="end">{value:.2f}</text>')
        parts.append(
            f'<text x="{x(annotations)}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{annotations:,.0f}</text>'
        )
    parts.append(
        f'<text x="{(_LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">annotations; '
        f"{escape(simulated.metric)} on {simulated.judged:,} other tasks, mean of {simulated.seeds} seeds, 95% interval</text>"
    )
    for number, (order, curve) in enumerate(curves.items()):
        parts += _drawn(order, curve, _COLOURS[number % len(_COLOURS)], number, line)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _drawn(order: str, curve: Sequence[Point], colour: str, number: int, line: object) -> list[str]:
    """Return a curve, its interval, and its name in the corner."""
    assert callable(line)
    band = [(one.annotations, one.high) for one in curve] + [(one.annotations, one.low) for one in reversed(curve)]
    height = HEIGHT - _BOTTOM - 14 - 16 * number
    return [
        f'<polygon points="{line(band)}" fill="{colour}" opacity="0.12"/>',
        f'<polyline points="{line([(one.annotations, one.mean) for one in curve])}" fill="none" stroke="{colour}" '
        'stroke-width="2"/>',
        f'<text x="{WIDTH - _RIGHT - 4}" y="{height}" text-anchor="end" fill="{colour}">{escape(order)}</text>',
    ]
