"""The steps `passthrough` and `forward`: pass the request on to a server, and its response back to the client.

Bodies that no rule changes are passed on as they arrive and never held. What is exchanged with the server is logged in
rule-events (`passthrough_log.py`); what the client gets is logged by the exchange, as with every step.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.offload.pool import TooLong
from mockrec.engine.rules.model import BodyChange, Forward, Passthrough
from mockrec.engine.steps.around import around
from mockrec.engine.steps.failures import TEXT_TYPE, reply_failure
from mockrec.engine.steps.faults import never_respond
from mockrec.engine.steps.hooked import hooked_passthrough
from mockrec.engine.steps.message_change import body_after, too_long, with_type
from mockrec.engine.steps.passthrough_log import (
    log_abort,
    log_changed_body,
    log_request,
    log_response_head,
    log_unchanged_body,
    tag_odd,
)
from mockrec.engine.steps.passthrough_response import client_response, content_length, relayed_response
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.request_changes import needs_body
from mockrec.engine.steps.spec import CompileContext, StepSpec
from mockrec.engine.steps.timing import delay_handler
from mockrec.engine.steps.transform import TransformError
from mockrec.engine.steps.upstream_options import step_options
from mockrec.engine.steps.upstream_request import request_for_server
from mockrec.engine.steps.websocket_passthrough import WebSocketPassthrough
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.errors import LOOP, RESET, TIMED_OUT, UpstreamError
from mockrec.engine.upstream.headers import end_to_end, end_to_end_trailers, sendable, with_length, without
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.request_loop import RequestBody, perform
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.parts import Data, End, Part, RawHeaders, ResponseHead
from mockrec.engine.wire.syntax import BODILESS_STATUSES, FRAMING_NAMES

_BAD_GATEWAY = "Error communicating with upstream server"


def passthrough_handler(
    step: Passthrough,
    context: CompileContext,
    options: UpstreamOptions,
    *,
    rule_id: str | None = None,
    on_loop: StepHandler | None = None,
) -> StepHandler:
    """Pass the request on, and its response back. `rule_id` stands for the rule in the log where no rule says this;
    `on_loop` responds where the server would be this recorder itself."""
    client, websocket = context.upstream_client, context.websocket
    delay = None if step.delay is None else delay_handler(step.delay, context.random)

    async def handle(exchange: Exchange) -> None:
        try:
            request = await request_for_server(exchange, step, options, client.reverse_target, client.helpers)
            peer = exchange.client
            if client.dialer.is_ours((peer.ip, peer.port), (peer.local_ip, peer.local_port)):
                raise UpstreamError(LOOP, "that is this recorder itself")
            if exchange.websocket:
                if delay is not None:
                    await delay(exchange)
                await WebSocketPassthrough(exchange, request, client, rule_id, websocket).run()
            else:
                await HttpPassthrough(exchange, step, request, client, delay, rule_id).run()
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

    return handle


async def _failed(exchange: Exchange, request: UpstreamRequest, error: UpstreamError, *, simulate: bool) -> None:
    """Respond 502, or let the client's connection end as the server's did: in order, by silence, or else by a reset."""
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
        # A FIN would look like the end of a body that the end of the connection delimits. A reset discards data that
        # the client has not read yet, so it only stands for the reset of a server.
        in_order = framed and (error.closed or error.code != RESET or not simulate)
    if simulate and error.code == TIMED_OUT:
        await never_respond(exchange)
    elif in_order:
        exchange.channel.close()
    else:
        exchange.channel.reset()


class HttpPassthrough:
    """One request on its way to a server, and the response on its way back; an `UpstreamExchange` of the request
    loop."""

    def __init__(
        self,
        exchange: Exchange,
        step: Passthrough,
        request: UpstreamRequest,
        upstream_client: UpstreamClient,
        delay: StepHandler | None,
        rule_id: str | None,
    ) -> None:
        settings = request.route.options.settings
        self.request = request
        self.head_timeout: float | None = settings.head_timeout
        self.body_timeout = settings.body_idle_timeout
        self._exchange = exchange
        self._step = step
        self._upstream_client = upstream_client
        self._delay = delay
        self._rule_id = rule_id
        self._sent_at = 0.0
        """When the head of the request was sent, in monotonic milliseconds."""
        self._new_body: bytes | None = None
        """The body that the rule puts in place of the client's."""
        self._client_body: bytes | None = None
        """The client's body, if all of it had arrived before the request was sent."""
        self._ready = False
        """Whether the request is complete but for a body that is still arriving, so that it can be logged."""
        self._logged = False
        """Whether it has been logged."""

    async def run(self) -> None:
        """Pass the request and the response on. Raises UpstreamError and TransformError."""
        request, step, client = self.request, self._step, self._upstream_client
        try:
            self._new_body = await self._changed_request_body()
            self._ready = True
            if not request.route.alpn:  # otherwise the server chooses the protocol, and with it the fields
                self._log_request(request.for_http1())
            to_self = isinstance(step, Forward) or step.request.host is not None
            await perform(client, self._exchange.client, self, to_self=to_self)
        except UpstreamError as error:
            self._log_abort(error, by_client=False)
            raise
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.get_cancelled_exc_class()):
            if client.stopping:
                self._log_abort(UpstreamError("E_STOPPED", "the recorder has been stopped"), by_client=False)
            else:
                self._log_abort(UpstreamError(RESET, "the client has left"), by_client=True)
            raise

    def _log_request(self, fields: list[list[str]]) -> None:
        self._logged = True
        log_request(self._exchange, self._rule_id, self.request, fields, self._new_body)

    def _log_abort(self, error: UpstreamError, *, by_client: bool) -> None:
        if not self._ready or error.code == LOOP:
            return
        if not self._logged:
            self._log_request(self.request.for_http1())  # no server was reached that could choose the protocol
        log_abort(self._exchange, self._rule_id, error, by_client=by_client)

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    async def _changed_request_body(self) -> bytes | None:
        """The body that the rule puts in place of the client's, if it does. Raises TransformError and TooLong."""
        change, exchange, request = self._step.request.body, self._exchange, self.request
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

    def start(self, stream: UpstreamStream, fields: list[list[str]]) -> RequestBody:
        """See `UpstreamExchange`."""
        exchange = self._exchange
        if not self._logged:
            self._log_request(fields)
        self._sent_at = clock.now()
        if self._new_body is not None:
            return self._new_body, (), True
        trailers = end_to_end_trailers(exchange.request_body.trailers)
        reader = exchange.body_stream
        if reader is None:
            return None, trailers, False
        if self._client_body is None:
            self._client_body = reader.ready()
        return self._client_body, trailers, True

    @property
    def body_consumed(self) -> bool:
        """See `UpstreamExchange`."""
        reader = self._exchange.body_stream
        return self._new_body is None and self._client_body is None and reader is not None and reader.begun

    async def send_body(self, stream: UpstreamStream) -> bool:
        """Pass the client's body on as it arrives."""
        exchange = self._exchange
        reader = exchange.body_stream
        assert reader is not None
        while data := await reader.next():
            await stream.send_data(data, self.body_timeout)
        if not exchange.request_body.complete:
            return False  # the client has left, and the end of its connection ends this exchange
        await stream.send_end(end_to_end_trailers(exchange.request_body.trailers), self.body_timeout)
        return True

    # ── the response ───────────────────────────────────────────────────────────────────────────────

    async def interim(self, head: ResponseHead) -> None:
        """Pass an interim response on, except 100: this recorder sends its own (RFC 9110, 10.1.1)."""
        tag_odd(self._exchange, head.odd)
        if head.status != 100 and self._exchange.head.version != "1.0":
            fields = sendable(without(end_to_end(head.raw_headers), ":status", *FRAMING_NAMES))
            await self._exchange.send_interim(head.status, [(name, value) for name, value in fields])

    async def respond(self, stream: UpstreamStream, head: ResponseHead, parts: Sequence[Part]) -> bool:
        """Pass the response on to the client, with the changes of the rule."""
        exchange, step = self._exchange, self._step
        first_byte = clock.now() - self._sent_at
        tag_odd(exchange, head.odd)
        log_response_head(exchange, self._rule_id, stream, head, first_byte)
        if self._delay is not None:
            await self._delay(exchange)
        change = step.response.body
        bodiless = head.status in BODILESS_STATUSES and step.response.status is None
        changing = exchange.response_editor
        needs_body = change is not None or (changing is not None and changing.reads_body)
        if needs_body and not (bodiless or exchange.channel.bodiless):
            await self._change_body(stream, head, parts, change)
            return True
        log_unchanged_body(exchange, self._rule_id, "response")
        make = relayed_response if changing is None else client_response  # an editor changes the object
        if parts and type(parts[-1]) is End:
            body = b"".join([part.data for part in parts if type(part) is Data])
            tag_odd(exchange, parts[-1].odd)
            trailers = end_to_end_trailers(parts[-1].trailers)
            response = make(exchange, step.response, head, len(body), trailers=bool(trailers))
            response.body = body
            response.trailers = tuple((name, value) for name, value in trailers)
            await exchange.reply(response)
            return True
        length = content_length(head)
        await exchange.begin(make(exchange, step.response, head, length, trailers="trailer" in head.headers), length)
        await exchange.finish(await self._relay(stream, parts))
        return True

    async def _relay(self, stream: UpstreamStream, parts: Sequence[Part]) -> RawHeaders:
        """Pass the body on to the client as it arrives; return its trailers."""
        exchange, seconds = self._exchange, self.body_timeout
        backpressure = exchange.log.backpressure
        while True:
            for part in parts:
                if type(part) is Data:
                    await exchange.send(part.data)
                elif type(part) is End:
                    tag_odd(exchange, part.odd)
                    return end_to_end_trailers(part.trailers)
            if backpressure.behind:
                await backpressure.wait_for_room()
            parts = await stream.receive(seconds)

    async def _change_body(
        self, stream: UpstreamStream, head: ResponseHead, parts: Sequence[Part], change: BodyChange | None
    ) -> None:
        """Read the whole body and respond with the changed one. Without a `change`, the response is changed later, by
        other rules or functions (`exchange/response_editor.py`), which need the whole body."""
        exchange = self._exchange
        pieces: list[bytes] = []
        size, limit = 0, self._upstream_client.body_limit
        while not (parts and type(parts[-1]) is End):
            for part in parts:
                if type(part) is Data:
                    pieces.append(part.data)
                    size += len(part.data)
            if size > limit:
                raise TransformError(too_long("response", size, limit))
            parts = await stream.receive(self.body_timeout)
        tag_odd(exchange, parts[-1].odd)
        original = b"".join([*pieces, *(part.data for part in parts if type(part) is Data)])
        response = client_response(exchange, self._step.response, head, len(original))
        log_changed_body(exchange, self._rule_id, "response", original, head.raw_headers)
        if change is None:
            response.body = original
            await exchange.reply(response)
            return
        encoding = head.headers.get("content-encoding", "")
        body = await self._changed(original, encoding, response.headers, change, "response")
        raw_headers = with_type(with_length(response.headers, len(body)), change)
        response.headers = tuple([(name, value) for name, value in raw_headers])
        response.body = body
        await exchange.reply(response)

    async def _changed(
        self, body: bytes, encoding: str, raw_headers: RawHeaders, change: BodyChange, side: str
    ) -> bytes:
        """A body after a change, in the content coding that its head names then. Raises TransformError and TooLong."""
        place = f"{self._step.place.where}.{side}"
        return await body_after(self._exchange, body, encoding, raw_headers, change, self._upstream_client, place)


def _compile(step: Passthrough, context: CompileContext) -> StepHandler:
    options = step_options(step, context)
    if step.request.python is None and step.response.python is None:
        return passthrough_handler(step, context, options)
    return hooked_passthrough(step, around(step, context), lambda plain: passthrough_handler(plain, context, options))


def _needs_body(step: Passthrough) -> bool:
    return needs_body(step.request.body) or step.request.python is not None


STEPS = (
    StepSpec(Passthrough, _compile, never_blocks=False, needs_body=_needs_body, streams_body=True),
    StepSpec(Forward, _compile, never_blocks=False, needs_body=_needs_body, streams_body=True),
)
