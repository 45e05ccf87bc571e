"""The expected gain of more annotations, from the learning curve of real versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from lsml.errors import VersionError
from lsml.learning.fit import SEED
from lsml.learning.judge import mean_metric
from lsml.store import Store
from lsml.versions import Card, card_of
from lsml.versions.outlook import LEAST_GAIN, LEAST_JUDGED, LEAST_VERSIONS, MORE, Outlook, Prospect, VersionPoint

if TYPE_CHECKING:
    from lsml.arrays import Array


_CONFIDENCE: Final = 0.8
_RESAMPLES: Final = 300
_MOST_POINTS: Final = 200  # versions in a card's history


def point_of(number: int, card: Card) -> VersionPoint | None:
    """Return a version's point on the curve; None where it was not evaluated."""
    judged = {name: one for name, one in card.metrics.items() if one.get("value") is not None}
    value = mean_metric(judged, set(judged))
    answers = min((one.get("examples", 0) for one in judged.values()), default=0)
    return None if value is None else VersionPoint(number, card.tasks, round(value, 6), answers)


def curve_of(store: Store, project: str) -> list[VersionPoint]:
    """Return the points of a project's versions, oldest first, also of deleted ones."""
    points: dict[int, VersionPoint] = {}
    for row in store.versions.newest(project):
        try:
            card = card_of(row)
        except VersionError:
            continue
        own = point_of(row.number, card)
        points = {point.version: point for point in (*card.history, *([own] if own else []))} | points
        if card.history:
            break  # it holds all earlier ones
    return sorted(points.values(), key=lambda point: point.version)[-_MOST_POINTS:]


def newest_card(store: Store, project: str) -> Card | None:
    """Return the card of a project's newest version; None where there is none, or it cannot be read."""
    for row in store.versions.newest(project):
        try:
            return card_of(row)
        except VersionError:
            break
    return None


def outlook_of(store: Store, project: str) -> Outlook:
    """Return the expected gain of more annotations of a project, as estimated with its newest readable version."""
    for row in store.versions.newest(project):
        try:
            card = card_of(row)
        except VersionError:
            continue
        if card.outlook is not None:
            return card.outlook
        break  # an older lsml made it, and those before
    return Outlook(Prospect.FEW_VERSIONS, len({point.annotations for point in curve_of(store, project)}))


def with_outlook(card: Card, points: Sequence[VersionPoint]) -> None:
    """Add the curve of the earlier versions, and an estimate from all of them, to a card that is not saved yet."""
    own = point_of(points[-1].version + 1 if points else 1, card)
    card.history = list(points)
    card.outlook = estimate([*points, *([own] if own else [])])


def estimate(points: Sequence[VersionPoint]) -> Outlook:
    """Return the expected gain of annotations after the last point, by an inverse power law through the points.

    The metric after n annotations is c - a n^-b (Figueroa et al., "Predicting sample size required for classification
    performance", 2012). The interval is that of a parametric bootstrap: each point is drawn again with the precision
    that its number of answers gives.
    """
    latest = {point.annotations: point for point in points}
    known = [point for point in latest.values() if point.judged >= LEAST_JUDGED]
    if len(known) < LEAST_VERSIONS:
        few = len(latest) < LEAST_VERSIONS
        return Outlook(Prospect.FEW_VERSIONS if few else Prospect.FEW_JUDGED, len(latest) if few else len(known))
    import numpy as np

    now = max(point.annotations for point in known)
    shares = np.array([point.annotations / now for point in known])
    values = np.array([point.value for point in known])
    spread = np.clip(values * (1 - values), 0.01, None)
    errors = np.sqrt(spread / np.array([point.judged for point in known]))
    curve = _fitted(shares, values, errors)
    draw = np.random.default_rng(SEED)
    again = [_fitted(shares, _at(shares, *curve) + draw.normal(0, errors), errors) for _ in range(_RESAMPLES)]
    soon, late = 1 + MORE / now, 1 + max(MORE, now) / now
    gains = np.array([_at(soon, *one) - _at(1.0, *one) for one in again])
    doubled = np.array([_at(late, *one) - _at(1.0, *one) for one in again])
    low, high = np.quantile(gains, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    most = float(np.quantile(doubled, (1 + _CONFIDENCE) / 2))
    return Outlook(
        prospect=Prospect.FLAT if most < LEAST_GAIN else Prospect.RISES, versions=len(known),
        gain=round(float(_at(soon, *curve) - _at(1.0, *curve)), 6), interval=(round(float(low), 6), round(float(high), 6)),
        confidence=_CONFIDENCE, doubled=round(most, 6),
    )  # fmt: skip


def _at(share: Any, limit: float, fall: float, speed: float) -> Any:
    """Return the metric at a share of the current annotations."""
    return limit - fall * share**-speed


def _fitted(shares: Array, values: Array, errors: Array) -> Array:
    """Return (limit, fall, speed) of the best curve; the metric never falls with more annotations."""
    import numpy as np
    from scipy.optimize import least_squares

    def apart(curve: Array) -> Array:
        return np.asarray((_at(shares, *curve) - values) / errors)

    start = np.array([min(0.99, float(values.max()) + 0.02), 0.05, 0.5])
    bounds = ([-np.inf, 0.0, 0.05], [1.0, np.inf, 2.0])
    return np.asarray(least_squares(apart, start, bounds=bounds).x)
