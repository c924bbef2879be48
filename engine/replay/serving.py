"""The step `replay`: answers a request as a recorded session has answered it. Asks no server, whatever happens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mockrec.engine import clock
from mockrec.engine.exchange.answer import Answer
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.replay.cassette import Cassette, Miss, Recording
from mockrec.engine.replay.draft import pairs_of, raw_headers
from mockrec.engine.replay.latency import Latency
from mockrec.engine.replay.miss import miss_text
from mockrec.engine.replay.recorded import is_bare_redirect
from mockrec.engine.replay.sending import REPLAY_OF
from mockrec.engine.replay.socket_serving import converse
from mockrec.engine.replay.target import without_framing
from mockrec.engine.replay.ticks import ticks
from mockrec.engine.rules.words import printable, shorten
from mockrec.engine.steps import faults
from mockrec.engine.steps.failures import TEXT_TYPE
from mockrec.engine.steps.plan import Act
from mockrec.engine.steps.timing import sleep_until
from mockrec.engine.upstream.headers import with_chunks, with_length
from mockrec.engine.wire import content
from mockrec.engine.wire.h1_heads import field_lines
from mockrec.formats.body import Body
from mockrec.formats.errors import RecordError, SessionError
from mockrec.formats.lenient import object_of, status_of

MISSED = "replay-miss"
"""The tag of a request that no recording answers."""
_BODILESS = (204, 304)
_CACHED_BODY = 64 * 1024
_CACHED = 512
_REASON = re.compile(r"[\t \x21-\x7e\x80-\xff]*")
_RULE_CLOSE = "E_RULE_CLOSE"


class Unservable(Exception):
    """A recording holds too little to be given again. The text is a sentence."""


def replay_act(cassette: Cassette, latency: Latency, limits: SocketSettings) -> Act:
    """Answers from the cassette; `latency` says how long that takes."""
    answers: dict[tuple[str, bool], Answer] = {}

    async def act(exchange: Exchange) -> None:
        if cassette.match.needs_body:
            await exchange.wait_for_body()
        asked_at = clock.now()
        address = exchange.asked
        proxied = address.is_absolute or address.origin.tunnel is not None
        host = address.host.lower() if proxied or "host" in cassette.match.by else None
        found = cassette.find(exchange.view, host)
        if isinstance(found, Miss):
            exchange.tag(MISSED)
            await _refuse(exchange, miss_text(exchange.view, cassette, found))
            return
        exchange.tag(f"{REPLAY_OF}{found.id}")
        assert found.answer is not None
        record = cassette.read(found.answer)
        try:
            if record["type"] == "abort":
                await _break_off(exchange, record, cassette, found, latency, asked_at)
            elif record["type"] == "websocket-accepted":
                await sleep_until(asked_at + latency.of(record)[0])
                await converse(exchange, cassette, found, record, latency, limits)
            else:
                await _answer(exchange, cassette, found, record, latency, asked_at, answers)
        except Unservable as problem:
            cassette.mismatch(f"{found.name}: {problem}")
            exchange.tag(MISSED)
            await _refuse(exchange, f"The recording {found.id} cannot be given again: {problem}.\n")

    return act


async def _refuse(exchange: Exchange, text: str) -> None:
    await exchange.reply(Answer(503, (TEXT_TYPE,), text.encode("utf-8", "replace"), is_own=True))


async def _answer(
    exchange: Exchange,
    cassette: Cassette,
    found: Recording,
    record: Mapping[str, Any],
    latency: Latency,
    asked_at: float,
    answers: dict[tuple[str, bool], Answer],
) -> None:
    for interim in map(cassette.read, found.said if exchange.head.version != "1.0" else ()):
        status = interim.get("statusCode")
        if interim["type"] == "response-information" and type(status) is int and 101 < status < 200:
            fields = [(name, value) for name, value in raw_headers(interim) if not name.startswith(":")]
            _checked(fields)
            await exchange.inform(status, fields)
    key = found.id, exchange.channel.bodiless
    answer = answers.get(key)
    if answer is None:
        answer = answer_of(record, cassette, bodiless=exchange.channel.bodiless, version=exchange.head.version)
        if len(answer.body) <= _CACHED_BODY and len(answers) < _CACHED and not answer.trailers:
            answers[key] = answer
    head_after, end_after = latency.of(record)
    await sleep_until(asked_at + head_after)
    if not latency.spreads(head_after, end_after) or not answer.body:
        await exchange.reply(answer)
        return
    await exchange.begin(answer, len(answer.body))
    for due, data in ticks(answer.body, answer.headers, record, found.pieces, latency):
        await sleep_until(asked_at + due)
        await exchange.send(data)
    await sleep_until(asked_at + end_after)
    await exchange.finish()


def answer_of(record: Mapping[str, Any], cassette: Cassette, *, bodiless: bool, version: str) -> Answer:
    """The recorded answer, framed anew. Raises Unservable."""
    status = record.get("statusCode")
    if type(status) is not int or not 200 <= status <= 999:
        raise Unservable("it has no status that can be answered with")
    fields = without_framing(raw_headers(record))
    trailers = tuple((name, value) for name, value in pairs_of(record.get("rawTrailers")))
    body = b""
    if bodiless or status in _BODILESS:
        told = [[name, value] for name, value in raw_headers(record) if name.lower() == "content-length"]
        fields, trailers = [*fields, *told[:1]], ()
    else:
        body = body_of(record.get("body"), cassette, partly=is_bare_redirect(record))
        fields = with_chunks(fields) if trailers and version == "1.1" else with_length(fields, len(body))
    _checked([*fields, *trailers])
    headers = tuple([(name, value) for name, value in fields])
    return Answer(status, headers, body, reason=_reason(record), trailers=trailers, relayed=True)


def _checked(fields: Sequence[Sequence[str]]) -> None:
    """Raises Unservable for fields that no head can hold."""
    try:
        field_lines(fields)
    except ValueError as error:
        raise Unservable(printable(shorten(str(error)))) from None


def _reason(record: Mapping[str, Any]) -> str | None:
    """The recorded reason phrase, where it is one (RFC 9112, 4)."""
    reason = record.get("statusMessage")
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else None


def cut(body: Body) -> str:
    """Why a body that is not whole cannot be given again."""
    if not body.bytes:
        return "its body is not in the recording"
    return "its body was cut when it was recorded (record.maxBodySize)"


def body_of(told: Any, cassette: Cassette, *, partly: bool = False) -> bytes:
    """A body as it was on the wire. Raises Unservable; `partly`: what there is of it is enough."""
    if not isinstance(told, Mapping):
        return b""
    try:
        body = Body.from_record(told, cassette.folder)
        if body.truncated and not partly:
            raise Unservable(cut(body))
        if body.raw_base64 is not None and not body.redacted:
            return body.raw or b""
        data = body.bytes
        codings = content.codings_of(body.content_encoding) if body.content_encoding and data else []
        return content.encode(data, codings) if codings else data
    except (RecordError, SessionError, content.UnencodableError) as error:
        raise Unservable(f"its body cannot be made: {error}") from None


async def _break_off(
    exchange: Exchange,
    record: Mapping[str, Any],
    cassette: Cassette,
    found: Recording,
    latency: Latency,
    asked_at: float,
) -> None:
    """An exchange that was broken off breaks off at the same place; a stream of events stays open there."""
    head_after, end_after = latency.of(record)
    error = object_of(record.get("error"))
    response = object_of(record.get("response"))
    status = status_of(response)
    if status is None or not 200 <= status <= 999:
        await sleep_until(asked_at + end_after)
        await (faults.close if error.get("code") == _RULE_CLOSE else faults.reset)(exchange)
        return
    told = {name.lower(): value for name, value in raw_headers(response)}
    length = told.get("content-length", "")
    headers = tuple([(name, value) for name, value in without_framing(raw_headers(response))])
    size = int(length) if length.isdecimal() else None
    if size is not None:
        headers = (*headers, ("Content-Length", length))
    _checked(headers)
    answer = Answer(status, headers, reason=_reason(response), relayed=True)
    body = body_of(response.get("body"), cassette, partly=True)
    await sleep_until(asked_at + head_after)
    await exchange.begin(answer, size)
    for due, data in ticks(body, headers, record, found.pieces, latency, is_open=not error):
        await sleep_until(asked_at + due)
        await exchange.send(data)
    await sleep_until(asked_at + end_after)
    if not error:
        await faults.never_answer(exchange)  # events: the client leaves when it has heard enough, as then
    exchange.abort({"name": "AbortError", "code": "E_REPLAY_CUT", "message": "The recorded answer ends here"})
    exchange.channel.reset()
