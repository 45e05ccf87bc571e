"""Every registered adapter keeps the contract."""

import pytest

from lsml.adapters import builtin_adapters
from lsml.testing import AdapterConformance, checks
from tests.support.cases import CASES, HEAVY

ALL = [
    pytest.param(name, index, case, id=f"{name}-{index}", marks=pytest.mark.models if name in HEAVY else ())
    for name, cases in CASES.items()
    for index, case in enumerate(cases)
]


def test_every_adapter_has_a_case():
    assert set(builtin_adapters()) == set(CASES)


@pytest.mark.parametrize("check", checks())
@pytest.mark.parametrize(("name", "index", "case"), ALL)
def test_an_adapter_keeps_the_contract(name, index, case, check):
    getattr(type("Suite", (AdapterConformance,), {"case": case})(), check)()
