"""An OpenAI-compatible endpoint, through the openai client: retries, time-outs, rate limit, budget. In: messages; out: a
reply.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from lsml.adapters.llm.answer import Reply
from lsml.adapters.llm.budget import Budget
from lsml.adapters.llm.documents import Content
from lsml.adapters.llm.options import LlmOptions
from lsml.adapters.llm.prompt import Message
from lsml.adapters.parts.asking import Away, Dropped
from lsml.errors import AdapterError
from lsml.logs import MASK, mask

if TYPE_CHECKING:
    from openai import APIError, OpenAI
    from openai.types.chat import ChatCompletion
    from openai.types.chat.chat_completion import Choice as Completed


_log = logging.getLogger(__name__)
_OPENAI: Final = "api.openai.com"
_BYTES_OF_A_TOKEN: Final = 3
_TOKENS_OF_AN_IMAGE: Final = 2000
_SHOWN: Final = 300  # the most characters of an endpoint's error


class Endpoint:
    """One endpoint and one model. Threads may ask at once."""

    def __init__(self, adapter: str, options: LlmOptions) -> None:
        self._adapter = adapter
        self._options = options
        self.host = urlsplit(options.base_url).hostname or "the endpoint"
        self._pace = Pace(options.requests_per_minute)
        self._budget = Budget(adapter, options)
        self._tells_logprobs = options.logprobs
        self._client: OpenAI | None = None
        self._lock = threading.Lock()

    def ask(self, messages: Sequence[Message], schema: Mapping[str, object]) -> Reply:
        """Return the model's reply. Raises Away, or Dropped where only this text is refused."""
        import openai

        if over := self._budget.exhausted():
            raise Away(f"{self._name}: {over}")
        self._pace.wait()
        try:
            try:
                completion = self._created(messages, schema)
            except openai.BadRequestError as error:
                # Not every model sends them, and an answer without a score is better than none.
                if not (self._tells_logprobs and "logprob" in str(error).lower()):
                    raise
                _log.warning(
                    "%s: %s sends no log-probabilities, so predictions have no scores", self._adapter, self.host
                )
                self._tells_logprobs = False
                completion = self._created(messages, schema)
        except openai.APITimeoutError as error:
            raise Away(f"{self._name}: no answer within {self._options.timeout:g} s (options.timeout)") from error
        except openai.APIConnectionError as error:
            cause = self._shown(error.__cause__ or error)
            raise Away(f"{self._name}: cannot be reached ({cause}); check `base_url`, and that it runs") from error
        except openai.APIStatusError as error:
            raise self._refused(error) from error
        except (openai.OpenAIError, ValueError) as error:
            raise Away(f"{self._name}: is not an OpenAI-compatible endpoint; check `base_url`") from error
        return self._reply(completion, messages)

    def _created(self, messages: Sequence[Message], schema: Mapping[str, object]) -> ChatCompletion:
        options = self._options
        # OpenAI's own models need the new name, and others only know the old one.
        limit = "max_completion_tokens" if self.host == _OPENAI else "max_tokens"
        more: dict[str, object] = {limit: options.max_tokens}
        if options.temperature is not None:
            more["temperature"] = options.temperature
        if self._tells_logprobs:
            more["logprobs"] = True
        if options.format == "json_schema":
            form = {"name": "answer", "strict": True, "schema": dict(schema)}
            more["response_format"] = {"type": "json_schema", "json_schema": form}
        elif options.format == "json_object":
            more["response_format"] = {"type": "json_object"}
        return self._opened().chat.completions.create(model=options.model, messages=list(messages), **more)

    def _opened(self) -> OpenAI:
        import openai

        with self._lock:
            if self._client is None:
                self._client = openai.OpenAI(
                    # Your own servers need none, but the client requires one.
                    api_key=self._options.api_key or "none",
                    base_url=self._options.base_url,
                    timeout=self._options.timeout,
                    max_retries=self._options.retries,
                )
            return self._client

    def _reply(self, completion: ChatCompletion, messages: Sequence[Message]) -> Reply:
        try:
            choice = completion.choices[0]
            text = choice.message.content or ""
            cut = choice.finish_reason in ("length", "content_filter")
            refusal = getattr(choice.message, "refusal", None)
        except (AttributeError, IndexError, TypeError) as error:
            raise Away(f"{self._name}: is not an OpenAI-compatible endpoint; check `base_url`") from error
        usage = getattr(completion, "usage", None)
        told = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
        sent, received = (count if isinstance(count, int) and count >= 0 else None for count in told)
        if sent is None or received is None:
            sent, received = sum(_tokens_of(message["content"]) for message in messages), _tokens_of(text)
        self._budget.spend(sent, received)
        if refusal and not text:
            raise Dropped("refused", "the model refused to answer")
        return Reply(text, _tokens(choice), not cut)

    def _refused(self, error: APIError) -> AdapterError:
        said = self._shown(error)
        status = error.status_code
        if status in (400, 413, 422):
            return Dropped("refused", f"{self._name}: refused the request ({said})")
        if status in (401, 403):
            return Away(f"{self._name}: rejected the key ({status}); check `api_key` under `options`")
        if status == 404:
            return Away(f"{self._name}: has no such model or address ({said}); check `model` and `base_url`")
        if status == 429:
            return Away(f"{self._name}: too many requests, or its quota is used up ({said}); try again later")
        return Away(f"{self._name}: answered {status} after {self._options.retries + 1} attempts; try again later")

    def _shown(self, error: APIError) -> str:
        """Return an error's message, in one line and without the key."""
        text = " ".join(mask(str(error)).split()) or type(error).__name__
        if self._options.api_key:
            text = text.replace(self._options.api_key, MASK)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."

    @property
    def _name(self) -> str:
        return f"{self._adapter}: {self.host}"


class Pace:
    """A rate limit for threads: so many requests in a minute, evenly spaced; without a limit, all at once."""

    def __init__(self, per_minute: int | None) -> None:
        self._gap_s = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until it is this thread's turn."""
        if not self._gap_s:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap_s
        time.sleep(turn - now)


def _tokens_of(content: Content) -> int:
    """Return about how many tokens a message has, for an endpoint that does not say: rather too many."""
    if isinstance(content, str):
        return len(content.encode("utf-8", "replace")) // _BYTES_OF_A_TOKEN + 1
    texts = [part.get("text") for part in content]
    return sum(_tokens_of(text) if isinstance(text, str) else _TOKENS_OF_AN_IMAGE for text in texts)


def _tokens(choice: Completed) -> list[tuple[bytes, float]]:
    """Return the tokens of an answer with their log-probabilities; empty where the endpoint does not send valid ones."""
    found = []
    try:
        for token in choice.logprobs.content or ():
            raw = token.bytes
            found.append((bytes(raw) if raw is not None else token.token.encode("utf-8"), float(token.logprob)))
    except (AttributeError, TypeError, ValueError):
        return []
    return found
