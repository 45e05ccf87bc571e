"""Every registered adapter keeps the contract."""

import pytest

from lsml.adapters import builtin_adapters
from lsml.testing import AdapterConformance, checks
from tests.adapters.cases import CASES

ALL = [(name, index, case) for name, cases in CASES.items() for index, case in enumerate(cases)]


def test_every_adapter_has_a_case():
    assert set(builtin_adapters()) == set(CASES)


@pytest.mark.parametrize("check", checks())
@pytest.mark.parametrize(("name", "index", "case"), ALL, ids=[f"{name}-{index}" for name, index, _ in ALL])
def test_an_adapter_keeps_the_contract(name, index, case, check):
    getattr(type("Suite", (AdapterConformance,), {"case": case})(), check)()
