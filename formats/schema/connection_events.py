"""The event classes of connections: faults below a request, and tunnels that are passed on undecrypted."""

from __future__ import annotations

from mockrec.formats.schema.base import Event, ExchangeEvent
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import log_object
from mockrec.formats.schema.objects import (
    ConnectionTiming,
    Destination,
    PartialRequest,
    PartialResponse,
    TlsFailureTiming,
    TlsMetadata,
)

__all__ = [
    "ClientError",
    "RawPassthroughClosed",
    "RawPassthroughData",
    "RawPassthroughOpened",
    "TlsClientError",
    "TlsPassthroughClosed",
    "TlsPassthroughOpened",
]


@log_object
class TlsClientError(Event, name="tls-client-error"):
    """A TLS handshake failed, or the client closed the connection right after it."""

    id: str | None = None
    """The record's own id."""
    connection_id: str
    """The client connection."""
    failure_cause: str
    """`closed`, `reset`, `cert-rejected`, `no-shared-cipher`, `handshake-timeout` or `unknown`."""
    remote_ip_address: str | None = None
    """The client's address."""
    remote_port: int | None = None
    """The client's port."""
    destination: Destination | None = None
    """The destination of its tunnel, or the server name."""
    tags: list[str]
    """Tags of the connection; often empty."""
    timing_events: TlsFailureTiming
    """Milestones of the connection."""
    tls_metadata: TlsMetadata | None = None
    """The client's hello, as far as it was read."""


@log_object
class ClientError(ExchangeEvent, name="client-error"):
    """The head of a request could not be parsed, or its connection violated the protocol."""

    exchange_id: str | None = None
    """The exchange that it ended, if there was one."""
    error_code: str | None = None
    """For example `HPE_INVALID_METHOD`."""
    error_message: str | None = None
    """The fault in words."""
    request: PartialRequest | None = None
    """The part of the request that could be parsed; `raw_head` has the bytes."""
    response: PartialResponse | None = None
    """The response that was sent."""
    aborted: bool | None = None
    """True if no response was sent."""


@log_object
class TunnelEvent(ExchangeEvent):
    """A record of a connection that is passed on."""

    destination: Destination
    """The server to which it is passed on."""
    remote_ip_address: str
    """The client's address."""
    remote_port: int
    """The client's port."""
    tags: list[str]
    """Tags of the connection; often empty."""
    timing_events: ConnectionTiming
    """Milestones of the tunnel."""


@log_object
class TlsPassthroughOpened(TunnelEvent, name="tls-passthrough-opened"):
    """A TLS connection is passed on undecrypted."""

    tls_metadata: TlsMetadata | None = None
    """The client's hello."""


@log_object
class TlsPassthroughClosed(TlsPassthroughOpened, name="tls-passthrough-closed"):
    """A passed-on TLS connection has ended."""

    bytes_received: int
    """From the client."""
    bytes_sent: int
    """To the client."""


@log_object
class RawPassthroughOpened(TunnelEvent, name="raw-passthrough-opened"):
    """A connection in another protocol is passed on."""


@log_object
class RawPassthroughClosed(TunnelEvent, name="raw-passthrough-closed"):
    """A passed-on connection has ended."""

    bytes_received: int
    """From the client."""
    bytes_sent: int
    """To the client."""


@log_object
class RawPassthroughData(ExchangeEvent, name="raw-passthrough-data"):
    """A chunk of the data of a raw tunnel."""

    direction: str
    """`received` (from the client) or `sent` (to it)."""
    content: Body
    """The bytes; recorded only with `record.rawData`."""
    event_timestamp: float
    """Monotonic milliseconds."""
