"""Whether the labels that people give now are those that the served version learnt, by the population stability index."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from lsml.binding import BoundModel
from lsml.versions import Alert, Card, Drift, ModelCard
from lsml.versions.drift import LEAST_INDEX, LEAST_LABELS
from lsml.versions.outlook import Prospect

_CHANCE: Final = 0.01  # how often labels that are drawn as before exceed the limit


def drift(
    learnt: Mapping[str, int], now: Mapping[str, int], against: str, changed: float | None = None
) -> Drift | None:
    """Return how the labels that came since differ from those `learnt`; None where either are too few.

    `learnt` and `now`: how often each label occurs in what the served and the new version learnt. Where labels are drawn as
    before, the index is about (1/n + 1/m) times a chi-squared variable with a degree of freedom less than there are labels
    (Yurdakul and Naranjo, "Statistical properties of the population stability index", 2020): the limit is not below that.
    """
    recent = Counter(now) - Counter(learnt)
    before, since = sum(learnt.values()), recent.total()
    labels = sorted({*learnt, *recent})
    if min(before, since) < LEAST_LABELS or len(labels) < 2:
        return None
    from scipy.stats import chi2

    # Half an occurrence more of each, so that a label that is new is a large shift and no infinite one.
    shares = {
        label: tuple(
            (of.get(label, 0) + 0.5) / (whole + 0.5 * len(labels)) for of, whole in ((learnt, before), (recent, since))
        )
        for label in labels
    }
    parts = {label: (new - old) * math.log(new / old) for label, (old, new) in shares.items()}
    chance = (1 / before + 1 / since) * float(chi2.ppf(1 - _CHANCE, len(labels) - 1))
    return Drift(
        against, round(sum(parts.values()), 4), round(max(LEAST_INDEX, chance), 4), before, since,
        {
            label: (round(learnt.get(label, 0) / before, 4), round(recent[label] / since, 4))
            for label in sorted(labels, key=lambda label: -parts[label])
        },
        changed,
    )  # fmt: skip


def drift_of(
    model: BoundModel, served: ModelCard | None, new: ModelCard, against: str, changed: float | None
) -> Drift | None:
    """Return the drift of one model that learnt anew; None where none is served. Labels that were renamed are the same."""
    if served is None:
        return None
    renamed = {
        former: control.name_of(label)
        for control in model.controls
        for label in (control.companion or control.control_tag).labels
        for former in label.was
    }
    learnt: Counter[str] = Counter()
    for label, count in served.classes.items():
        learnt[renamed.get(label, label)] += count
    return drift(learnt, new.classes, against, changed)


def with_alerts(card: Card, before: Card | None) -> None:
    """Give a card that is not yet saved what begins with it. `before`: the card of the newest version."""
    known = before.drift if before is not None else {}
    for key, one in card.drift.items():
        # While nothing better is served, each version finds the same drift again.
        told = key in known and known[key].drifted and known[key].against == one.against
        if one.drifted and not told:
            card.alerts.append(Alert("drift", f"{key.partition(':')[0]}: {one.sentence}"))
    flat = before is not None and before.outlook is not None and before.outlook.prospect is Prospect.FLAT
    if card.outlook is not None and card.outlook.prospect is Prospect.FLAT and not flat:
        card.alerts.append(Alert("stop", card.outlook.sentence))
