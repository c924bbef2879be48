"""The log of connections without exchanges: failed TLS handshakes, and tunnels that are relayed unread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from mockrec.engine import clock
from mockrec.engine.ids import new_id
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.envelope import Record, envelope
from mockrec.engine.recording.event_log import Log
from mockrec.engine.redaction.backlog import Later, TooMuch

FailureCause = Literal["closed", "reset", "cert-rejected", "no-shared-cipher", "handshake-timeout", "unknown"]
Kind = Literal["tls-passthrough", "raw-passthrough"]


class ConnectionTimes(msgspec.Struct, frozen=True):
    """Milestones of a connection, in monotonic milliseconds."""

    connect: float
    tunnel: float | None = None
    handshake: float | None = None

    def entered(self, now: float) -> ConnectionTimes:
        """Return the times when a tunnel begins; an earlier handshake was not that of the connection inside."""
        return ConnectionTimes(self.connect, now)

    def secured(self, now: float) -> ConnectionTimes:
        """Return the times when a TLS handshake is complete."""
        return replace(self, handshake=now)

    def record(self, **more: float) -> Record:
        """Return the `timingEvents` of a record, with `more` milestones."""
        timing: Record = {"startTime": int(clock.wall(self.connect)), "connectTimestamp": self.connect}
        if self.tunnel is not None:
            timing["tunnelTimestamp"] = self.tunnel
        if self.handshake is not None:
            timing["handshakeTimestamp"] = self.handshake
        return timing | more


class ConnectionLog:
    """Logs what happens to connections."""

    def __init__(self, log: Log, types: frozenset[str], bodies: BodyEncoder, *, keeps_data: bool) -> None:
        """`keeps_data`: whether the bytes in raw tunnels are recorded, or only counted."""
        self._add = log.add
        self._types = types
        self._bodies = bodies
        self._keeps_data = keeps_data

    def tls_client_error(
        self,
        client: ClientConnection,
        times: ConnectionTimes,
        cause: FailureCause,
        destination: Record | None,
        metadata: Record | None,
    ) -> None:
        """Log that a TLS handshake failed, or that the client disconnected right after it."""
        if "tls-client-error" not in self._types:
            return
        now = clock.now()
        record = envelope("tls-client-error", new_id(), client.connection_id, now)
        record["failureCause"] = cause
        record["remoteIpAddress"] = client.ip
        record["remotePort"] = client.port
        if destination is not None:
            record["destination"] = destination
        record["tags"] = client.tags
        record["timingEvents"] = times.record(failureTimestamp=now)
        if metadata:
            record["tlsMetadata"] = metadata
        self._add(record)

    def tunnel(
        self,
        kind: Kind,
        client: ClientConnection,
        times: ConnectionTimes,
        destination: Record,
        metadata: Record | None,
    ) -> TunnelLog:
        """Log that a connection is relayed from now on; return the log of this tunnel."""
        return TunnelLog(self, kind, client, times, destination, metadata)

    def add(self, record: Record) -> None:
        """Add a record of a tunnel, if its type is recorded."""
        if record["type"] in self._types:
            self._add(record)

    def content(self, data: bytes) -> Record:
        """Return the log form of relayed bytes, as far as they are kept."""
        if not self._keeps_data:
            return {"size": len(data), "truncated": True, "text": ""}
        try:
            return self._bodies.chunk(data)
        except TooMuch:
            return Later(lambda bodies: bodies.chunk(data))

    @property
    def wants_data(self) -> bool:
        """Whether relayed bytes are recorded."""
        return "raw-passthrough-data" in self._types


class TunnelLog:
    """The records of one tunnel: opened, data, and closed once."""

    def __init__(
        self,
        log: ConnectionLog,
        kind: Kind,
        client: ClientConnection,
        times: ConnectionTimes,
        destination: Record,
        metadata: Record | None,
    ) -> None:
        self._log = log
        self._kind = kind
        self._client = client
        self._times = times
        self._id = new_id()
        self._ends: Record = {
            "destination": destination,
            "remoteIpAddress": client.ip,
            "remotePort": client.port,
        }
        self._metadata: Record = {"tlsMetadata": metadata} if metadata and kind == "tls-passthrough" else {}
        self.received = 0
        """Bytes received from the client."""
        self.sent = 0
        """Bytes sent to the client."""
        log.add(self._record(f"{kind}-opened", times.record(), client.tags))

    def _record(self, kind: str, timing: Record, tags: Sequence[str]) -> Record:
        return {
            **self._envelope(kind, clock.now()),
            **self._ends,
            "tags": tags,
            "timingEvents": timing,
            **self._metadata,
        }

    def _envelope(self, kind: str, now: float) -> Record:
        return envelope(kind, self._id, self._client.connection_id, now)

    def data(self, direction: Literal["received", "sent"], data: bytes) -> None:
        """Count bytes that were relayed, and log them if they are recorded."""
        if direction == "received":
            self.received += len(data)
        else:
            self.sent += len(data)
        if self._kind == "raw-passthrough" and self._log.wants_data:
            now = clock.now()
            record = self._envelope("raw-passthrough-data", now)
            record["direction"] = direction
            record["content"] = self._log.content(data)
            record["eventTimestamp"] = now
            self._log.add(record)

    def closed(self, *errors: str) -> None:
        """Log the end of the tunnel; `errors` are the codes of what ended it, if neither side closed it properly."""
        tags = (*self._client.tags, *(f"{self._kind}-error:{code}" for code in errors))
        record = self._record(f"{self._kind}-closed", self._times.record(disconnectTimestamp=clock.now()), tags)
        record["bytesReceived"] = self.received
        record["bytesSent"] = self.sent
        self._log.add(record)
