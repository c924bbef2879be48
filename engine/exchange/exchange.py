"""One request and what answers it: what steps act on, and what the notes tell the log about.

Steps call `reply`, `begin`/`send`/`finish`, `inform`, `abort`; none of them sees a protocol. Whatever is
sent is noted here, at the moment of the cause, so that no step can forget it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from mockrec.engine import clock
from mockrec.engine.exchange.changing import Changing
from mockrec.engine.exchange.edited import EditedRequest
from mockrec.engine.exchange.request_stream import RequestBodyStream
from mockrec.engine.ids import new_id
from mockrec.engine.message.body import MessageBody
from mockrec.engine.message.channel import Channel, ClientConnection
from mockrec.engine.message.response import REASONS, PreparedResponse
from mockrec.engine.message.target_uri import TargetUri
from mockrec.engine.redaction.secret_scope import SecretScope
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.parts import RequestHead, ResponseHead
from mockrec.engine.wire.syntax import BODILESS_STATUSES

if TYPE_CHECKING:
    from mockrec.engine.recording.chunk_batcher import BodyChunkBatcher
    from mockrec.engine.recording.exchange_log import ExchangeLog
    from mockrec.engine.rules.matching.select import CompiledRule


class Exchange(SecretScope):
    """The state of one exchange. Times are monotonic milliseconds, None until they happen."""

    __slots__ = (
        "aborted_at",
        "acting",
        "address",
        "answer",
        "body_complete",
        "body_received_at",
        "changing",
        "channel",
        "chosen",
        "continued",
        "edited",
        "extra_headers",
        "finished",
        "head",
        "headers_sent_at",
        "id",
        "notes",
        "on_end",
        "peer",
        "reader",
        "request_body",
        "request_noted",
        "request_pieces",
        "response_body",
        "response_head",
        "response_limit",
        "response_pieces",
        "response_sent_at",
        "response_trailers",
        "rule",
        "start_time",
        "started_at",
        "tags",
        "unmatched",
        "view",
        "websocket",
        "ws_accepted_at",
        "ws_closed_at",
    )

    def __init__(
        self,
        head: RequestHead,
        address: TargetUri,
        peer: ClientConnection,
        channel: Channel,
        notes: ExchangeLog,
        request_limit: int,
        response_limit: int,
    ) -> None:
        """The limits are bytes of each body that are kept."""
        self.started_at = clock.now()
        self.start_time = int(clock.wall(self.started_at))
        self.known, self.waiting = None, 0  # what SecretScope.__init__ does, without another call for each exchange
        self.id = new_id()
        self.head = head
        self.address = address
        self.peer = peer
        self.channel = channel
        self.notes = notes
        self.websocket = address.protocol in ("ws", "wss")
        self.request_body = MessageBody(request_limit, holds=True, make_spill=partial(notes.request_spill, address))
        self.reader: RequestBodyStream | None = None
        """Where the request body goes that is passed on."""
        self.response_limit = response_limit
        self.response_body: MessageBody | None = None
        self.body_complete: anyio.Event | None = None
        """Set when the request body is complete or will never be; made by whoever waits for it first."""
        self.body_received_at: float | None = None
        self.headers_sent_at: float | None = None
        self.response_sent_at: float | None = None
        self.aborted_at: float | None = None
        self.ws_accepted_at: float | None = None
        self.ws_closed_at: float | None = None
        self.rule: CompiledRule | None = None
        self.continued: tuple[CompiledRule, ...] = ()
        """The rules that went on: they have changed something, and `rule` answers."""
        self.acting: CompiledRule | None = None
        """Which of those acts at the moment; None: the one that answers."""
        self.edited: EditedRequest | None = None
        """What rules have made of the request, for later rules and for servers; None: it is as it came."""
        self.changing: Changing | None = None
        """What rules make of the answer, whatever gives it."""
        self.chosen = False
        """Whether the rule set has been asked; `rule` stays None where nothing matched."""
        self.request_noted = False
        self.finished = False
        """Whether the terminal record is written."""
        self.answer: PreparedResponse | None = None
        self.response_head: ResponseHead | None = None
        self.extra_headers: tuple[tuple[str, str], ...] = ()
        """Headers that the server adds to whatever the rule answers (CORS)."""
        self.tags: tuple[str, ...] = peer.tags
        self.unmatched = False
        """Whether no rule answers, which the answer then explains."""
        self.response_trailers: Sequence[Sequence[str]] = ()
        self.on_end: list[Callable[[], None]] | None = None
        """What is to be called when the exchange is over."""
        self.request_pieces: BodyChunkBatcher | None = None
        self.response_pieces: BodyChunkBatcher | None = None
        self.view = RequestView(
            "GET" if self.websocket else head.method,  # over HTTP/2 an upgrade is a CONNECT (RFC 8441)
            address.protocol,
            address.matched_url,
            address.hostname,
            address.port,
            address.path,
            address.headers,
            address.raw_headers,
            self.websocket,
            # Nothing that leads back to this exchange: it has to be freed without the garbage collector.
            partial(self.request_body.decoded, address.headers.get("content-encoding", "")),
        )

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    @property
    def asked(self) -> TargetUri:
        """Where the request goes, after the rules that have changed it."""
        return self.address if self.edited is None else self.edited.address

    @property
    def method(self) -> str:
        """The same of its method."""
        return self.head.method if self.edited is None else self.edited.method

    @property
    def asked_body(self) -> bytes:
        """The same of its body, on the wire: what is kept of the client's, or what rules have put in its place."""
        edited = self.edited
        return self.request_body.kept if edited is None or edited.body is None else edited.body

    def fits(self, size: int) -> bool:
        """Whether that body has at most `size` bytes when it is decoded; see `MessageBody.fits`."""
        if self.edited is not None:
            return self.edited.fits(size, self.request_body)
        return self.request_body.fits(self.address.headers.get("content-encoding", ""), size)

    def edit(self, edited: EditedRequest) -> None:
        """Rules and servers see this request from now on."""
        self.edited = edited
        address, limit = edited.address, self.request_body.limit
        read = (
            partial(self.request_body.decoded, address.headers.get("content-encoding", ""))
            if edited.body is None
            else partial(edited.decoded, limit)
        )
        before = self.view
        self.view = RequestView(
            "GET" if self.websocket else edited.method,
            address.protocol,
            address.matched_url,
            address.hostname,
            address.port,
            address.path,
            address.headers,
            address.raw_headers,
            self.websocket,
            read,
        )
        self.view.body_complete = before.body_complete

    def take_data(self, data: bytes) -> None:
        """A piece of the request body has arrived."""
        self.request_body.add(data)
        if self.reader is not None:
            self.reader.feed(data)
        if self.aborted_at is None:
            self.notes.request_data(self, data)

    def take_end(self, trailers: Sequence[Sequence[str]]) -> None:
        """The request is complete."""
        self.request_body.complete = True
        self.request_body.trailers = trailers
        self.view.body_complete = True
        self.body_received_at = clock.now()
        if self.aborted_at is None:
            self.notes.request_data_end(self)
            if self.chosen:
                self.notes.request(self)
        if self.reader is not None:
            self.reader.end()
        if self.body_complete is not None:
            self.body_complete.set()

    async def wait_for_body(self, *, ahead: bool = False) -> None:
        """Return when the request is complete, or will never be. `ahead`: before anybody passes the body on, so that
        all of it has to be held."""
        if ahead and self.reader is not None:
            self.reader.unbound()
        if not self.request_body.complete:
            if self.body_complete is None:
                self.body_complete = anyio.Event()
            await self.body_complete.wait()

    def choose(self, rule: CompiledRule | None, *, streams_body: bool = False, needs_body: bool = True) -> None:
        """Set the rule that answers (None: nothing matched). `streams_body`: it may forward the body while it arrives;
        `needs_body`: it needs the whole body in memory."""
        self.rule = rule
        self.chosen = True
        if self.head.has_body:
            held = self.request_body.release(wanted=needs_body)
            if streams_body:
                self.reader = RequestBodyStream(held, ended=self.request_body.complete)
        if self.request_body.complete:
            self.notes.request(self)

    def tag(self, *tags: str) -> None:
        """Add tags for this and all later records of the exchange."""
        self.tags = (*self.tags, *tags)

    # ── the answer ─────────────────────────────────────────────────────────────────────────────────

    @property
    def answering(self) -> bool:
        """Whether the final head has been sent."""
        return self.response_head is not None

    @property
    def sent_body(self) -> bytes:
        """What was sent of the answer's body, as far as it is kept."""
        if self.response_body is not None:
            return self.response_body.kept
        if self.answer is None or self.head.method == "HEAD" or self._status in BODILESS_STATUSES:
            return b""
        return self.answer.body

    async def reply(self, answer: PreparedResponse) -> None:
        """Send a whole answer and finish the exchange. Raises ValueError for a head that cannot be sent."""
        if self.changing is not None:
            answer = await self.changing.whole(self, answer)
        head = self._framed(answer, None, streamed=False)
        body = answer.body
        trailers: Sequence[Sequence[str]] = answer.trailers
        if self.channel.bodiless or answer.status in BODILESS_STATUSES:
            body, trailers = b"", ()
        elif trailers:
            trailers = self.channel.trailers(head, trailers)
        self._begun(answer, head)
        await self.channel.send_whole(head, body, trailers)
        self.response_trailers = trailers
        self._sent_everything(body)

    async def begin(self, answer: PreparedResponse, length: int | None = None) -> None:
        """Send a head whose body follows in pieces; `length` if it is known. Raises ValueError as `reply` does."""
        if self.changing is not None:
            changed = await self.changing.begun(self, answer, length)
            if changed is None:
                return  # it is held, and sent when it is whole
            answer, length = changed
        head = self._framed(answer, length, streamed=True)
        spill = partial(self.notes.response_spill, head, self.known)
        # Only those who wait for the end look at what was sent.
        self.response_body = MessageBody(self.response_limit, wanted=self.on_end is not None, make_spill=spill)
        self._begun(answer, head)
        await self.channel.send_head(head)

    async def send(self, data: bytes) -> None:
        """Send a piece of the body that `begin` announced."""
        if self.changing is not None and self.changing.holds:
            self.changing.take(data)
            return
        if not data or self.channel.bodiless or self._status in BODILESS_STATUSES:
            return
        assert self.response_body is not None
        await self.channel.send_data(data)
        self.response_body.add(data)
        self.notes.response_data(self, data)

    async def finish(self, trailers: Sequence[Sequence[str]] = ()) -> None:
        """End the body that `begin` announced, and the exchange; `trailers` if the answer has no own."""
        if self.changing is not None and self.changing.holds:
            await self.changing.complete(self, trailers)
            return
        assert self.answer is not None
        assert self.response_head is not None
        fields = self.answer.trailers or trailers
        if fields and not self.channel.bodiless:
            self.response_trailers = self.channel.trailers(self.response_head, fields)
        await self.channel.send_end(self.response_trailers)
        self._sent_everything(None)

    async def inform(self, status: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Send a 1xx."""
        reason = "" if self.head.version == "2.0" else REASONS.get(status, "Information")
        self.notes.information(self, status, reason, headers)
        await self.channel.send_interim(status, reason, headers)

    async def send_past_protocol(self, data: bytes, head: ResponseHead | None, body: bytes) -> None:
        """Send bytes that need not be an answer; what of them looks like a head and body is kept for the log."""
        if head is not None:
            self.response_head = head
            self.headers_sent_at = clock.now()
            self.response_body = MessageBody(self.response_limit)
            self.response_body.add(body)
        await self.channel.send_raw(data)

    async def accept_websocket(self, fields: Sequence[tuple[str, str]]) -> tuple[ByteStream, bytes]:
        """Accept an upgrade, with further head fields; the pipe of its frames, and what has come of them already."""
        if self.changing is not None:
            fields = self.changing.upgrade(fields)
        head = self.channel.websocket_head(fields)
        self.response_head = head
        self.ws_accepted_at = clock.now()
        self.notes.websocket.accepted(self)
        return await self.channel.accept_websocket(head)

    def abort(self, error: Mapping[str, Any] | None) -> None:
        """End the exchange before it is complete; once, and not after the answer is complete."""
        if not self.finished:
            self.aborted_at = clock.now()
            self.notes.abort(self, error)
            if self.body_complete is not None:
                self.body_complete.set()
            self.over()

    def leave(self) -> None:
        """The connection has ended: nothing more will come for this exchange."""
        self.abort(None)
        if self.request_pieces is not None:
            self.request_pieces.give_up()
        if self.body_complete is not None:
            self.body_complete.set()
        if self.reader is not None:
            self.reader.end()

    def over(self) -> None:
        """The terminal record has been written: tell who waits for that."""
        if self.reader is not None:
            self.reader.drop()
        if self.on_end is not None:
            calls, self.on_end = self.on_end, None
            for call in calls:
                call()

    @property
    def _status(self) -> int:
        return self.response_head.status if self.response_head is not None else 0

    def _framed(self, answer: PreparedResponse, length: int | None, *, streamed: bool) -> ResponseHead:
        if self.extra_headers:
            own = {name.lower() for name, _ in answer.headers}
            added = tuple(pair for pair in self.extra_headers if pair[0].lower() not in own)
            answer = PreparedResponse(
                answer.status,
                answer.headers + added,
                answer.body,
                reason=answer.reason,
                trailers=answer.trailers,
                relayed=answer.relayed,
                is_own=answer.is_own,
            )
        return answer.framed(self.channel, length, streamed=streamed)

    def _begun(self, answer: PreparedResponse, head: ResponseHead) -> None:
        self.answer = answer
        self.response_head = head
        self.headers_sent_at = clock.now()
        self.notes.response_initiated(self)

    def _sent_everything(self, whole: bytes | None) -> None:
        self.response_sent_at = clock.now()
        if whole:
            self.notes.response_data(self, whole)
        self.notes.response_data_end(self)
        self.notes.response(self, whole)
        self.over()
