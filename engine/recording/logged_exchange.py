"""An exchange with what the log remembers about it while its records are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockrec.engine.message.body import MessageBody
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.state import ExchangeState
from mockrec.engine.message.target_uri import TargetUri
from mockrec.engine.recording.owner import Owner
from mockrec.engine.wire.parts import RequestHead

if TYPE_CHECKING:
    from mockrec.engine.recording.chunk_batcher import BodyChunkBatcher
    from mockrec.engine.recording.grpc_log import GrpcMessages


class MessageForms:
    """What is kept of a WebSocket between two of its messages (`lines.py`)."""

    __slots__ = ("milestones", "pieces")

    def __init__(self, milestones: tuple[float | bytes | None, ...]) -> None:
        """`milestones`: all that may change in these pieces."""
        self.milestones = milestones
        self.pieces: dict[str, tuple[bytes, bytes, bytes]] = {}
        """By direction."""


class LoggedExchange(ExchangeState, Owner):
    """The state of an exchange, and the bookkeeping of its records, which only `recording/` and `redaction/` change. A
    base class, not an object of its own: an exchange costs one allocation."""

    __slots__ = (
        "grpc",
        "known",
        "line_ids",
        "line_tags",
        "message_forms",
        "plain_tags",
        "request_chunks",
        "request_logged",
        "response_chunks",
        "waiting",
    )

    def __init__(
        self, head: RequestHead, target: TargetUri, client: ClientConnection, request_body: MessageBody
    ) -> None:
        ExchangeState.__init__(self, head, target, client, request_body)  # `super()` takes twice as long
        self.known = None
        """The secrets found so far in its records; they are replaced in all later records of the exchange."""
        self.waiting = 0
        """How many of its records are being redacted in the thread of the `Backlog`."""
        self.line_ids = b""
        """Its ids as all its records have them; empty until they are encoded for the first one (`lines.py`)."""
        self.message_forms: MessageForms | None = None
        self.plain_tags = ()
        self.line_tags = b"[]"
        self.request_logged = False
        """Whether the record of the complete request (`request`, `websocket-request`) is due or written."""
        self.grpc: GrpcMessages | None = None
        """The messages of a gRPC exchange; None for all others."""
        self.request_chunks: BodyChunkBatcher | None = None
        self.response_chunks: BodyChunkBatcher | None = None
