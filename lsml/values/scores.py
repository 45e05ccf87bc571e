"""The check of a value's score: a probability in [0, 1], or None."""

from __future__ import annotations


def no_score(score: float) -> ValueError:
    """Return the error of a number that is no score."""
    return ValueError(f"a score must be between 0 and 1, got {score}")


def check_score(score: float | None) -> None:
    """Raise ValueError for a number that is no score."""
    if score is not None and not 0.0 <= score <= 1.0:  # NaN fails this, too
        raise no_score(score)
