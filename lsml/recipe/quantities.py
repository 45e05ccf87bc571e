"""Durations and sizes as people write them: 20s, 100MB."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

_DURATION: Final = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$(?!\n)"
_FROM_ONE_SECOND: Final = r"^[1-9][0-9]*(\.[0-9]+)?(s|m|h)$(?!\n)"
SIZE: Final = r"^[1-9][0-9]{0,5}(kB|MB|GB)$(?!\n)"
_UNITS: Final = {"kB": 1000, "MB": 1000**2, "GB": 1000**3}


def duration(least: float, description: str) -> Meta:
    """Return the constraints of a key that holds seconds, `least` or more."""
    what = "seconds such as 20, or 20s, 5m, 1h, 500ms" if not least else "seconds such as 600, or 10m, 6h; at least 1s"
    return Meta(
        description=f"{description} A number of seconds, or a text such as 500ms, 20s, 5m, 1h.",
        extra_json_schema={
            "minimum": least,
            "pattern": _FROM_ONE_SECOND if least else _DURATION,
            "errorMessage": f"expected {what}",
        },
    )


def size(description: str) -> Meta:
    """Return the constraints of a key that holds bytes."""
    return Meta(
        description=f"{description} A number of bytes, or a text such as 500kB, 100MB, 2GB.",
        extra_json_schema={"errorMessage": "expected a size such as 500kB, 100MB or 2GB, or a number of bytes"},
    )


def in_bytes(given: int | str) -> int:
    """Return a size in bytes."""
    return given if isinstance(given, int) else int(given[:-2]) * _UNITS[given[-2:]]


Size = Annotated[int, Meta(ge=1000, le=10**15)] | Annotated[str, Meta(pattern=SIZE)]
