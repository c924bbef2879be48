"""One request and what answers it: what steps act on, and what the notes tell the log about.

Steps call `reply`, `begin`/`send`/`finish`, `inform`, `abort`; none of them sees a protocol. Whatever is
sent is noted here, at the moment of the cause, so that no step can forget it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import anyio

from mockrec.engine import clock
from mockrec.engine.exchange.address import Address
from mockrec.engine.exchange.answer import REASONS, Answer
from mockrec.engine.exchange.body import Body
from mockrec.engine.exchange.channel import Channel, Peer
from mockrec.engine.exchange.ids import new_id
from mockrec.engine.rules.request import RequestView
from mockrec.engine.wire.parts import RequestHead, ResponseHead

if TYPE_CHECKING:
    from mockrec.engine.exchange.notes import Notes
    from mockrec.engine.rules.select import CompiledRule

_BODILESS = frozenset({204, 304})


class Exchange:
    """The state of one exchange. Times are monotonic milliseconds, None until they happen."""

    __slots__ = (
        "aborted_at",
        "address",
        "answer",
        "body_complete",
        "body_received_at",
        "channel",
        "chosen",
        "extra_headers",
        "finished",
        "head",
        "headers_sent_at",
        "id",
        "log_head",
        "notes",
        "peer",
        "request_body",
        "request_noted",
        "request_pieces",
        "response_body",
        "response_head",
        "response_pieces",
        "response_sent_at",
        "rule",
        "start_time",
        "started_at",
        "tags",
        "view",
        "websocket",
    )

    def __init__(
        self, head: RequestHead, address: Address, peer: Peer, channel: Channel, notes: Notes, body_limit: int
    ) -> None:
        self.started_at = clock.now()
        self.start_time = int(clock.wall(self.started_at))
        self.id = new_id()
        self.head = head
        self.address = address
        self.peer = peer
        self.channel = channel
        self.notes = notes
        self.websocket = address.protocol in ("ws", "wss")
        self.request_body = Body(body_limit)
        self.response_body: Body | None = None
        self.body_complete: anyio.Event | None = None
        """Set when the request body is complete; made by whoever waits for it first."""
        self.body_received_at: float | None = None
        self.headers_sent_at: float | None = None
        self.response_sent_at: float | None = None
        self.aborted_at: float | None = None
        self.rule: CompiledRule | None = None
        self.chosen = False
        """Whether the rule set has been asked; `rule` stays None where nothing matched."""
        self.request_noted = False
        self.finished = False
        """Whether the terminal record is written."""
        self.answer: Answer | None = None
        self.response_head: ResponseHead | None = None
        self.extra_headers: tuple[tuple[str, str], ...] = ()
        """Headers that the server adds to whatever the rule answers (CORS)."""
        self.tags: tuple[str, ...] = ()
        self.log_head: dict[str, Any] | None = None
        """The head as records hold it; filled by the notes."""
        self.request_pieces: Any = None
        self.response_pieces: Any = None
        self.view = RequestView(
            head.method,
            address.protocol,
            address.matched_url,
            address.hostname,
            address.port,
            address.path,
            address.headers,
            address.raw_headers,
            self.websocket,
            self._decoded_request_body,
        )

    def _decoded_request_body(self) -> bytes:
        return self.request_body.decoded(self.address.headers.get("content-encoding", ""))

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    def take_data(self, data: bytes) -> None:
        """A piece of the request body has arrived."""
        self.request_body.add(data)
        self.notes.request_data(self, data)

    def take_end(self, trailers: Sequence[Sequence[str]]) -> None:
        """The request is complete."""
        self.request_body.complete = True
        self.request_body.trailers = trailers
        self.view.body_complete = True
        self.body_received_at = clock.now()
        self.notes.request_data_end(self)
        if self.chosen:
            self.notes.request(self)
        if self.body_complete is not None:
            self.body_complete.set()

    async def wait_for_body(self) -> None:
        """Return when the request is complete."""
        if not self.request_body.complete:
            if self.body_complete is None:
                self.body_complete = anyio.Event()
            await self.body_complete.wait()

    def choose(self, rule: CompiledRule | None) -> None:
        """Keep the rule that answers (None: nothing matched)."""
        self.rule = rule
        self.chosen = True
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

    async def reply(self, answer: Answer) -> None:
        """Send a whole answer and finish the exchange."""
        head = self._framed(answer, streamed=False)
        body = answer.body
        if body and (self.channel.bodiless or answer.status in _BODILESS):
            body = b""
        self._begun(answer, head)
        await self.channel.send_whole(head, body, answer.trailers)
        self._sent_everything(body)

    async def begin(self, answer: Answer) -> None:
        """Send a head whose body follows in pieces."""
        head = self._framed(answer, streamed=True)
        self.response_body = Body(self.request_body.limit)
        self._begun(answer, head)
        await self.channel.send_head(head)

    async def send(self, data: bytes) -> None:
        """Send a piece of the body that `begin` announced."""
        if not data or self.channel.bodiless or self._status in _BODILESS:
            return
        assert self.response_body is not None
        await self.channel.send_data(data)
        self.response_body.add(data)
        self.notes.response_data(self, data)

    async def finish(self, trailers: Sequence[Sequence[str]] = ()) -> None:
        """End the body that `begin` announced, and the exchange."""
        assert self.answer is not None
        await self.channel.send_end(trailers or self.answer.trailers)
        self._sent_everything(None)

    async def inform(self, status: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Send a 1xx."""
        reason = REASONS.get(status, "Information")
        self.notes.information(self, status, reason, headers)
        await self.channel.send_interim(status, reason, headers)

    def abort(self, error: dict[str, Any] | None) -> None:
        """End the exchange before it is complete; once, and not after the answer is complete."""
        if not self.finished:
            self.aborted_at = clock.now()
            self.notes.abort(self, error)

    @property
    def _status(self) -> int:
        return self.response_head.status if self.response_head is not None else 0

    def _framed(self, answer: Answer, *, streamed: bool) -> ResponseHead:
        if self.extra_headers:
            own = {name.lower() for name, _ in answer.headers}
            added = tuple(pair for pair in self.extra_headers if pair[0].lower() not in own)
            answer = Answer(
                answer.status,
                answer.headers + added,
                answer.body,
                reason=answer.reason,
                trailers=answer.trailers,
            )
        return answer.framed(self.channel, streamed=streamed)

    def _begun(self, answer: Answer, head: ResponseHead) -> None:
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
