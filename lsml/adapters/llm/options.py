"""What a recipe can say about `llm`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS
from lsml.adapters.parts.asking import Retries

_SECRET: Final[dict[str, object]] = {"decides": "secret"}


class LlmOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `llm`."""

    model: Annotated[str, Meta(description="The model's name, as the endpoint knows it.", extra=PREDICTIONS)] = ""
    base_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/\s@]+(/\S*)?|.*\$\{.*)$",  # or what the environment says
            description="The endpoint's address, up to /v1: a hosted one, Ollama, vLLM, llama.cpp.",
            extra=PREDICTIONS,
        ),
    ] = "https://api.openai.com/v1"
    api_key: Annotated[
        str | None,
        Meta(description="The endpoint's key, as `${OPENAI_API_KEY}`; servers of one's own want none.", extra=_SECRET),
    ] = None
    prompt: Annotated[
        str | None,
        Meta(
            description="What the model is told first. Behind it lsml says what is asked, with the labels and their "
            "descriptions, and that the text is data. null: a sentence that fits any labels.",
            extra=PREDICTIONS,
        ),
    ] = None
    format: Annotated[
        Literal["json_schema", "json_object", "none"],
        Meta(
            description="How the endpoint is asked to hold the model to the answer's form; it is checked in any case.",
            extra=PREDICTIONS,
        ),
    ] = "json_schema"
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(
            description="How freely it answers; null: as the endpoint likes, which some models insist on.",
            extra=PREDICTIONS,
        ),
    ] = 0.0
    max_tokens: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Most tokens of an answer; a longer one is dropped.", extra=PREDICTIONS),
    ] = 2048
    logprobs: Annotated[
        bool, Meta(description="Whether to ask for log-probabilities, which scores are made of.", extra=PREDICTIONS)
    ] = True
    grounding: Annotated[
        float,
        Meta(
            ge=0.5,
            le=1,
            description="Share of a span's characters that must stand in the text; 1: all of them, exactly.",
            extra=PREDICTIONS,
        ),
    ] = 0.85
    timeout: Annotated[float, Meta(gt=0, le=600, description="Seconds that an attempt may take.", extra=MACHINE)] = 30.0
    retries: Retries = 2
    concurrency: Annotated[int, Meta(ge=1, le=64, description="Texts that are asked about at once.", extra=MACHINE)] = 4
    requests_per_minute: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None, Meta(description="Most requests in a minute.", extra=MACHINE)
    ] = None
    tokens_per_day: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Most tokens in a day (UTC) on this machine, sent and received; then only known answers are given.",
            extra=MACHINE,
        ),
    ] = None
