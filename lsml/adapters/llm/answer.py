"""A language model's answer -> values: read as JSON, checked against the schema, scored by its tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lsml.adapters.base import Example, Question
from lsml.adapters.llm.grounding import ground
from lsml.adapters.parts.asking import Dropped
from lsml.values import Choice, Number, Span, Text, Value, kind_of, label_of

_DECODER = json.JSONDecoder()
_SHOWN = 200  # the most characters of an error


class Reply(NamedTuple):
    """The endpoint's response: the model's text; its tokens as UTF-8, with their log-probabilities, if the endpoint sends
    them; `complete` is False for a truncated text.
    """

    text: str
    tokens: Sequence[tuple[bytes, float]] = ()
    complete: bool = True


class Read(NamedTuple):
    """The values of one element by question, and the number of spans that were not found in its text."""

    values: dict[str, list[Value]]
    ungrounded: int = 0


def read(reply: Reply, schema: Mapping[str, object]) -> dict[str, Any]:
    """Return the answer as JSON that fits the schema. Raises Dropped."""
    if not reply.complete:
        raise Dropped("half an answer", "it was truncated; raise `max_tokens`")
    begin, end = _object(reply.text)
    if begin < 0:
        raise Dropped("no answer" if not reply.text.strip() else "not JSON", "it is not a JSON object")
    try:
        answer = json.loads(reply.text[begin:end], parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Dropped("not JSON", f"it is not JSON ({_short(str(error))})") from error
    import jsonschema

    problem = next(jsonschema.Draft202012Validator(schema).iter_errors(answer), None)
    if problem is not None:
        where = f"{problem.json_path}: " if problem.path else ""
        raise Dropped("wrong answer", f"it does not fit the schema: {_short(where + problem.message)}")
    assert isinstance(answer, dict)
    return answer


def values_of(answer: Mapping[str, Any], reply: Reply, questions: Sequence[Question], text: str, least: float) -> Read:
    """Return the values in an answer, by question. `text`: that of the element, for spans. `least`: the least share of a
    span's characters that must match it.
    """
    value_spans = _value_spans(reply.text) if reply.tokens else {}
    sure = _Sureness(reply)
    found: dict[str, list[Value]] = {}
    ungrounded = 0
    for question in questions:
        values = found.setdefault(question.name, [])
        given, value_span = answer[question.name], value_spans.get(question.name)
        if question.kind == "choice":
            listed = given if question.multiple else [given]
            spots = _each(value_span, len(listed)) if question.multiple else [value_span and value_span.span]
            for label, spot in dict(zip(listed, spots, strict=True)).items():
                values.append(Choice(label, sure.of(spot, trim=1)))
        elif question.kind == "number":
            values.append(Number(float(given), sure.of(value_span and value_span.span)))
        elif question.kind == "text":
            if given.strip():
                values.append(Text(given.strip(), sure.mean(value_span and value_span.span)))
        else:
            quotes = [(one["text"], one["label"]) for one in given]
            spots = _each(value_span, len(given))
            for (_, label), spot, place in zip(quotes, spots, ground(text, quotes, least), strict=True):
                if place is None:
                    ungrounded += 1
                else:
                    values.append(Span(*place, label, sure.mean(spot)))
    return Read(found, ungrounded)


def answer_of(example: Example, questions: Sequence[Question]) -> dict[str, object] | None:
    """Return the answer that a model should give for an example, as JSON; None where a person left a question open."""
    answer: dict[str, object] = {}
    for question in questions:
        if example.by_control and question.name not in example.by_control:
            return None
        given = example.by_control.get(question.name, example.values)
        kind = [value for value in given if kind_of(type(value)) == question.kind]
        labels = [label for value in kind if (label := label_of(value)) in question.labels]
        if question.kind == "span":
            assert isinstance(example.data, str), "spans are of texts"
            spans = sorted((one for one in kind if isinstance(one, Span)), key=lambda one: (one.start, one.end))
            answer[question.name] = [
                {"text": example.data[one.start : one.end], "label": one.label}
                for one in spans
                if one.label in question.labels
            ]
        elif question.kind == "choice" and question.multiple:
            answer[question.name] = labels
        elif question.kind == "text":
            answer[question.name] = "\n".join(value.text for value in kind if isinstance(value, Text))
        elif question.kind == "choice" and labels:
            answer[question.name] = labels[0]
        elif question.kind == "number" and kind and isinstance(kind[0], Number):
            answer[question.name] = round(kind[0].value) if question.whole else kind[0].value
        else:
            return None
    return answer


class _ValueSpan(NamedTuple):
    span: tuple[int, int]  # where a value is in the model's text, in characters
    items: tuple[tuple[int, int], ...] = ()  # the same of its elements, where it is a list


class _Sureness:
    """The probability of parts of a model's text, from those of its tokens; None where the endpoint sent none."""

    def __init__(self, reply: Reply) -> None:
        joined = b"".join(token for token, _ in reply.tokens)
        self._tokens = reply.tokens if joined == reply.text.encode("utf-8", "surrogatepass") else ()
        self._text = reply.text

    def of(self, span: tuple[int, int] | None, trim: int = 0) -> float | None:
        """Return the probability of a whole part. `trim`: characters at both ends that do not count, such as quotation
        marks.
        """
        found = self._logs(span, trim)
        return None if not found else _share(math.exp(sum(found)))

    def mean(self, span: tuple[int, int] | None) -> float | None:
        """Return the geometric mean of its tokens' probabilities, which does not fall with the length."""
        found = self._logs(span, 0)
        return None if not found else _share(math.exp(sum(found) / len(found)))

    def _logs(self, span: tuple[int, int] | None, trim: int) -> list[float]:
        if span is None or not self._tokens:
            return []
        begin, end = (len(self._text[:at].encode("utf-8", "surrogatepass")) for at in (span[0] + trim, span[1] - trim))
        found, at = [], 0
        for token, log in self._tokens:
            if at < end and at + len(token) > begin:
                found.append(log)
            at += len(token)
        return found


def _share(probability: float) -> float | None:
    return min(1.0, max(0.0, probability)) if math.isfinite(probability) else None


def _value_spans(text: str) -> dict[str, _ValueSpan]:
    """Return where the values are of the JSON object in a text, by key. The text must hold a valid object."""
    found = {}
    for _, key, span in _members(text, _object(text)[0], "{"):
        items = tuple(item for _, _, item in _members(text, span[0], "[")) if text[span[0]] == "[" else ()
        found[key] = _ValueSpan(span, items)
    return found


def _members(text: str, at: int, opening: str) -> Iterator[tuple[int, str, tuple[int, int]]]:
    """Yield (number, key, span) of each member of the object or list that opens at `at`; a list has no keys."""
    at, number = _past(text, at + 1), 0
    while text[at] not in "}]":
        key = ""
        if opening == "{":
            key, at = _DECODER.raw_decode(text, at)
            at = _past(text, _past(text, at) + 1)  # the colon
        _, end = _DECODER.raw_decode(text, at)
        yield number, key, (at, end)
        number += 1
        at = _past(text, end)
        if text[at] == ",":
            at = _past(text, at + 1)


def _past(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _each(value_span: _ValueSpan | None, length: int) -> list[tuple[int, int] | None]:
    if value_span is None or len(value_span.items) != length:
        return [None] * length
    return list(value_span.items)


def _object(text: str) -> tuple[int, int]:
    """Return start and end of the JSON object, which models put into fences and sentences, and after thoughts, in which may
    be braces, too; -1 where there is none.
    """
    thought = 0 if text.lstrip().startswith("{") else max(0, text.find("</think>"))
    return text.find("{", thought), text.rfind("}") + 1


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
