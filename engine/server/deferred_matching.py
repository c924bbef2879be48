"""Matchers that could take long, answered by a helper process (`offload/`) while everybody else is served."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.offload.pool import Helpers, TooLong
from mockrec.engine.rules.matching.body import is_body_key
from mockrec.engine.rules.matching.deferral import Check, Deferral, Question
from mockrec.engine.rules.matching.match import check_of
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.wire.content import codings as content


@dataclass(frozen=True, slots=True)
class Asked:
    """What matchers see of a request, as plain data. `body` is as on the wire; None where no matcher needs it."""

    head: tuple[Any, ...]
    body: bytes | None
    codings: tuple[str, ...]
    limit: int


def deferral_of(exchange: Exchange) -> Deferral:
    """What keeps the questions about a request that are put off."""
    edited = exchange.edited
    if edited is not None:
        return Deferral(partial(edited.fits, client=exchange.request_body))
    return Deferral(partial(exchange.request_body.fits, exchange.target.headers.get("content-encoding", "")))


class Judge:
    """Gets the questions of requests answered."""

    def __init__(self, helpers: Helpers) -> None:
        self._helpers = helpers

    async def answer(self, exchange: Exchange, deferral: Deferral) -> None:
        """Answer what is wanted. What cannot be answered within the limit is False, and the exchange gets a tag."""
        questions, deferral.wanted = deferral.wanted, []
        with_body = any(is_body_key(question.key) for question in questions)
        edits = exchange.edited.edits if exchange.edited is not None else 0
        subject = (f"{exchange.id}{'+' if with_body else ''}{edits or ''}", partial(_asked, exchange, with_body))
        plain = [(question.key, question.name, question.expected) for question in questions]
        try:
            answers = await self._helpers.call(answers_of, plain, subject=subject)
        except TooLong as why:
            answers = await self._one_by_one(exchange, questions, subject) if len(questions) > 1 else [None]
            self._tell(exchange, questions, answers, why)
        deferral.answers.update(zip(questions, map(bool, answers), strict=True))

    async def _one_by_one(self, exchange: Exchange, questions: list[Question], subject: Any) -> list[bool | None]:
        """The others need not suffer from one that takes long: each gets its own time."""
        answers: list[bool | None] = []
        for question in questions:
            plain = [(question.key, question.name, question.expected)]
            try:
                answers += await self._helpers.call(answers_of, plain, subject=subject)
            except TooLong:
                answers.append(None)
        return answers

    def _tell(self, exchange: Exchange, questions: list[Question], answers: list[bool | None], why: TooLong) -> None:
        for question, answer in zip(questions, answers, strict=True):
            if answer is None:
                place = f"rule {question.rule}: {question.label}"
                self._helpers.tell(exchange.tag, question.key, place, str(why), "does not match")


def _asked(exchange: Exchange, with_body: bool) -> Asked:
    view = exchange.view
    head = (
        *(view.method, view.protocol, view.url, view.hostname, view.port, view.target),
        *(view.headers, view.raw_headers, view.websocket),
    )
    codings = content.codings_of(exchange.effective_target.headers.get("content-encoding", "")) if with_body else ()
    data = exchange.effective_body if with_body else None
    return Asked(head, data, tuple(codings), exchange.request_body.limit)


# ── in the helper ──────────────────────────────────────────────────────────────────────────────────

_views: dict[int, tuple[Asked, RequestView]] = {}
"""The view of the request that was asked about last: what one question has parsed serves the next."""


def answers_of(asked: Asked, questions: list[tuple[str, str | None, Any]]) -> list[bool]:
    """Whether the matchers match. Runs in a helper."""
    found = _views.get(id(asked))
    if found is None or found[0] is not asked:
        _views.clear()
        found = _views[id(asked)] = (asked, _view_of(asked))
    return [bool(_check(key, name, _Hashed(expected))(found[1])) for key, name, expected in questions]


def _view_of(asked: Asked) -> RequestView:
    body = asked.body
    read = None if body is None else partial(content.decoded_whole, body, asked.codings, asked.limit)
    method, protocol, url, hostname, port, target, headers, raw_headers, websocket = asked.head
    view = RequestView(method, protocol, url, hostname, port, target, headers, raw_headers, websocket, read)
    view.body_complete = True
    return view


class _Hashed:
    """Any value, equal to what is written alike."""

    __slots__ = ("value", "written")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.written = f"{type(value)}{value!r}"

    def __hash__(self) -> int:
        return hash(self.written)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and other.written == self.written


@lru_cache(maxsize=512)
def _check(key: str, name: str | None, expected: _Hashed) -> Check:
    return check_of(key, name, expected.value)
