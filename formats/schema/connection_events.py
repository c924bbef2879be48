"""The event classes of connections: faults below a request, and tunnels that are passed on unread."""

from __future__ import annotations

from dataclasses import dataclass

from mockrec.formats.schema.base import Event, ExchangeEvent
from mockrec.formats.schema.body import Body
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


@dataclass(kw_only=True)
class TlsClientError(Event, name="tls-client-error"):
    """A TLS handshake failed, or the client gave up right after it."""

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
    """Where its tunnel was to go, or the server name."""
    tags: list[str]
    """Marks of the connection; often empty."""
    timing_events: TlsFailureTiming
    """Milestones of the connection."""
    tls_metadata: TlsMetadata | None = None
    """As far as the hello was read."""


@dataclass(kw_only=True)
class ClientError(ExchangeEvent, name="client-error"):
    """A request failed before its head was understood, or its connection broke the protocol."""

    exchange_id: str | None = None
    """The exchange that was broken by it, if there was one."""
    error_code: str | None = None
    """For example `HPE_INVALID_METHOD`."""
    error_message: str | None = None
    """What was wrong, in words."""
    request: PartialRequest | None = None
    """What could be understood; `raw_head` has the bytes."""
    response: PartialResponse | None = None
    """What was answered."""
    aborted: bool | None = None
    """True when nothing was answered."""


@dataclass(kw_only=True)
class TunnelEvent(ExchangeEvent):
    """A record of a connection that is passed on."""

    destination: Destination
    """Where it is passed on to."""
    remote_ip_address: str
    """The client's address."""
    remote_port: int
    """The client's port."""
    tags: list[str]
    """Marks of the connection; often empty."""
    timing_events: ConnectionTiming
    """Milestones of the tunnel."""


@dataclass(kw_only=True)
class TlsPassthroughOpened(TunnelEvent, name="tls-passthrough-opened"):
    """A TLS connection is passed on unread."""

    tls_metadata: TlsMetadata | None = None
    """What the hello said."""


@dataclass(kw_only=True)
class TlsPassthroughClosed(TlsPassthroughOpened, name="tls-passthrough-closed"):
    """A passed-on TLS connection has ended."""

    bytes_received: int
    """From the client."""
    bytes_sent: int
    """To the client."""


@dataclass(kw_only=True)
class RawPassthroughOpened(TunnelEvent, name="raw-passthrough-opened"):
    """A connection in another protocol is passed on."""


@dataclass(kw_only=True)
class RawPassthroughClosed(TunnelEvent, name="raw-passthrough-closed"):
    """A passed-on connection has ended."""

    bytes_received: int
    """From the client."""
    bytes_sent: int
    """To the client."""


@dataclass(kw_only=True)
class RawPassthroughData(ExchangeEvent, name="raw-passthrough-data"):
    """A piece of what went through a raw tunnel."""

    direction: str
    """`received` (from the client) or `sent` (to it)."""
    content: Body
    """The bytes; kept only with `record.rawData`."""
    event_timestamp: float
    """Monotonic milliseconds."""
