"""The step `replay`: serve the recorded response to a request. It never sends a request to a server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.replay.send.recorded_exchange import REPLAY_OF
from mockrec.engine.replay.send.target import without_framing
from mockrec.engine.replay.serve.cassette import Cassette, Miss, RecordedExchange
from mockrec.engine.replay.serve.chunk_times import ticks
from mockrec.engine.replay.serve.grpc import find_conversation, serve_conversation
from mockrec.engine.replay.serve.grpc_tape import is_waiting_call
from mockrec.engine.replay.serve.latency import Latency
from mockrec.engine.replay.serve.loader import REPLACES
from mockrec.engine.replay.serve.miss import miss_text, remedy_of
from mockrec.engine.replay.serve.partial_content import partial_response
from mockrec.engine.replay.serve.tags import EXPIRED, MISSED
from mockrec.engine.replay.serve.variants import request_fields
from mockrec.engine.replay.serve.websocket import serve_websocket
from mockrec.engine.replay.session.editable import pairs_of, raw_headers
from mockrec.engine.replay.session.recorded import is_bare_redirect
from mockrec.engine.rules.wording import printable, shorten
from mockrec.engine.steps import faults
from mockrec.engine.steps.failures import TEXT_TYPE
from mockrec.engine.steps.grpc import grpc_failure
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.timing import sleep_until
from mockrec.engine.upstream.headers import with_chunks, with_length
from mockrec.engine.wire.http1.written_heads import field_lines
from mockrec.engine.wire.syntax import BODILESS_STATUSES
from mockrec.formats.content import codings as content
from mockrec.formats.operations.grpc.media import GrpcKind, grpc_kind
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import RecordError, SessionError
from mockrec.formats.schema.lenient import object_of, status_of

STALE = {"expired": EXPIRED, "refresh": "replay-refresh"}
"""The tags of requests whose recordings are too old, or to be made again."""
GUESSED = "replay-guess"
"""The tag, and the type of the rule-event, of a request for which another recording might have been the right one."""
IGNORED = "replay-ignored"
"""The type of the rule-event for differing values that were ignored because they are volatile."""
NO_SERVER = (
    "No recording answers this request, and it cannot be passed on: it was made to this recorder itself. Send it"
    " through the recorder as a proxy, or name its server with --upstream URL.\n"
)
_CACHED_BODY = 64 * 1024
_CACHED = 512
_REASON = re.compile(r"[\t \x21-\x7e\x80-\xff]*")
_RULE_CLOSE = "E_RULE_CLOSE"


class Unservable(Exception):
    """The recording does not hold enough to serve it. The text is a clause: `its body cannot be read`."""


class NoBody(Unservable):
    """The response had a body, but the recording holds nothing of it."""


class NoCoding(Unservable):
    """The body cannot be encoded with its recorded content codings."""

    def __init__(self, text: str, decoded: bytes) -> None:
        super().__init__(text)
        self.decoded = decoded


def replay_handler(
    cassette: Cassette,
    latency: Latency,
    limits: SocketSettings,
    is_local: Callable[[str, int], bool] = lambda host, port: False,
    pass_on: StepHandler | None = None,
) -> StepHandler:
    """Return the handler that serves recordings of the cassette with the delays of `latency`. `is_local`: whether a
    host and a port are this recorder's. `pass_on` handles requests without a recording; None: they get a 503."""
    responses: dict[tuple[int, bool], PreparedResponse] = {}

    async def act(exchange: Exchange) -> None:
        target = exchange.effective_target
        proxied = target.is_absolute or target.context.tunnel is not None
        # Clients that use a proxy for loopback addresses, too, send it what they mean for the recorder itself.
        to_another = proxied and not is_local(target.hostname.strip("[]"), target.port)
        host = target.host.lower() if to_another or "host" in cassette.match.by else None
        found: RecordedExchange | Miss | None = None
        if exchange.grpc is not None and cassette.match.needs_body:
            found = await find_conversation(exchange, cassette, host)
        if found is None:
            if cassette.match.needs_body:
                await exchange.wait_for_body(ahead=True)
            received_at = clock.now()
            found = cassette.find(exchange.view, host)
        else:
            received_at = clock.now()
        if isinstance(found, Miss):
            await _miss(exchange, cassette, found, pass_on)
            return
        _log_match(exchange, cassette, found)
        assert found.answer is not None
        record = cassette.read(found.answer)
        try:
            if found.course is not None:
                await _serve_conversation(exchange, record, cassette, found, latency)
            elif record["type"] == "abort":
                await _serve_abort(exchange, record, cassette, found, latency, received_at)
            elif record["type"] == "websocket-accepted":
                await sleep_until(received_at + latency.of(record)[0])
                await serve_websocket(exchange, cassette, found, record, latency, limits)
            else:
                await _serve_response(exchange, cassette, found, record, latency, received_at, responses)
        except Unservable as problem:
            cassette.served -= 1
            cassette.mismatch(f"{found.name}: {problem}")
            exchange.tag(MISSED)
            if pass_on is None:
                await _refuse(exchange, f"The recording {found.id} cannot be given again: {problem}.\n")
                return
            exchange.tag(f"{REPLACES}{found.id}")
            cassette.passed_on.add(exchange.id)
            await pass_on(exchange)

    return act


async def _miss(exchange: Exchange, cassette: Cassette, miss: Miss, pass_on: StepHandler | None) -> None:
    """Pass on a request without a recording, or answer it with a 503."""
    exchange.tag(STALE.get(miss.stale, MISSED))
    if pass_on is None:
        if remedy := remedy_of(cassette, miss):
            cassette.suggest(remedy)
        await _refuse(exchange, miss_text(exchange.view, cassette, miss))
        return
    if miss.stale and miss.is_first and miss.nearest is not None:
        exchange.tag(f"{REPLACES}{miss.nearest.id}")
    cassette.passed_on.add(exchange.id)
    await pass_on(exchange)


async def no_server(exchange: Exchange) -> None:
    """Answer a request without a recording that was made to the recorder itself, so that no server can be asked."""
    await _refuse(exchange, NO_SERVER)


def _log_match(exchange: Exchange, cassette: Cassette, found: RecordedExchange) -> None:
    """Log which recording is served, and where it differs from the request."""
    exchange.tag(f"{REPLAY_OF}{found.id}")
    last = cassette.last
    if last.guess:
        exchange.tag(GUESSED)
        exchange.log.rule_event(exchange, GUESSED, {"recording": found.id, "message": last.guess})
    if last.ignored:
        exchange.log.rule_event(exchange, IGNORED, {"recording": found.id, "places": [*last.ignored]})


async def _refuse(exchange: Exchange, text: str) -> None:
    response = grpc_failure(exchange.view, text)
    if response is None:
        response = PreparedResponse(503, (TEXT_TYPE,), text.encode("utf-8", "replace"), is_own=True)
    await exchange.reply(response)


async def _serve_response(
    exchange: Exchange,
    cassette: Cassette,
    found: RecordedExchange,
    record: Mapping[str, Any],
    latency: Latency,
    received_at: float,
    responses: dict[tuple[int, bool], PreparedResponse],
) -> None:
    for interim in map(cassette.read, found.said if exchange.head.version != "1.0" else ()):
        status = interim.get("statusCode")
        if interim["type"] == "response-information" and type(status) is int and 101 < status < 200:
            fields = [(name, value) for name, value in raw_headers(interim) if not name.startswith(":")]
            _check_fields(fields)
            await exchange.send_interim(status, fields)
    key = found.number, exchange.channel.bodiless
    response = responses.get(key)
    if response is None:
        response = answer_of(record, cassette, found, bodiless=key[1], version=exchange.head.version)
        if len(response.body) <= _CACHED_BODY and len(responses) < _CACHED and not response.trailers:
            responses[key] = response
    is_part = False
    if exchange.view.method == "GET" and (response.status == 206 or "range" in exchange.view.headers):
        part = partial_response(response, request_fields(exchange.view, cassette.match), found.variant)
        if part is not None:
            response, is_part = part, True
    head_after, end_after = latency.of(record)
    await sleep_until(received_at + head_after)
    if not latency.spreads(head_after, end_after) or not response.body:
        await exchange.reply(response)
        return
    await exchange.begin(response, len(response.body))
    pieces = () if is_part else cassette.pieces(found)
    for due, data in ticks(response.body, response.headers, record, pieces, latency):
        await sleep_until(received_at + due)
        await exchange.send(data)
    await sleep_until(received_at + end_after)
    await exchange.finish()


def answer_of(
    record: Mapping[str, Any], cassette: Cassette, found: RecordedExchange, *, bodiless: bool, version: str
) -> PreparedResponse:
    """Build the recorded response with new framing. Raises Unservable."""
    status = record.get("statusCode")
    if type(status) is not int or not 200 <= status <= 999:
        raise Unservable("it has no status that can be answered with")
    fields = without_framing(raw_headers(record))
    trailers = tuple((name, value) for name, value in pairs_of(record.get("rawTrailers")))
    body = b""
    if bodiless or status in BODILESS_STATUSES:
        lengths = [[name, value] for name, value in raw_headers(record) if name.lower() == "content-length"]
        fields, trailers = [*fields, *lengths[:1]], ()
    else:
        body, lost = _body_and_loss(record, cassette)
        if lost:
            fields = [pair for pair in fields if pair[0].lower() != "content-encoding"]
            cassette.change(f"{found.name}: {lost}")
        if not _is_call_without_length(record, version):
            fields = with_chunks(fields) if trailers and version == "1.1" else with_length(fields, len(body))
    _check_fields([*fields, *trailers])
    headers = tuple([(name, value) for name, value in fields])
    return PreparedResponse(status, headers, body, reason=_reason(record), trailers=trailers, relayed=True)


def _is_call_without_length(record: Mapping[str, Any], version: str) -> bool:
    """Return whether a response over HTTP/2 is gRPC's and was recorded without a length: clients would return one as
    metadata that the server has not sent."""
    fields = {name.lower(): value for name, value in raw_headers(record)}
    return (
        version == "2.0"
        and "content-length" not in fields
        and grpc_kind(str(fields.get("content-type", ""))) is GrpcKind.GRPC
    )


def _body_and_loss(record: Mapping[str, Any], cassette: Cassette) -> tuple[bytes, str]:
    """Return the body of a `response` as it was on the wire, and an empty text.

    If the content coding cannot be applied, or the body of a redirect is not in the recording, return the closest
    possible body and a text that says what is missing. Raises Unservable.
    """
    try:
        return body_of(record.get("body"), cassette), ""
    except NoCoding as problem:
        return problem.decoded, f"sent without its content coding, because {problem}"
    except NoBody as problem:
        if not is_bare_redirect(record):
            raise
        return b"", f"sent without a body, because {problem}"


def _check_fields(fields: Sequence[Sequence[str]]) -> None:
    """Raise Unservable if a field cannot be written into a header section."""
    try:
        field_lines(fields)
    except ValueError as error:
        raise Unservable(printable(shorten(str(error)))) from None


def _reason(record: Mapping[str, Any]) -> str | None:
    """Return the recorded reason phrase if it is valid (RFC 9112, 4)."""
    reason = record.get("statusMessage")
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else None


def cut(body: Body) -> str:
    """Explain why a truncated body cannot be served."""
    if not body.bytes:
        return "its body is not in the recording"
    return "its body was cut when it was recorded (record.maxBodySize)"


def body_of(recorded: Any, cassette: Cassette, *, in_part: bool = False) -> bytes:
    """Return a body as it was on the wire. `in_part`: accept a truncated one. Raises Unservable."""
    if not isinstance(recorded, Mapping):
        return b""
    try:
        body = Body.from_record(recorded, cassette.folder)
        if body.truncated and not in_part:
            raise (Unservable if body.bytes else NoBody)(cut(body))
        if body.raw_base64 is not None and not body.redacted:
            return body.raw or b""
        data = body.bytes
    except (RecordError, SessionError) as error:
        raise Unservable(f"its body cannot be made: {error}") from None
    codings = content.codings_of(body.content_encoding) if body.content_encoding and data else []
    try:
        return content.encode(data, codings) if codings else data
    except content.UnencodableError as error:
        raise NoCoding(f"its body cannot be made: {error}", data) from None


async def _serve_conversation(
    exchange: Exchange, record: Mapping[str, Any], cassette: Cassette, found: RecordedExchange, latency: Latency
) -> None:
    """Serve a gRPC conversation, or the part of one that its client has cancelled."""
    is_open = record["type"] == "abort"
    if is_open:
        record = {"statusCode": 200, "rawHeaders": [], **object_of(record.get("response"))}
        record = {**record, "body": {**object_of(record.get("body"))}}
        record["body"].pop("incomplete", None)
    version = exchange.head.version
    response = answer_of(record, cassette, found, bodiless=exchange.channel.bodiless, version=version)
    fields = tuple(pair for pair in response.headers if pair[0].lower() != "content-length")
    response.headers = fields
    await serve_conversation(exchange, cassette, found, response, latency, is_open=is_open)


async def _serve_abort(
    exchange: Exchange,
    record: Mapping[str, Any],
    cassette: Cassette,
    found: RecordedExchange,
    latency: Latency,
    received_at: float,
) -> None:
    """Serve an aborted exchange: abort after the same bytes, or leave an event stream open after its last event."""
    head_after, end_after = latency.of(record)
    error = object_of(record.get("error"))
    recorded = object_of(record.get("response"))
    status = status_of(recorded)
    if is_waiting_call(record):
        await faults.never_respond(exchange)  # the client's deadline ends it
    if status is None or not 200 <= status <= 999:
        await sleep_until(received_at + end_after)
        await (faults.close if error.get("code") == _RULE_CLOSE else faults.reset)(exchange)
        return
    length = {name.lower(): value for name, value in raw_headers(recorded)}.get("content-length", "")
    headers = tuple([(name, value) for name, value in without_framing(raw_headers(recorded))])
    size = int(length) if length.isdecimal() else None
    if size is not None:
        headers = (*headers, ("Content-Length", length))
    _check_fields(headers)
    response = PreparedResponse(status, headers, reason=_reason(recorded), relayed=True)
    body = body_of(recorded.get("body"), cassette, in_part=True)
    await sleep_until(received_at + head_after)
    await exchange.begin(response, size)
    for due, data in ticks(body, headers, record, cassette.pieces(found), latency, is_open=not error):
        await sleep_until(received_at + due)
        await exchange.send(data)
    await sleep_until(received_at + end_after)
    if not error:
        await faults.never_respond(exchange)  # an event stream stays open until the client disconnects
    exchange.abort({"name": "AbortError", "code": "E_REPLAY_CUT", "message": "The recorded answer ends here"})
    exchange.channel.reset()
