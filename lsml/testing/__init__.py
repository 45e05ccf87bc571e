"""The conformance suite of the adapter contract: for lsml's own adapters and for plug-ins alike.

In a plug-in's tests:

    from lsml.testing import AdapterCase, AdapterConformance

    class TestMine(AdapterConformance):
        case = AdapterCase(adapter=Mine, examples=..., batch=...)

pytest then collects one test for each promise of `lsml.adapters.base`. Without pytest, `check(case)` runs them all and
returns what failed.
"""

from __future__ import annotations

from lsml.testing.case import AdapterCase
from lsml.testing.declares import Declares
from lsml.testing.learns import Learns
from lsml.testing.predicts import Predicts


class AdapterConformance(Declares, Predicts, Learns):
    """One test for each promise; subclass it with a `case`."""


def checks() -> list[str]:
    """Return the names of all checks, in the order of the contract."""
    return [name for part in (Declares, Predicts, Learns) for name in vars(part) if name.startswith("test_")]


def check(case: AdapterCase) -> dict[str, str]:
    """Run every check, and return the failed ones: name -> reason."""
    suite = type("Suite", (AdapterConformance,), {"case": case})()
    failures = {}
    for name in checks():
        try:
            getattr(suite, name)()
        except Exception as error:
            # A broken adapter may raise anything. The error is reported, and the next check runs.
            failures[name] = str(error) or type(error).__name__
    return failures


__all__ = ["AdapterCase", "AdapterConformance", "check", "checks"]
