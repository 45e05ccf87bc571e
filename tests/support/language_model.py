"""A small strict server that speaks the chat completions of OpenAI, for tests: no package brings a small model that follows a
schema. It refuses whatever is not exactly right, and answers by rules that a test can foresee."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from tests.support.web import Answer, Asked, Web

KEY = "sk-test-0123456789"
MODEL = "tiny"
_PART = re.compile(r"<(\w+) ([0-9a-f]{24})>\n(.*?)\n</\1 \2>", re.DOTALL)
_IMAGE = "data:image/jpeg;base64,"
_ROLES = re.compile(r"system( user assistant)* user( assistant user)?")
_KNOWN = {"model", "messages", "max_tokens", "temperature", "logprobs", "response_format"}
Says = Callable[[str, dict[str, Any]], Any]  # (document, schema) -> the model's text, an object, or a whole Answer


def problem(asked: Asked) -> str | None:
    """What is wrong with a request, or None."""
    body = json.loads(asked.body)
    if (asked.method, asked.path) != ("POST", "/v1/chat/completions"):
        return f"{asked.method} {asked.path}"
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return "no key"
    if body.keys() - _KNOWN or body["model"] != MODEL:
        return f"keys {sorted(body)}"
    roles = " ".join(message["role"] for message in body["messages"])
    if not _ROLES.fullmatch(roles):
        return f"roles {roles}"
    documents = [message["content"] for message in body["messages"] if message["role"] == "user"]
    if len(documents) > 1 and documents[-1].startswith("That was no right answer"):
        documents.pop()
    if any(_shown(content) is None for content in documents):
        return "a document is not between its marks"
    form = body["response_format"]
    if form["type"] != "json_schema" or form["json_schema"]["strict"] is not True:
        return "no strict schema"
    return _open(form["json_schema"]["schema"])


def _open(schema: dict[str, Any]) -> str | None:
    if schema["type"] == "object":
        if schema["additionalProperties"] is not False or schema["required"] != list(schema["properties"]):
            return "an object is not closed"
        return next(filter(None, map(_open, schema["properties"].values())), None)
    return _open(schema["items"]) if schema["type"] == "array" else None


def _shown(content: str | list[dict[str, Any]]) -> str | None:
    """What stands between the marks of a message: texts with bars between them, `image` for an image; None where something
    stands elsewhere, too."""
    if isinstance(content, str):
        return _between_marks(content)
    urls = [one["image_url"]["url"] for one in content if one["type"] == "image_url"]
    texts = [f"\n{one['text']}\n" if one["type"] == "text" else "image" for one in content]
    whole = all(url.startswith(_IMAGE) for url in urls)
    return _between_marks("".join(texts).strip().replace("\n\n", "\n")) if whole else None


def _between_marks(text: str) -> str | None:
    parts = list(_PART.finditer(text))
    marks = {part[2] for part in parts}
    whole = "\n".join(part[0] for part in parts) == text and len(marks) == 1
    return " | ".join(part[3] for part in parts) if whole and text.count(marks.pop()) == 2 * len(parts) else None


def documents(asked: Asked) -> list[str]:
    """What a request shows: the examples, and last what it is about."""
    shown = (_shown(one["content"]) for one in json.loads(asked.body)["messages"] if one["role"] == "user")
    return [text for text in shown if text is not None]


def document(asked: Asked) -> str:
    """What a request is about."""
    return documents(asked)[-1]


def system(asked: Asked) -> str:
    """What the model was told."""
    return json.loads(asked.body)["messages"][0]["content"]


def by_rules(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Labels whose name stands in the text, else the first; capitalised words as spans of the first label; its first line;
    how many words it has."""
    return {name: _by_rule(text, wanted) for name, wanted in schema["properties"].items()}


def _by_rule(text: str, wanted: dict[str, Any]) -> Any:
    if "enum" in wanted:
        return next((label for label in wanted["enum"] if label.lower() in text.lower()), wanted["enum"][0])
    if wanted["type"] == "string":
        return text.strip().split("\n")[0]
    if wanted["type"] in ("integer", "number"):
        return min(wanted.get("maximum", 100), len(text.split()))
    items = wanted["items"]
    if "enum" in items:
        return [label for label in items["enum"] if label.lower() in text.lower()]
    first = items["properties"]["label"]["enum"][0]
    return [{"text": word, "label": first} for word in re.findall(r"\b[A-Z]\w+", text)]


def completion(text: str, share: float | None = 0.9, finish: str = "stop") -> Answer:
    """What an endpoint answers: the text, each character a token of that probability."""
    tokens = (
        [{"token": c, "bytes": list(c.encode()), "logprob": math.log(share), "top_logprobs": []} for c in text]
        if share
        else None
    )
    choice = {
        "index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text},
        "logprobs": {"content": tokens} if tokens else None,
    }  # fmt: skip
    usage = {"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100}
    said = {"id": "1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": usage}
    return Answer(body=json.dumps(said).encode(), headers={"Content-Type": "application/json"})


def failure(status: int, message: str, **headers: str) -> Answer:
    """What an endpoint answers where it refuses."""
    body = json.dumps({"error": {"message": message, "type": "error"}}).encode()
    return Answer(status, body, {"Content-Type": "application/json", **headers})


def language_model(says: Says = by_rules, share: float | None = 0.9) -> Web:
    """A server whose model says that; what is not exactly right is refused."""

    def answer(asked: Asked) -> Answer:
        wrong = problem(asked)
        if wrong:
            return failure(400, f"the strict server refuses it: {wrong}")
        said = says(document(asked), json.loads(asked.body)["response_format"]["json_schema"]["schema"])
        if isinstance(said, Answer):
            return said
        return completion(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False), share)

    return Web(answer)
