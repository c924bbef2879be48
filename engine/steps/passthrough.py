"""The steps `passthrough` and `forward`: the request goes on to a server, its response comes back to the client.

Bodies that no change touches are passed on piece by piece and never held. What is said to the server and by it is
told in rule-events; what the client gets is told by the exchange, as with every step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import anyio

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import REASONS, PreparedResponse
from mockrec.engine.offload.pool import TooLong
from mockrec.engine.rules.model import BodyChange, Forward, Passthrough
from mockrec.engine.steps.failures import TEXT_TYPE, reply_failure
from mockrec.engine.steps.faults import never_answer
from mockrec.engine.steps.message_change import body_after, too_long, with_type
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.timing import delay_act
from mockrec.engine.steps.transform import TransformError, changed_headers
from mockrec.engine.steps.upstream_request import build_request
from mockrec.engine.steps.websocket_passthrough import WebSocketPassthrough
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.errors import LOOP, RESET, TIMED_OUT, UpstreamError
from mockrec.engine.upstream.headers import end_to_end, end_to_end_trailers, sendable, with_chunks, with_length, without
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.retry import ATTEMPTS, PIECE, may_repeat, send_whole, while_sending
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.http1.odd_fields import odd_tags
from mockrec.engine.wire.http1.request_head import target_text
from mockrec.engine.wire.parts import Data, End, Interim, Part, RawHeaders, ResponseHead, ResponsePart
from mockrec.engine.wire.syntax import BODILESS_STATUSES

_BAD_GATEWAY = "Error communicating with upstream server"
_FRAMING = ("content-length", "transfer-encoding")


def passthrough_act(
    step: Passthrough,
    options: UpstreamOptions,
    upstream_client: UpstreamClient,
    dice: random.Random,
    *,
    name: str | None = None,
    on_loop: StepHandler | None = None,
) -> StepHandler:
    """Passes the request on. `name` stands for the rule in the log where no rule says this; `on_loop` answers where
    the server would be this recorder itself."""
    delay = delay_act(step.delay, dice) if step.delay is not None else None

    async def act(exchange: Exchange) -> None:
        try:
            request = await build_request(exchange, step, options, upstream_client.before, upstream_client.helpers)
            peer = exchange.client
            if upstream_client.dialer.is_ours((peer.ip, peer.port), (peer.local_ip, peer.local_port)):
                raise UpstreamError(LOOP, "that is this recorder itself")
            if exchange.websocket:
                if delay is not None:
                    await delay(exchange)
                await WebSocketPassthrough(exchange, request, upstream_client, name, upstream_client.limits).run()
            else:
                await HttpPassthrough(exchange, step, request, upstream_client, delay, name).run()
        except TransformError as error:
            await reply_failure(exchange, str(error))
        except TooLong as error:
            await reply_failure(exchange, f"a change of the rule {error} (server.limits.matchTime)")
        except UpstreamError as error:
            if error.code != LOOP:
                await _failed(exchange, request, error, simulate=options.settings.simulate_connection_errors)
            elif on_loop is not None:
                await on_loop(exchange)
            else:
                await reply_failure(
                    exchange,
                    f"Passthrough loop detected: {request.url} leads back to this recorder; name the server to ask with"
                    ' the step `forward: {to: "http://host:port"}`, or ask for its own URL through this recorder as a'
                    " proxy",
                )

    return act


async def _failed(exchange: Exchange, request: UpstreamRequest, error: UpstreamError, *, simulate: bool) -> None:
    """Tell the client that its server did not answer, or show it the same: its end, its silence, or else a reset."""
    exchange.tag(*error.tags)
    route = request.route
    server = f"{request.protocol}://{route}"
    if route.host != route.name:
        server += f" (at {route.host})"
    text = f"{_BAD_GATEWAY} {server}: {error} [{error.code}]"
    if not (simulate or exchange.response_started):
        body = f"{text}\n".encode("utf-8", "replace")
        await exchange.reply(PreparedResponse(502, (TEXT_TYPE,), body, reason=_BAD_GATEWAY, is_own=True))
        return
    exchange.abort({"name": "UpstreamError", "code": error.code, "message": f"Upstream connection error: {text}"})
    head = exchange.response_head
    framed = head is not None and ("content-length" in head.headers or "transfer-encoding" in head.headers)
    in_order = error.closed
    if exchange.response_started:
        # A FIN would look like the end of a body that ends with the connection; a reset would discard what has been
        # sent, so it is for servers that have done so.
        in_order = framed and (error.closed or error.code != RESET or not simulate)
    if simulate and error.code == TIMED_OUT:
        await never_answer(exchange)
    elif in_order:
        exchange.channel.close()
    else:
        exchange.channel.reset()


_NOT_CHANGED: Final = {"overridden": False}


class HttpPassthrough:
    """One request on its way to a server, and the response on its way back."""

    def __init__(
        self,
        exchange: Exchange,
        step: Passthrough,
        request: UpstreamRequest,
        upstream_client: UpstreamClient,
        delay: StepHandler | None,
        name: str | None,
    ) -> None:
        self._exchange = exchange
        self._step = step
        self._request = request
        self._upstream_client = upstream_client
        self._delay = delay
        self._name = name
        self._settings = request.route.options.settings
        self._carrier: UpstreamStream | None = None
        self._asked_at = 0.0
        self._first_byte = 0.0
        self._body: bytes | None = None
        """What the rule has put in place of the client's body."""
        self._whole: bytes | None = None
        """The client's body, where it had come before a server was asked."""
        self._ready = False
        """Whether the request can be told to the log."""
        self._told = False
        """Whether it has been."""
        self._sent = False
        """Whether the server has the whole request, so that it may be asked to hurry."""

    async def run(self) -> None:
        """Raises UpstreamError and TransformError; the connection to the server is closed or kept in any case."""
        kept = False
        try:
            self._body = await self._new_body()
            self._ready = True
            if not self._request.route.alpn:  # otherwise the server chooses what is sent
                self._tell_request(self._request.for_http1())
            await self._pass_on()
            kept = self._sent
        except UpstreamError as error:
            self._tell_abort(error, by_client=False)
            raise
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.get_cancelled_exc_class()):
            if self._upstream_client.stopping:
                self._tell_abort(UpstreamError("E_STOPPED", "the recorder has been stopped"), by_client=False)
            else:
                self._tell_abort(UpstreamError(RESET, "the client has left"), by_client=True)
            raise
        finally:
            if self._carrier is None:
                pass
            elif kept:
                self._upstream_client.keep(self._exchange.client, self._request.route, self._carrier)
            else:
                self._carrier.abandon()

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    async def _new_body(self) -> bytes | None:
        """The body that the rule puts in place of the client's, if it does. Raises TransformError."""
        change, exchange, request = self._step.request.body, self._exchange, self._request
        edited = exchange.edited.body if exchange.edited is not None else None
        if change is None and edited is None:
            return None
        if change is None:
            if exchange.body_stream is not None:
                exchange.body_stream.drop()
            return edited
        original = b""
        if edited is not None:
            original = edited
        elif change.data is None and change.file is None:
            body = exchange.request_body
            if exchange.body_stream is not None:
                await exchange.body_stream.wait_until_buffered(self._upstream_client.body_limit)
            if body.size > self._upstream_client.body_limit:
                raise TransformError(too_long("request", body.size, self._upstream_client.body_limit))
            original = body.kept
        encoding = exchange.effective_target.headers.get("content-encoding", "")
        changed = await self._changed(original, encoding, request.raw_headers, change, "request")
        if exchange.body_stream is not None:
            exchange.body_stream.drop()
        request.raw_headers = with_type(with_length(request.raw_headers, len(changed)), change)
        return changed

    async def _pass_on(self) -> None:
        exchange, request, upstream_client = self._exchange, self._request, self._upstream_client
        to_self = isinstance(self._step, Forward) or self._step.request.host is not None
        carrier = upstream_client.idle(exchange.client, request.route)
        for left in reversed(range(ATTEMPTS)):
            is_new = carrier is None
            if carrier is None:
                carrier = await upstream_client.connect(exchange.client, request.route, to_self=to_self)
            self._carrier = carrier
            try:
                await self._converse(carrier)
                return
            except UpstreamError as error:
                if not (left and self._may_repeat(carrier, error, is_new=is_new)):
                    raise
            carrier.close()
            carrier = self._carrier = None

    def _may_repeat(self, carrier: UpstreamStream, error: UpstreamError, *, is_new: bool) -> bool:
        """Whether the request can be sent again, because the server has not looked at it."""
        reader = self._exchange.body_stream
        if self._body is None and self._whole is None and reader is not None and reader.begun:
            return False  # some of the body has gone
        return may_repeat(carrier, error, self._request.method, is_new=is_new)

    async def _converse(self, carrier: UpstreamStream) -> None:
        """One request and its response."""
        exchange, body = self._exchange, self._body
        fields = carrier.fields(self._request)
        if not self._told:
            self._tell_request(fields)
        reader = exchange.body_stream if body is None else None
        if reader is not None and self._whole is None:
            self._whole = reader.ready()
        whole = self._whole if reader is not None else body
        trailers = end_to_end_trailers(exchange.request_body.trailers) if body is None else ()
        self._asked_at = clock.now()
        at_once = whole if whole is not None and len(whole) <= PIECE else None
        self._sent = await carrier.ask(
            self._request, fields, at_once, trailers, more=body is not None or reader is not None
        )
        if self._sent:
            await self._receive(carrier)
            return

        async def send() -> None:
            if whole is None:
                await self._send_body(carrier)
            else:
                await send_whole(carrier, whole, trailers, self._settings.body_idle_timeout)
                self._all_sent(carrier)

        await while_sending(send, partial(self._receive, carrier))

    async def _send_body(self, carrier: UpstreamStream) -> None:
        """Pass the client's body on as it comes."""
        exchange = self._exchange
        reader = exchange.body_stream
        assert reader is not None
        while data := await reader.next():
            await carrier.send_data(data, self._settings.body_idle_timeout)
        if exchange.request_body.complete:  # otherwise the client has left, and its connection ends this
            trailers = end_to_end_trailers(exchange.request_body.trailers)
            await carrier.send_end(trailers, self._settings.body_idle_timeout)
            self._all_sent(carrier)

    def _all_sent(self, carrier: UpstreamStream) -> None:
        self._sent = True
        if not carrier.answered:
            carrier.allow(self._settings.head_timeout)

    # ── the response ───────────────────────────────────────────────────────────────────────────────

    async def _receive(self, carrier: UpstreamStream) -> None:
        response, parts = await self._head(carrier)
        head = response.head
        self._tag_odd(head.odd)
        self._tell_head(carrier, head)
        if self._delay is not None:
            await self._delay(self._exchange)
        change = self._step.response.body
        has_none = head.status in BODILESS_STATUSES and self._step.response.status is None
        changing = self._exchange.response_editor
        reads = change is not None or (changing is not None and changing.reads_body)
        if reads and not (has_none or self._exchange.channel.bodiless):
            await self._change_body(carrier, head, parts, change)
            return
        self._tell_often("passthrough-response-body", "response", _NOT_CHANGED)
        if parts and type(parts[-1]) is End:
            body = b"".join([part.data for part in parts if type(part) is Data])
            self._tag_odd(parts[-1].odd)
            trailers = end_to_end_trailers(parts[-1].trailers)
            answer = self._answer(head, len(body), trailers=bool(trailers))
            answer.body = body
            answer.trailers = tuple((name, value) for name, value in trailers)
            await self._exchange.reply(answer)
            return
        length = _length_of(head)
        await self._exchange.begin(self._answer(head, length, trailers="trailer" in head.headers), length)
        await self._exchange.finish(await self._relay(carrier, parts))

    async def _head(self, carrier: UpstreamStream) -> tuple[ResponsePart, list[Part]]:
        """The final head and what came with it; interim ones go to the client at once."""
        carrier.allow(self._settings.head_timeout if self._sent else math.inf)
        while True:
            parts = await carrier.receive(None)
            for index, part in enumerate(parts):
                if isinstance(part, ResponsePart):
                    carrier.deadline = math.inf
                    self._first_byte = clock.now() - self._asked_at
                    return part, parts[index + 1 :]
                if isinstance(part, Interim):
                    self._tag_odd(part.head.odd)
                if isinstance(part, Interim) and part.head.status != 100 and self._exchange.head.version != "1.0":
                    fields = sendable(without(end_to_end(part.head.raw_headers), ":status", *_FRAMING))
                    await self._exchange.send_interim(part.head.status, [(name, value) for name, value in fields])

    def _answer(self, head: ResponseHead, length: int | None, *, trailers: bool = False) -> PreparedResponse:
        """The head as the client gets it; `length` is that of its body, where it is known."""
        changes = self._step.response
        status = changes.status or head.status
        raw_headers, reason = head.raw_headers, head.reason
        if head.version == "2.0":
            raw_headers = [pair for pair in raw_headers if pair[0] != ":status"]
        if head.version == "2.0" or changes.status is not None:
            reason = REASONS.get(status, "")
        raw_headers = changed_headers(end_to_end(raw_headers), changes.headers)
        raw_headers = self._framed(raw_headers, head, status, length, trailers)
        headers = tuple([(name, value) for name, value in raw_headers])
        return PreparedResponse(status, headers, reason=reason, relayed=True)

    def _framed(
        self, raw_headers: list[list[str]], head: ResponseHead, status: int, length: int | None, trailers: bool
    ) -> list[list[str]]:
        """The framing that the body has, whatever a rule has made of the fields that tell it. Without a body they tell
        what the server says of the one that there would be."""
        chunked = "transfer-encoding" in head.headers
        if head.version == "2.0" and self._step.response.body is None:
            length = _length_of(head)
            # A client of HTTP/1 gets trailers behind chunks alone (RFC 9112, 7.1.2); HTTP/2 needs no framing.
            chunked = self._exchange.head.version != "2.0" and (length is None or trailers)
        if self._exchange.channel.bodiless or status in BODILESS_STATUSES:
            length = _length_of(head) if self._step.response.body is None else None
            chunked = "transfer-encoding" in head.headers and self._step.response.body is None
        if chunked:
            return with_chunks(raw_headers)
        if length is None:
            return without(raw_headers, *_FRAMING)
        framing = [(name.lower(), value) for name, value in raw_headers if name.lower() in _FRAMING]
        return raw_headers if framing == [("content-length", str(length))] else with_length(raw_headers, length)

    async def _relay(self, carrier: UpstreamStream, parts: Sequence[Part]) -> RawHeaders:
        """The body to the client, piece by piece; its trailers."""
        exchange, backpressure, seconds = (
            self._exchange,
            self._upstream_client.backpressure,
            self._settings.body_idle_timeout,
        )
        while True:
            for part in parts:
                if type(part) is Data:
                    await exchange.send(part.data)
                elif type(part) is End:
                    self._tag_odd(part.odd)
                    return end_to_end_trailers(part.trailers)
            if backpressure.behind:
                await backpressure.wait_for_room()
            parts = await carrier.receive(seconds)

    async def _change_body(
        self, carrier: UpstreamStream, head: ResponseHead, parts: Sequence[Part], change: BodyChange | None
    ) -> None:
        """Read the whole body, change it, and answer with what has become of it; without a `change`, others do that
        (`exchange/response_editor.py`)."""
        pieces: list[bytes] = []
        size, limit = 0, self._upstream_client.body_limit
        seconds = self._settings.body_idle_timeout
        while not (parts and type(parts[-1]) is End):
            for part in parts:
                if type(part) is Data:
                    pieces.append(part.data)
                    size += len(part.data)
            if size > limit:
                raise TransformError(too_long("response", size, limit))
            parts = await carrier.receive(seconds)
        self._tag_odd(parts[-1].odd)
        original = b"".join([*pieces, *(part.data for part in parts if type(part) is Data)])
        answer = self._answer(head, len(original))
        raw_body = self._exchange.log.wire_content(original, self._exchange, "response", head.raw_headers)
        self._tell("passthrough-response-body", {"overridden": True, "rawBody": raw_body})
        if change is None:
            answer.body = original
            await self._exchange.reply(answer)
            return
        body = await self._changed(
            original, head.headers.get("content-encoding", ""), answer.headers, change, "response"
        )
        raw_headers = with_type(with_length(answer.headers, len(body)), change)
        answer.headers = tuple([(name, value) for name, value in raw_headers])
        answer.body = body
        await self._exchange.reply(answer)

    async def _changed(
        self, body: bytes, encoding: str, raw_headers: RawHeaders, change: BodyChange, side: str
    ) -> bytes:
        """A body after a change, in the content coding that its head will name. Raises TransformError and TooLong."""
        place = f"{self._step.place.where}.{side}"
        return await body_after(self._exchange, body, encoding, raw_headers, change, self._upstream_client, place)

    # ── what the log is told ───────────────────────────────────────────────────────────────────────

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        self._exchange.log.rule_event(self._exchange, kind, data, rule_id=self._name)

    def _tell_often(self, kind: str, side: str, data: dict[str, Any], **measured: Any) -> None:
        self._exchange.log.passthrough_event(self._exchange, kind, side, data, measured, rule_id=self._name)

    def _tell_request(self, raw_headers: list[list[str]]) -> None:
        request, body = self._request, self._body
        self._told = True
        self._tell_often(
            "passthrough-request-head",
            "request",
            {
                "method": request.method,
                "protocol": request.protocol,
                "hostname": request.route.name,
                "port": str(request.route.port),
                "path": target_text(request.target),
                "rawHeaders": raw_headers,
            },
        )
        if body is None:
            self._tell_often("passthrough-request-body", "request", _NOT_CHANGED)
        else:
            raw_body = self._exchange.log.wire_content(body, self._exchange, "request", raw_headers)
            self._tell("passthrough-request-body", {"overridden": True, "rawBody": raw_body})

    def _tell_head(self, carrier: UpstreamStream, head: ResponseHead) -> None:
        timings = {**(carrier.dialed.timings if carrier.used == 1 else {})}
        timings["firstByte"] = round(self._first_byte, 4)
        ip, port = carrier.pipe.peer
        told = {
            "statusCode": head.status,
            "statusMessage": head.reason,
            "httpVersion": head.version,
            "rawHeaders": head.raw_headers,
            "remoteIpAddress": ip,
            "remotePort": port,
        }
        if head.odd:
            told["rawHead"] = head.raw.decode("latin-1")
        if carrier.used > 1:
            told["reused"] = True
        self._tell_often("passthrough-response-head", "response", told, timings=timings)

    def _tag_odd(self, kinds: Sequence[str]) -> None:
        """The server broke the rules, and was understood all the same: the log says how."""
        if kinds:
            self._exchange.tag(*(tag for tag in odd_tags(kinds) if tag not in self._exchange.tags))

    def _tell_abort(self, error: UpstreamError, *, by_client: bool) -> None:
        if not self._ready or error.code == LOOP:
            return
        if not self._told:
            self._tell_request(self._request.for_http1())  # there was no server to choose
        told: dict[str, Any] = {
            "downstreamAborted": by_client,
            "tags": [*self._exchange.tags, *(() if by_client else error.tags)],
            "error": {"name": "UpstreamError", "code": error.code, "message": str(error)},
        }
        if error.raw_head:
            told["rawHead"] = error.raw_head.decode("latin-1")
        self._tell("passthrough-abort", told)


def _length_of(head: ResponseHead) -> int | None:
    """What a server tells of the length of a body that is not chunked; it may tell it several times."""
    length = head.headers.get("content-length")
    return int(length.partition(",")[0]) if length and "transfer-encoding" not in head.headers else None
