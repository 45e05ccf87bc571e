"""The shift between the labels that people give now and those that the served version learnt.

It is measured by the population stability index.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from lsml.binding import BoundModel
from lsml.versions import Alert, Card, Drift, ModelCard
from lsml.versions.drift import LEAST_INDEX, LEAST_LABELS
from lsml.versions.outlook import Prospect

_CHANCE: Final = 0.01  # the significance level of the test for drift


def drift(
    learnt: Mapping[str, int], now: Mapping[str, int], against: str, changed: float | None = None
) -> Drift | None:
    """Return the shift from the labels `learnt` to those that came since; None if either are too few.

    `learnt` and `now`: the count of each label in the training data of the served and of the new version. If labels are
    drawn as before, the index is about (1/n + 1/m) times a chi-squared variable with one degree of freedom less than there
    are labels (Yurdakul and Naranjo, "Statistical properties of the population stability index", 2020). The limit is not
    below the 99th percentile of that.
    """
    recent = Counter(now) - Counter(learnt)
    before, since = sum(learnt.values()), recent.total()
    labels = sorted({*learnt, *recent})
    if min(before, since) < LEAST_LABELS or len(labels) < 2:
        return None
    from scipy.stats import chi2

    # Half an occurrence more of each, so that a new label is a large shift and not an infinite one.
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
    """Return the drift of one newly trained model; None if none is served. A renamed label counts as the same label."""
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
    """Add to an unsaved card the alerts that begin with it. `before`: the card of the newest version."""
    known = before.drift if before is not None else {}
    for key, one in card.drift.items():
        # Until a better version is served, each version finds the same drift again.
        told = key in known and known[key].drifted and known[key].against == one.against
        if one.drifted and not told:
            card.alerts.append(Alert("drift", f"{key.partition(':')[0]}: {one.sentence}"))
    flat = before is not None and before.outlook is not None and before.outlook.prospect is Prospect.FLAT
    if card.outlook is not None and card.outlook.prospect is Prospect.FLAT and not flat:
        card.alerts.append(Alert("stop", card.outlook.sentence))
