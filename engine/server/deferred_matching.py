"""Evaluates matchers that could take long in a helper process (`offload/`), while other clients are served."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import msgspec

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.offload.pool import Helpers, TooLong
from mockrec.engine.rules.matching.deferral import Check, Deferral, Question
from mockrec.engine.rules.matching.match import check_of, reads_body
from mockrec.engine.rules.matching.request import RequestView
from mockrec.formats.content import codings as content


class RequestData(msgspec.Struct, frozen=True):
    """What matchers see of a request, as plain data that can be sent to a helper."""

    head: tuple[Any, ...]
    body: bytes | None
    """As on the wire; None if no matcher needs it."""
    codings: tuple[str, ...]
    limit: int


def deferral_of(exchange: Exchange) -> Deferral:
    """Return the collector of deferred questions for a request: its presence lets matchers defer."""
    edited = exchange.edited
    if edited is not None:
        return Deferral(partial(edited.fits, client=exchange.request_body))
    return Deferral(partial(exchange.request_body.fits, exchange.target.headers.get("content-encoding", "")))


class DeferredMatcher:
    """Evaluates the deferred matchers of requests in helper processes."""

    def __init__(self, helpers: Helpers) -> None:
        self._helpers = helpers

    async def evaluate(self, exchange: Exchange, deferral: Deferral) -> None:
        """Answer the questions of `deferral` that are wanted.

        A matcher that cannot be evaluated within the limit does not match, and the exchange gets a tag.
        """
        questions, deferral.wanted = deferral.wanted, []
        with_body = any(reads_body(question.key) for question in questions)
        edits = exchange.edited.edits if exchange.edited is not None else 0
        subject = (f"{exchange.id}{'+' if with_body else ''}{edits or ''}", partial(_request_data, exchange, with_body))
        plain = [(question.key, question.name, question.expected) for question in questions]
        try:
            answers = await self._helpers.call(evaluate_all, plain, subject=subject)
        except TooLong as reason:
            answers = await self._one_by_one(exchange, questions, subject) if len(questions) > 1 else [None]
            self._report(exchange, questions, answers, reason)
        deferral.answers.update(zip(questions, map(bool, answers), strict=True))

    async def _one_by_one(self, exchange: Exchange, questions: list[Question], subject: Any) -> list[bool | None]:
        """Answer each question within a limit of its own, so that only the slow one fails."""
        answers: list[bool | None] = []
        for question in questions:
            plain = [(question.key, question.name, question.expected)]
            try:
                answers += await self._helpers.call(evaluate_all, plain, subject=subject)
            except TooLong:
                answers.append(None)
        return answers

    def _report(
        self, exchange: Exchange, questions: list[Question], answers: list[bool | None], reason: TooLong
    ) -> None:
        for question, answer in zip(questions, answers, strict=True):
            if answer is None:
                place = f"rule {question.rule}: {question.label}"
                self._helpers.report_limit(exchange.tag, question.key, place, str(reason), "does not match")


def _request_data(exchange: Exchange, with_body: bool) -> RequestData:
    view = exchange.view
    head = (
        *(view.method, view.protocol, view.url, view.hostname, view.port, view.target),
        *(view.headers, view.raw_headers, view.websocket),
    )
    codings = content.codings_of(exchange.effective_target.headers.get("content-encoding", "")) if with_body else ()
    data = exchange.effective_body if with_body else None
    return RequestData(head, data, tuple(codings), exchange.request_body.limit)


# ── in the helper ──────────────────────────────────────────────────────────────────────────────────

_views: dict[int, tuple[RequestData, RequestView]] = {}
"""The view of the last request, by the identity of its data: what one matcher has parsed is used by the next."""


def evaluate_all(request: RequestData, questions: list[tuple[str, str | None, Any]]) -> list[bool]:
    """Return for each matcher whether it matches. Runs in a helper."""
    found = _views.get(id(request))
    if found is None or found[0] is not request:
        _views.clear()
        found = _views[id(request)] = (request, _view_of(request))
    return [bool(_check(key, name, _Hashed(expected))(found[1])) for key, name, expected in questions]


def _view_of(request: RequestData) -> RequestView:
    body = request.body
    read = None if body is None else partial(content.decoded_whole, body, request.codings, request.limit)
    method, protocol, url, hostname, port, target, headers, raw_headers, websocket = request.head
    view = RequestView(method, protocol, url, hostname, port, target, headers, raw_headers, websocket, read)
    view.body_complete = True
    return view


class _Hashed:
    """Any value as a key of a cache: equal to values of the same type and representation."""

    __slots__ = ("text", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.text = f"{type(value)}{value!r}"

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and other.text == self.text


@lru_cache(maxsize=512)
def _check(key: str, name: str | None, expected: _Hashed) -> Check:
    return check_of(key, name, expected.value)
