"""The objects that events are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import Headers, LogObject, RawHeaders


@dataclass(kw_only=True)
class Destination(LogObject):
    """Where a request or tunnel was meant to go."""

    hostname: str
    """The name or address."""
    port: int
    """The port."""


@dataclass(kw_only=True)
class TlsMetadata(LogObject):
    """What a client said in its TLS hello, and what was agreed."""

    sni_hostname: str | None = None
    """The server name that the client asked for."""
    client_alpn: list[str] | None = None
    """Protocols offered, in the client's order."""
    ja3_fingerprint: str | None = None
    """JA3 hash of the hello."""
    ja4_fingerprint: str | None = None
    """JA4 fingerprint of the hello."""
    version: str | None = None
    """For example `TLSv1.3`."""
    cipher: str | None = None
    """The cipher that was agreed."""


@dataclass(kw_only=True)
class ErrorInfo(LogObject):
    """What made something end."""

    name: str | None = None
    """The kind of error."""
    code: str | None = None
    """For example `ECONNRESET`."""
    message: str | None = None
    """In words."""
    stack: str | None = None
    """A traceback, of defects and of functions of yours."""


@dataclass(kw_only=True)
class TimingEvents(LogObject):
    """Milestones of an exchange; only those that had happened when the record was caused."""

    start_time: float
    """The request head was read; milliseconds since the Unix epoch."""
    start_timestamp: float
    """The same moment, monotonic."""
    body_received_timestamp: float | None = None
    """The request was complete."""
    headers_sent_timestamp: float | None = None
    """The final head was sent."""
    response_sent_timestamp: float | None = None
    """The answer was completely sent."""
    ws_accepted_timestamp: float | None = None
    """A WebSocket was accepted."""
    ws_closed_timestamp: float | None = None
    """A WebSocket was closed."""
    aborted_timestamp: float | None = None
    """The exchange was aborted."""


@dataclass(kw_only=True)
class ConnectionTiming(LogObject):
    """Milestones of a tunnel."""

    start_time: float
    """The connection was accepted; milliseconds since the Unix epoch."""
    connect_timestamp: float
    """The same moment, monotonic."""
    tunnel_timestamp: float | None = None
    """The tunnel around it was ready."""
    handshake_timestamp: float | None = None
    """The TLS handshake was done."""
    disconnect_timestamp: float | None = None
    """The connection ended."""


@dataclass(kw_only=True)
class TlsFailureTiming(ConnectionTiming):
    """Milestones of a handshake that failed."""

    failure_timestamp: float
    """The handshake failed."""


@dataclass(kw_only=True)
class PartialRequest(LogObject):
    """As much of a request as could be understood (`client-error`)."""

    id: str | None = None
    """The record's own id again."""
    protocol: str | None = None
    """`http`, `https`, `ws` or `wss`."""
    http_version: str | None = None
    """`1.0`, `1.1` or `2.0`."""
    method: str | None = None
    """As sent."""
    url: str | None = None
    """Absolute, with its query."""
    path: str | None = None
    """The request target."""
    remote_ip_address: str | None = None
    """The client's address."""
    remote_port: int | None = None
    """The client's port."""
    destination: Destination | None = None
    """Where the request was meant to go."""
    headers: Headers = field(default_factory=dict)
    """By name, for look-ups."""
    raw_headers: RawHeaders | None = None
    """As they were sent."""
    body: Body | None = None
    """What had come of the body."""
    trailers: Headers = field(default_factory=dict)
    """Fields that came after the body."""
    raw_trailers: RawHeaders | None = None
    """The same, as they were sent."""
    timing_events: TimingEvents | None = None
    """What had happened by then."""
    tags: list[str] | None = None
    """Marks; often empty."""
    tls_metadata: TlsMetadata | None = None
    """Only over TLS."""
    raw_head: Body | None = None
    """The bytes that came, as far as they were read."""


@dataclass(kw_only=True)
class PartialResponse(LogObject):
    """A response inside another record: what was sent of it (`abort`, `client-error`)."""

    status_code: int
    """The status."""
    id: str | None = None
    """The exchange."""
    status_message: str | None = None
    """The reason phrase."""
    headers: Headers = field(default_factory=dict)
    """By name, for look-ups."""
    raw_headers: RawHeaders | None = None
    """As they were sent."""
    body: Body | None = None
    """What had been sent of the body; `incomplete` in `abort`."""
    trailers: Headers = field(default_factory=dict)
    """Fields sent after the body."""
    raw_trailers: RawHeaders | None = None
    """The same, as they were sent."""
    timing_events: TimingEvents | None = None
    """What had happened by then."""
    tags: list[str] | None = None
    """Marks of the exchange; often empty."""
