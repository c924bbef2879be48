"""The records of connections that carry no exchange: TLS that fails, and tunnels that are passed on unread.

The second builder of records besides `exchange_log.py`, for what happens below a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mockrec.engine import clock
from mockrec.engine.ids import new_id
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.envelope import Record
from mockrec.engine.recording.exchange_log import Log
from mockrec.engine.redaction.backlog import Later, TooMuch

FailureCause = Literal["closed", "reset", "cert-rejected", "no-shared-cipher", "handshake-timeout", "unknown"]
Kind = Literal["tls-passthrough", "raw-passthrough"]


@dataclass(frozen=True, slots=True)
class ConnectionTimes:
    """Milestones of a connection, in monotonic milliseconds."""

    connect: float
    tunnel: float | None = None
    handshake: float | None = None

    def entered(self, now: float) -> ConnectionTimes:
        """A tunnel begins; a handshake before it was not that of what is inside."""
        return ConnectionTimes(self.connect, now)

    def secured(self, now: float) -> ConnectionTimes:
        """A handshake is over."""
        return replace(self, handshake=now)

    def record(self, **more: float) -> Record:
        """As the log has them."""
        told: Record = {"startTime": int(clock.wall(self.connect)), "connectTimestamp": self.connect}
        if self.tunnel is not None:
            told["tunnelTimestamp"] = self.tunnel
        if self.handshake is not None:
            told["handshakeTimestamp"] = self.handshake
        return told | more


class ConnectionLog:
    """Tells the log what happens to connections."""

    def __init__(self, log: Log, types: frozenset[str], bodies: BodyEncoder, *, keeps_data: bool) -> None:
        """`keeps_data`: whether what goes through raw tunnels is kept, or only counted."""
        self._add = log.add
        self._types = types
        self._bodies = bodies
        self._keeps_data = keeps_data

    def tls_client_error(
        self,
        peer: ClientConnection,
        times: ConnectionTimes,
        cause: FailureCause,
        destination: Record | None,
        metadata: Record | None,
    ) -> None:
        """A TLS handshake has failed, or the client has given up right after it."""
        if "tls-client-error" not in self._types:
            return
        now = clock.now()
        record: Record = {
            "seq": 0,
            "type": "tls-client-error",
            "timestamp": clock.timestamp(now),
            "id": new_id(),
            "connectionId": peer.connection_id,
            "failureCause": cause,
            "remoteIpAddress": peer.ip,
            "remotePort": peer.port,
        }
        if destination is not None:
            record["destination"] = destination
        record["tags"] = peer.tags
        record["timingEvents"] = times.record(failureTimestamp=now)
        if metadata:
            record["tlsMetadata"] = metadata
        self._add(record)

    def tunnel(
        self, kind: Kind, peer: ClientConnection, times: ConnectionTimes, destination: Record, metadata: Record | None
    ) -> TunnelLog:
        """A connection is passed on from now on."""
        return TunnelLog(self, kind, peer, times, destination, metadata)

    def add(self, record: Record) -> None:
        """Add a record of a tunnel, if it is wanted."""
        if record["type"] in self._types:
            self._add(record)

    def content(self, data: bytes) -> Record:
        """What went through, as far as it is kept."""
        if not self._keeps_data:
            return {"size": len(data), "truncated": True, "text": ""}
        try:
            return self._bodies.piece(data)
        except TooMuch:
            return Later(lambda bodies: bodies.piece(data))

    @property
    def wants_data(self) -> bool:
        """Whether pieces are recorded."""
        return "raw-passthrough-data" in self._types


class TunnelLog:
    """The records of one tunnel: opened, data, closed once."""

    def __init__(
        self,
        notes: ConnectionLog,
        kind: Kind,
        peer: ClientConnection,
        times: ConnectionTimes,
        destination: Record,
        metadata: Record | None,
    ) -> None:
        self._notes = notes
        self._kind = kind
        self._peer = peer
        self._times = times
        self._id = new_id()
        self._told: Record = {
            "destination": destination,
            "remoteIpAddress": peer.ip,
            "remotePort": peer.port,
        }
        self._metadata: Record = {"tlsMetadata": metadata} if metadata and kind == "tls-passthrough" else {}
        self.received = 0
        """Bytes from the client."""
        self.sent = 0
        """Bytes to it."""
        notes.add(self._record(f"{kind}-opened", times.record(), peer.tags))

    def _record(self, kind: str, timing: Record, tags: Sequence[str]) -> Record:
        record = self._envelope(kind, clock.now())
        return {**record, **self._told, "tags": tags, "timingEvents": timing, **self._metadata}

    def _envelope(self, kind: str, now: float) -> Record:
        return {
            "seq": 0,
            "type": kind,
            "timestamp": clock.timestamp(now),
            "id": self._id,
            "connectionId": self._peer.connection_id,
        }

    def data(self, direction: Literal["received", "sent"], data: bytes) -> None:
        """A piece has gone through."""
        if direction == "received":
            self.received += len(data)
        else:
            self.sent += len(data)
        if self._kind == "raw-passthrough" and self._notes.wants_data:
            now = clock.now()
            record: dict[str, Any] = self._envelope("raw-passthrough-data", now)
            record["direction"] = direction
            record["content"] = self._notes.content(data)
            record["eventTimestamp"] = now
            self._notes.add(record)

    def closed(self, *errors: str) -> None:
        """It has ended; `errors` are the codes of what ended it, if that was not its sides' wish."""
        tags = (*self._peer.tags, *(f"{self._kind}-error:{code}" for code in errors))
        record = self._record(f"{self._kind}-closed", self._times.record(disconnectTimestamp=clock.now()), tags)
        record["bytesReceived"] = self.received
        record["bytesSent"] = self.sent
        self._notes.add(record)
