"""A small strict HTTP service for tests of `remote`: it finds topics, people, a number and a text in a text."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.web import Answer, Asked, Web


def said(body: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


def _answer(asked: Asked) -> Answer:
    body = json.loads(asked.body)
    if (asked.method, asked.path) != ("POST", "/v1/read") or asked.headers.get("authorization") != "Bearer sesame":
        return said({"error": "not so"}, 401)
    if list(body) != ["text"]:
        return said({"error": "give a text alone"}, 400)
    text = body["text"]
    people = [
        {"start": match.start(), "end": match.end(), "label": "PER", "score": 0.8}
        for match in re.finditer(r"\b[A-Z][a-z]+", text)
    ]
    topic = "Bug" if "crash" in text else "Billing"
    return said({"topics": [{"label": topic, "score": 0.75}], "people": people, "number": len(text), "text": text[:20]})


def service() -> Web:
    """The service."""
    return Web(_answer)
