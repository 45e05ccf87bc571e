"""The options of `llm`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS
from lsml.adapters.parts.asking import Retries

_SECRET: Final[dict[str, object]] = {"decides": "secret"}


class LlmOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `llm`."""

    model: Annotated[str, Meta(description="The model's name at the endpoint.", extra=PREDICTIONS)] = ""
    base_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/\s@]+(/\S*)?|.*\$\{.*)$",  # or a variable of the environment
            description="The endpoint's address, up to /v1: a hosted one, Ollama, vLLM, llama.cpp.",
            extra=PREDICTIONS,
        ),
    ] = "https://api.openai.com/v1"
    api_key: Annotated[
        str | None,
        Meta(description="The endpoint's key, as `${OPENAI_API_KEY}`; your own servers need none.", extra=_SECRET),
    ] = None
    prompt: Annotated[
        str | None,
        Meta(
            description="The beginning of the prompt. lsml adds the questions, the labels and their descriptions, and "
            "marks the text as data. null: a sentence that fits any labels.",
            extra=PREDICTIONS,
        ),
    ] = None
    examples: Annotated[
        int,
        Meta(
            ge=1,
            le=50,
            description="The number of annotated tasks that are shown with each request, those most similar to it. "
            "`training: false` shows none.",
            extra=PREDICTIONS,
        ),
    ] = 5
    format: Annotated[
        Literal["json_schema", "json_object", "none"],
        Meta(
            description="The response format that the endpoint must enforce; answers are checked in any case.",
            extra=PREDICTIONS,
        ),
    ] = "json_schema"
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(
            description="The sampling temperature; null: the endpoint's default, which some models require.",
            extra=PREDICTIONS,
        ),
    ] = 0.0
    samples: Annotated[
        int,
        Meta(
            ge=1,
            le=20,
            description="The number of answers to each question. With several, the score is the share that agrees; they "
            "need a temperature above 0.",
            extra=PREDICTIONS,
        ),
    ] = 1
    max_tokens: Annotated[
        int,
        Meta(
            ge=1, le=1_000_000, description="The most tokens of an answer; a longer one is dropped.", extra=PREDICTIONS
        ),
    ] = 2048
    image_side: Annotated[
        int,
        Meta(
            ge=64,
            le=4096,
            description="The most pixels of an image's longer side; a larger one is sent scaled down.",
            extra=PREDICTIONS,
        ),
    ] = 1024
    logprobs: Annotated[
        bool, Meta(description="`true` asks for log-probabilities, which give scores.", extra=PREDICTIONS)
    ] = True
    grounding: Annotated[
        float,
        Meta(
            ge=0.5,
            le=1,
            description="The least share of a span's characters that must match the text; 1: all of them.",
            extra=PREDICTIONS,
        ),
    ] = 0.85
    search_url: Annotated[
        Annotated[str, Meta(pattern=r"^(https?://[^/\s@]+(/\S*)?|.*\$\{.*)$")] | None,
        Meta(
            description="The URL of a search service, for POST. The model is first asked what to search for, and sees what was "
            "found. No part of a task is added to the URL.",
            extra=PREDICTIONS,
        ),
    ] = None
    search_request: Annotated[
        dict[str, str],
        Meta(description="The JSON to send there; `{query}` is a query of the model.", extra=PREDICTIONS),
    ] = msgspec.field(default_factory=lambda: {"query": "{query}"})
    search_authorization: Annotated[
        Annotated[str, Meta(pattern=r"^[^\r\n]*$")] | None,
        Meta(description="Its Authorization header, as `Bearer ${SEARCH_KEY}`.", extra=_SECRET),
    ] = None
    search_private: Annotated[
        bool, Meta(description="`true` allows a search service at an address that is not public.", extra=MACHINE)
    ] = False
    timeout: Annotated[float, Meta(gt=0, le=600, description="The most seconds of an attempt.", extra=MACHINE)] = 30.0
    retries: Retries = 2
    concurrency: Annotated[int, Meta(ge=1, le=64, description="The number of requests at once.", extra=MACHINE)] = 4
    requests_per_minute: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None, Meta(description="The most requests in a minute.", extra=MACHINE)
    ] = None
    tokens_per_day: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="The most tokens in a day (UTC) on this machine, sent and received; then only cached answers are used.",
            extra=MACHINE,
        ),
    ] = None
    input_price: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="The price of a million tokens that are sent, for `cost_per_day`.", extra=MACHINE),
    ] = None
    output_price: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="The price of a million tokens of answers, for `cost_per_day`.", extra=MACHINE),
    ] = None
    cost_per_day: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(
            description="The most that a day (UTC) may cost on this machine; then only cached answers are used.",
            extra=MACHINE,
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.cost_per_day is not None and (self.input_price is None or self.output_price is None):
            raise ValueError(
                "cost_per_day: needs the prices of a million tokens; write `input_price` and `output_price`"
            )
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("samples: several answers differ only at a temperature above 0; write `temperature: 0.7`")
