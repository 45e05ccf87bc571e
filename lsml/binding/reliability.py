"""The weight of each annotator, by how often others and ground truths confirm the answers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Final, NamedTuple

_ROUNDS: Final = 10
_LEAST: Final = 0.05  # the weight of an annotator who is hardly ever confirmed, which still breaks a tie


class Votes(NamedTuple):
    """Several people's answers to one control of one task: (annotator, answer), and the ground truth if there is one."""

    given: tuple[tuple[str, Hashable], ...]
    truth: Hashable | None = None


def reliability(votes: Iterable[Votes]) -> dict[str, float]:
    """Return the weight of each annotator: the log odds that an answer is the one with the most weighted votes.

    The one-coin model of Dawid and Skene (1979), with one right and one wrong answer added for each annotator.
    """
    kept = list(votes)
    weights: dict[str, float] = defaultdict(lambda: 1.0)
    for _ in range(_ROUNDS):
        right: Counter[str] = Counter()
        answered: Counter[str] = Counter()
        for vote in kept:
            for who, what in vote.given:
                # An annotator's own vote does not count, only the others' votes.
                others = [one for one in vote.given if one[0] != who]
                truth = vote.truth if vote.truth is not None else _winner(others, weights)
                if truth is not None:
                    answered[who] += 1
                    right[who] += what == truth
        before = dict(weights)
        weights = defaultdict(lambda: 1.0, {who: _log_odds(right[who], answered[who]) for who in answered})
        if before == weights:
            break
    return dict(weights)


def _log_odds(right: int, answered: int) -> float:
    share = (right + 1) / (answered + 2)
    return max(_LEAST, math.log(share / (1 - share)))


def _winner(given: Iterable[tuple[str, Hashable]], weights: Mapping[str, float]) -> Hashable | None:
    """Return the answer with the most weight; None for a tie, or without answers."""
    totals: dict[Hashable, float] = {}
    for who, what in given:
        totals[what] = totals.get(what, 0.0) + weights[who]
    ranked = sorted(totals.values(), reverse=True)
    if not ranked or (len(ranked) > 1 and ranked[0] - ranked[1] < 1e-9):
        return None
    return max(totals, key=lambda what: totals[what])
