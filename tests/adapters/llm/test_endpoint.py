"""Requests keep to the rate of the recipe."""

from lsml.adapters.llm.endpoint import Pace


def test_so_many_requests_in_a_minute(monkeypatch):
    slept = []
    monkeypatch.setattr("lsml.adapters.llm.endpoint.time.sleep", slept.append)
    monkeypatch.setattr("lsml.adapters.llm.endpoint.time.monotonic", lambda: 100.0)
    pace = Pace(30)
    for _ in range(3):
        pace.wait()
    Pace(None).wait()
    assert slept == [0.0, 2.0, 4.0]
