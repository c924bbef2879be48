"""One request and its response: what steps act on, whatever the protocol.

Steps call `reply`, `begin`/`send`/`finish`, `send_interim`, `abort`; none of them sees a protocol. Each of these calls
sends through the `Channel` and calls the `ExchangeLog` at the moment of the cause, so that no step can forget the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from mockrec.engine import clock
from mockrec.engine.exchange.edited import EditedRequest
from mockrec.engine.exchange.request_stream import RequestBodyStream
from mockrec.engine.exchange.response_editor import ResponseEditor
from mockrec.engine.message.body import MessageBody
from mockrec.engine.message.channel import Channel, ClientConnection
from mockrec.engine.message.response import REASONS, PreparedResponse
from mockrec.engine.message.target_uri import TargetUri
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.parts import RequestHead, ResponseHead
from mockrec.engine.wire.syntax import BODILESS_STATUSES

if TYPE_CHECKING:
    from mockrec.engine.recording.exchange_log import ExchangeLog
    from mockrec.engine.rules.matching.select import CompiledRule


class Exchange(LoggedExchange):
    """One exchange in progress. Its state is in the base classes: `ExchangeState` and `LoggedExchange`."""

    __slots__ = (
        "body_complete",
        "body_stream",
        "channel",
        "chosen",
        "edited",
        "extra_headers",
        "log",
        "on_end",
        "response_editor",
        "response_limit",
        "view",
    )

    def __init__(
        self,
        head: RequestHead,
        target: TargetUri,
        client: ClientConnection,
        channel: Channel,
        log: ExchangeLog,
        request_limit: int,
        response_limit: int,
    ) -> None:
        """The limits are the bytes of each body that are kept."""
        open_spill = partial(log.request_spill, target) if head.has_body else None
        request_body = MessageBody(request_limit, holds=True, open_spill=open_spill)
        LoggedExchange.__init__(self, head, target, client, request_body)
        self.channel = channel
        self.log = log
        if head.has_body:
            log.grpc.begin(self, target.headers.get("content-type", ""))
        self.body_stream: RequestBodyStream | None = None
        """Carries the request body to an origin server while it arrives; None unless the rule forwards it so."""
        self.response_limit = response_limit
        self.body_complete: anyio.Event | None = None
        """Set when the request body is complete or never will be; made when a task first waits for that."""
        self.edited: EditedRequest | None = None
        """The request after changes by rules, for later rules and origin servers; None: unchanged."""
        self.response_editor: ResponseEditor | None = None
        """Changes the response, whichever step gives it."""
        self.chosen = False
        """Whether rules have been matched; `rule` stays None if none matched."""
        self.extra_headers: tuple[tuple[str, str], ...] = ()
        """Fields that the server adds to the response of any rule (CORS)."""
        self.on_end: list[Callable[[], None]] | None = None
        """Called when the exchange has ended."""
        # Nothing in it leads back to this exchange: it has to be freed without the garbage collector.
        coding = target.headers.get("content-encoding", "")
        self.view = _view(head.method, target, self.websocket, partial(request_body.decoded, coding))

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    @property
    def effective_target(self) -> TargetUri:
        """The target URI after changes by rules."""
        return self.target if self.edited is None else self.edited.target

    @property
    def effective_method(self) -> str:
        """The method after changes by rules."""
        return self.head.method if self.edited is None else self.edited.method

    @property
    def effective_body(self) -> bytes:
        """The request body after changes by rules, still with its content codings: as much as is kept of the client's,
        or the body that a rule has put in its place."""
        edited = self.edited
        return self.request_body.kept if edited is None or edited.body is None else edited.body

    def fits(self, size: int) -> bool:
        """Return whether the effective body has at most `size` bytes when decoded; see `MessageBody.fits`."""
        if self.edited is not None:
            return self.edited.fits(size, self.request_body)
        return self.request_body.fits(self.target.headers.get("content-encoding", ""), size)

    def edit(self, edited: EditedRequest) -> None:
        """Use this request from now on for rules and origin servers."""
        self.edited = edited
        body = self.request_body
        read = (
            partial(body.decoded, edited.target.headers.get("content-encoding", ""))
            if edited.body is None
            else partial(edited.decoded, body.limit)
        )
        was_complete = self.view.body_complete
        self.view = _view(edited.method, edited.target, self.websocket, read)
        self.view.body_complete = was_complete

    def take_data(self, data: bytes) -> None:
        """Take bytes of the request body that have arrived."""
        self.request_body.add(data)
        if self.body_stream is not None:
            self.body_stream.feed(data)
        if self.aborted_at is None:
            self.log.request_data(self, data)

    def take_end(self, trailers: Sequence[Sequence[str]]) -> None:
        """Take the end of the request."""
        self.request_body.complete = True
        self.request_body.trailers = trailers
        self.view.body_complete = True
        self.body_received_at = clock.now()
        if self.aborted_at is None:
            self.log.request_data_end(self)
            if self.chosen:
                self.log.request(self)
        if self.body_stream is not None:
            self.body_stream.end()
        if self.body_complete is not None:
            self.body_complete.set()
        if self.grpc is not None:
            self.grpc.wake()

    async def wait_for_body(self, *, ahead: bool = False) -> None:
        """Return when the request is complete or never will be. `ahead`: forwarding has not started, so lift the limit
        of the buffer."""
        if ahead and self.body_stream is not None:
            self.body_stream.lift_limit()
        if not self.request_body.complete:
            if self.body_complete is None:
                self.body_complete = anyio.Event()
            await self.body_complete.wait()

    def choose(self, rule: CompiledRule | None, *, streams_body: bool = False, needs_body: bool = True) -> None:
        """Set the rule that answers (None: none matched). `streams_body`: it may forward the body while it arrives;
        `needs_body`: it needs the whole body in memory."""
        self.rule = rule
        self.chosen = True
        if self.head.has_body:
            held = self.request_body.release(wanted=needs_body)
            if streams_body:
                self.body_stream = RequestBodyStream(held, ended=self.request_body.complete)
        if self.request_body.complete:
            self.log.request(self)

    def tag(self, *tags: str) -> None:
        """Add tags to all further records of the exchange."""
        self.tags = (*self.tags, *tags)

    # ── the response ───────────────────────────────────────────────────────────────────────────────

    @property
    def response_started(self) -> bool:
        """Whether the final head has been sent."""
        return self.response_head is not None

    @property
    def sent_body(self) -> bytes:
        """What was sent of the response body, as far as it is kept."""
        if self.response_body is not None:
            return self.response_body.kept
        if self.prepared is None or self.head.method == "HEAD" or self._status in BODILESS_STATUSES:
            return b""
        return self.prepared.body

    async def reply(self, response: PreparedResponse) -> None:
        """Send a whole response and end the exchange. Raises ValueError for a head that cannot be sent."""
        if self.response_editor is not None:
            response = await self.response_editor.whole(self, response)
        framed = response if not self.extra_headers else self._with_extra_headers(response)
        head = framed.framed(self.channel)
        body = response.body
        trailers: Sequence[Sequence[str]] = response.trailers
        if self.channel.bodiless or response.status in BODILESS_STATUSES:
            body, trailers = b"", ()
        elif trailers:
            trailers = self.channel.trailers(head, trailers)
        self._start_response(response, head)
        await self.channel.send_whole(head, body, trailers)
        self.response_trailers = trailers
        self._end_response(body)

    async def begin(self, response: PreparedResponse, length: int | None = None) -> None:
        """Send a head whose body follows in pieces; `length` if it is known. Raises ValueError as `reply` does."""
        if self.response_editor is not None:
            changed = await self.response_editor.begun(self, response, length)
            if changed is None:
                return  # the editor holds it, and sends it when it is whole
            response, length = changed
        framed = response if not self.extra_headers else self._with_extra_headers(response)
        head = framed.framed(self.channel, length, streamed=True)
        open_spill = partial(self.log.response_spill, head, self.known)
        # Apart from the log, only the callbacks of the end look at what was sent.
        self.response_body = MessageBody(self.response_limit, wanted=self.on_end is not None, open_spill=open_spill)
        self._start_response(response, head)
        await self.channel.send_head(head)

    async def send(self, data: bytes) -> None:
        """Send a piece of the body that `begin` announced."""
        if self.response_editor is not None and self.response_editor.holds:
            self.response_editor.take(data)
            return
        if not data or self.channel.bodiless or self._status in BODILESS_STATUSES:
            return
        assert self.response_body is not None
        await self.channel.send_data(data)
        self.response_body.add(data)
        self.log.response_data(self, data)

    async def finish(self, trailers: Sequence[Sequence[str]] = ()) -> None:
        """End the body that `begin` announced, and the exchange. `trailers` are sent if the response has none of its
        own."""
        if self.response_editor is not None and self.response_editor.holds:
            await self.response_editor.complete(self, trailers)
            return
        assert self.prepared is not None
        assert self.response_head is not None
        fields = self.prepared.trailers or trailers
        if fields and not self.channel.bodiless:
            self.response_trailers = self.channel.trailers(self.response_head, fields)
        await self.channel.send_end(self.response_trailers)
        self._end_response(None)

    async def send_interim(self, status: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Send a 1xx."""
        reason = "" if self.head.version == "2.0" else REASONS.get(status, "Information")
        self.log.information(self, status, reason, headers)
        await self.channel.send_interim(status, reason, headers)

    async def send_past_protocol(self, data: bytes, head: ResponseHead | None, body: bytes) -> None:
        """Send bytes that need not be a valid response. `head` and `body` are what they look like, for the log."""
        if head is not None:
            self.response_head = head
            self.headers_sent_at = clock.now()
            self.response_body = MessageBody(self.response_limit)
            self.response_body.add(body)
        await self.channel.send_raw(data)

    async def accept_websocket(self, fields: Sequence[tuple[str, str]]) -> tuple[ByteStream, bytes]:
        """Accept an upgrade, with further header fields. Return the byte stream of its frames, and the bytes of it that
        have been read already."""
        if self.response_editor is not None:
            fields = self.response_editor.upgrade(fields)
        head = self.channel.websocket_head(fields)
        self.response_head = head
        self.ws_accepted_at = clock.now()
        self.log.websocket.accepted(self)
        return await self.channel.accept_websocket(head)

    # ── the end ────────────────────────────────────────────────────────────────────────────────────

    def abort(self, error: Mapping[str, Any] | None) -> None:
        """End the exchange before it is complete. Does nothing if it has ended."""
        if not self.finished:
            self.aborted_at = clock.now()
            if error is not None:
                self.abort_reason = str(error.get("message") or error.get("code") or error.get("name") or "aborted")
            self.log.abort(self, error)
            if self.body_complete is not None:
                self.body_complete.set()
            if self.grpc is not None:
                self.grpc.wake()
            self.notify_end()

    def client_left(self) -> None:
        """Abort the exchange and end its request body, because the client has disconnected."""
        self.abort(None)
        if self.request_chunks is not None:
            self.request_chunks.give_up()
        if self.body_complete is not None:
            self.body_complete.set()
        if self.body_stream is not None:
            self.body_stream.end()

    def notify_end(self) -> None:
        """Call the callbacks of `on_end`, once: the terminal record has been added to the log."""
        if self.body_stream is not None:
            self.body_stream.drop()
        if self.on_end is not None:
            calls, self.on_end = self.on_end, None
            for call in calls:
                call()

    @property
    def _status(self) -> int:
        return self.response_head.status if self.response_head is not None else 0

    def _with_extra_headers(self, response: PreparedResponse) -> PreparedResponse:
        """Return the response with `extra_headers`, except for those whose names it has already."""
        own = {name.lower() for name, _ in response.headers}
        added = tuple(pair for pair in self.extra_headers if pair[0].lower() not in own)
        return PreparedResponse(
            response.status,
            response.headers + added,
            response.body,
            reason=response.reason,
            trailers=response.trailers,
            relayed=response.relayed,
            is_own=response.is_own,
        )

    def _start_response(self, response: PreparedResponse, head: ResponseHead) -> None:
        self.prepared = response
        self.response_head = head
        self.headers_sent_at = clock.now()
        self.log.response_initiated(self)

    def _end_response(self, whole: bytes | None) -> None:
        self.response_sent_at = clock.now()
        self.log.response(self, whole)
        self.notify_end()


def _view(method: str, target: TargetUri, websocket: bool, read_body: Callable[[], bytes]) -> RequestView:
    """Return the request as matchers see it."""
    return RequestView(
        "GET" if websocket else method,  # over HTTP/2 an upgrade is a CONNECT (RFC 8441)
        target.protocol,
        target.matched_url,
        target.hostname,
        target.port,
        target.path,
        target.headers,
        target.raw_headers,
        websocket,
        read_body,
    )
