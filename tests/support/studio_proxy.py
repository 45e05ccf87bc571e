"""What stands between lsml and a real Label Studio, and fails when a test wants it to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import httpx

from tests.support.label_studio import RealLabelStudio
from tests.support.web import Answer, Asked

_KEPT = ("authorization", "content-type", "accept")


@dataclass
class StudioProxy:
    """The answer of `studio`, for `Web`; 502 while nobody answers there.

    `failing`: `before` answers 500 in the place of Label Studio, `after` once it has done what was asked, so that nobody knows.
    `slow_s`: how much longer predictions take to be stored.
    """

    studio: RealLabelStudio
    failing: str = ""
    slow_s: float = 0.0
    failed: int = 0
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=120, trust_env=False))

    def __call__(self, asked: Asked) -> Answer:
        if self.failing == "before":
            return self._fail()
        headers = {name: value for name, value in asked.headers.items() if name in _KEPT}
        storing = asked.method == "POST" and asked.path.endswith("/import/predictions")
        if storing:
            time.sleep(self.slow_s)
        try:
            url = f"{self.studio.url}{asked.target}"
            said = self.client.request(asked.method, url, content=asked.body, headers=headers)
        except httpx.TransportError:
            return Answer(502)
        if self.failing == "after" and storing:
            return self._fail()
        return Answer(said.status_code, said.content, {"Content-Type": said.headers.get("content-type", "")})

    def _fail(self) -> Answer:
        self.failed += 1
        return Answer(500, b'{"detail": "a test wants it so"}', {"Content-Type": "application/json"})
