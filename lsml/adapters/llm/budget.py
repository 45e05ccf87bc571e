"""The budget of a day: tokens and money, counted on this machine for all processes."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from lsml.adapters.llm.options import LlmOptions
from lsml.adapters.parts.kept import SharedCounts

_MILLION: Final = 1_000_000  # prices are those of a million tokens


class Budget:
    """The tokens and the money that one model at one endpoint may use in a day (UTC)."""

    def __init__(self, adapter: str, options: LlmOptions) -> None:
        self._options = options
        self._spent = SharedCounts(adapter)

    def exhausted(self) -> str | None:
        """Return that today's budget is used up, as a part of a sentence; None if it is not."""
        options = self._options
        again = "requests start again at 00:00 UTC"
        if options.tokens_per_day is not None and (used := self._add("", 0)) >= options.tokens_per_day:
            allowed = f"the recipe allows {options.tokens_per_day} (options.tokens_per_day)"
            return f"{used} tokens were used today, and {allowed}; {again}"
        if options.cost_per_day is not None and (cost := self._add(" cost", 0) / _MILLION) >= options.cost_per_day:
            allowed = f"the recipe allows {options.cost_per_day:g} (options.cost_per_day)"
            return f"today's requests cost {cost:.4g}, and {allowed}; {again}"
        return None

    def spend(self, sent: int, received: int) -> None:
        """Count the tokens of a request and of its answer."""
        if self._options.tokens_per_day is not None:
            self._add("", sent + received)
        if self._options.cost_per_day is not None:
            # Tokens times the price of a million are millionths.
            cost = sent * (self._options.input_price or 0.0) + received * (self._options.output_price or 0.0)
            self._add(" cost", math.ceil(cost))

    def _add(self, what: str, amount: int) -> int:
        """Add to what was counted today. Return the sum."""
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        return self._spent.add(f"{day} {self._options.base_url} {self._options.model}{what}", amount)
