"""The objects that events are made of."""

from __future__ import annotations

from dataclasses import field

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import Headers, LogObject, RawHeaders, log_object


@log_object
class Destination(LogObject):
    """The origin server of a request, or the destination of a tunnel."""

    hostname: str
    """The name or address."""
    port: int
    """The port."""


@log_object
class TlsMetadata(LogObject):
    """The client's TLS hello, and what was negotiated."""

    sni_hostname: str | None = None
    """The server name in the client's hello."""
    client_alpn: list[str] | None = None
    """The offered protocols, in the client's order."""
    ja3_fingerprint: str | None = None
    """JA3 hash of the hello."""
    ja4_fingerprint: str | None = None
    """JA4 fingerprint of the hello."""
    version: str | None = None
    """For example `TLSv1.3`."""
    cipher: str | None = None
    """The negotiated cipher suite."""


@log_object
class ErrorInfo(LogObject):
    """The cause of an abnormal end."""

    name: str | None = None
    """The kind of error."""
    code: str | None = None
    """For example `ECONNRESET`."""
    message: str | None = None
    """The cause in words."""
    stack: str | None = None
    """A traceback, for defects of mockrec and for errors in your Python functions."""


@log_object
class TimingEvents(LogObject):
    """Milestones of an exchange; only those before the event of the record."""

    start_time: float
    """The request head was read; milliseconds since the Unix epoch."""
    start_timestamp: float
    """The same moment, monotonic."""
    body_received_timestamp: float | None = None
    """The request was complete."""
    headers_sent_timestamp: float | None = None
    """The final head was sent."""
    response_sent_timestamp: float | None = None
    """The response was completely sent."""
    ws_accepted_timestamp: float | None = None
    """A WebSocket was accepted."""
    ws_closed_timestamp: float | None = None
    """A WebSocket was closed."""
    aborted_timestamp: float | None = None
    """The exchange was aborted."""


@log_object
class OperationInfo(LogObject):
    """The protocol of a request that names its calls in the body. The name is computed by readers, from the body."""

    protocol: str
    """For example `graphql`, as far as the head of the request tells."""


@log_object
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


@log_object
class TlsFailureTiming(ConnectionTiming):
    """Milestones of a handshake that failed."""

    failure_timestamp: float
    """The handshake failed."""


@log_object
class PartialRequest(LogObject):
    """The part of a request that could be parsed (`client-error`)."""

    id: str | None = None
    """The id of the record."""
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
    """The origin server."""
    headers: Headers = field(default_factory=dict)
    """Header fields by name, for look-ups."""
    raw_headers: RawHeaders | None = None
    """Header fields as sent."""
    body: Body | None = None
    """The received part of the body."""
    trailers: Headers = field(default_factory=dict)
    """Trailer fields by name."""
    raw_trailers: RawHeaders | None = None
    """Trailer fields as sent."""
    timing_events: TimingEvents | None = None
    """The milestones before this record."""
    tags: list[str] | None = None
    """Tags; often empty."""
    tls_metadata: TlsMetadata | None = None
    """Only over TLS."""
    raw_head: Body | None = None
    """The received bytes, as far as they were read."""


@log_object
class PartialResponse(LogObject):
    """The sent part of a response, in another record (`abort`, `client-error`)."""

    status_code: int
    """The status code."""
    id: str | None = None
    """The id of the exchange."""
    status_message: str | None = None
    """The reason phrase."""
    headers: Headers = field(default_factory=dict)
    """Header fields by name, for look-ups."""
    raw_headers: RawHeaders | None = None
    """Header fields as sent."""
    body: Body | None = None
    """The sent part of the body; `incomplete` in `abort`."""
    trailers: Headers = field(default_factory=dict)
    """Trailer fields by name."""
    raw_trailers: RawHeaders | None = None
    """Trailer fields as sent."""
    timing_events: TimingEvents | None = None
    """The milestones before this record."""
    tags: list[str] | None = None
    """Tags of the exchange; often empty."""
