"""What a day may cost is counted for all processes, and says when it is used up."""

import msgspec
import pytest

from lsml.adapters.llm.adapter import Llm
from lsml.adapters.llm.budget import Budget
from lsml.adapters.llm.options import LlmOptions


def options(**given):
    return msgspec.convert({"model": "m", "base_url": "http://localhost:1/v1", **given}, LlmOptions)


def test_tokens_that_are_sent_and_received_count_together():
    limited = options(tokens_per_day=100)
    budget = Budget("llm", limited)
    budget.spend(60, 30)
    assert budget.exhausted() is None and Llm.paused(limited) is None
    budget.spend(5, 5)
    why = "100 tokens were used today, and the recipe allows 100 (options.tokens_per_day); requests start again at 00:00 UTC"
    assert Budget("llm", limited).exhausted() == why
    assert Llm.paused(limited) == f"llm: {why}; until then only cached answers are used"


@pytest.mark.parametrize(("sent", "received", "over"), [(1_000_000, 0, False), (1_000_000, 2_000_000, True)])
def test_money_is_counted_by_the_price_of_a_million_tokens(sent, received, over):
    limited = options(input_price=0.15, output_price=0.6, cost_per_day=1, model=f"m{received}")
    Budget("llm", limited).spend(sent, received)
    why = Budget("llm", limited).exhausted()
    if over:
        assert why.startswith("today's requests cost 1.35, and the recipe allows 1 (options.cost_per_day)")
    else:
        assert why is None


def test_without_a_limit_nothing_is_counted():
    Budget("llm", options()).spend(10**9, 10**9)
    assert Budget("llm", options()).exhausted() is None and Llm.paused(options()) is None
