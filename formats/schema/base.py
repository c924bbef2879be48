"""Base classes of the event classes: the keys that several types of records share."""

from __future__ import annotations

from dataclasses import field

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import Headers, LogObject, RawHeaders, log_object
from mockrec.formats.schema.lifecycle import LIFECYCLE
from mockrec.formats.schema.objects import Destination, OperationInfo, TimingEvents, TlsMetadata

registered: dict[str, type[Event]] = {}
"""Event type → the class with its name, in the order of their definitions."""


@log_object
class Event(LogObject):
    """One record of the log. A subclass with a `name` is the class of that event type."""

    seq: int
    """0, 1, 2, … without a gap, in causal order."""
    type: str
    """One of the types of the schema, for example `request`."""
    timestamp: str
    """ISO 8601 in UTC with six fraction digits and `Z`."""

    def __init_subclass__(cls, *, name: str = "") -> None:
        super().__init_subclass__()
        if name:
            if name not in LIFECYCLE:
                raise TypeError(f"{cls.__name__}: {name!r} has no row in `lifecycle.LIFECYCLE`")
            registered[name] = cls


@log_object
class ExchangeEvent(Event):
    """A record that belongs to an exchange or tunnel of one client connection."""

    id: str
    """The exchange or tunnel: a lower-case UUID that sorts by time."""
    connection_id: str
    """The client's TCP connection, the same in its tunnels and streams."""
    scope: str | None = None
    """The scope (the test) that the exchange belongs to; absent without scopes."""


@log_object
class RequestEvent(ExchangeEvent):
    """A record with the head of a request."""

    matched_rule_id: str | None = None
    """The rule that responds, once it is selected; absent if no rule matches."""
    continued_rule_ids: list[str] | None = None
    """The rules with `continue: true` before that rule, in order; absent if there are none."""
    protocol: str
    """`http`, `https`, `ws` or `wss`."""
    http_version: str
    """`1.0`, `1.1` or `2.0`."""
    method: str
    """As sent."""
    url: str
    """Absolute, with its query."""
    path: str
    """The request target with its query."""
    remote_ip_address: str | None = None
    """The client's address."""
    remote_port: int | None = None
    """The client's port."""
    destination: Destination | None = None
    """The origin server of the request."""
    headers: Headers = field(default_factory=dict)
    """Header fields by name, for look-ups."""
    raw_headers: RawHeaders
    """Header fields as sent."""
    timing_events: TimingEvents
    """The milestones before this record."""
    tags: list[str]
    """Tags of the exchange; often empty."""
    tls_metadata: TlsMetadata | None = None
    """Only for requests over TLS."""


@log_object
class CompleteRequest(RequestEvent):
    """A record with a whole request."""

    body: Body
    """The whole body, as far as it is recorded."""
    trailers: Headers = field(default_factory=dict)
    """Trailer fields by name."""
    raw_trailers: RawHeaders | None = None
    """Trailer fields as sent."""
    operation: OperationInfo | None = None
    """Only for requests of protocols such as GraphQL, which put many calls behind one URL."""


@log_object
class ResponseEvent(ExchangeEvent):
    """A record with the head of a response as sent, including the fields that mockrec adds."""

    status_code: int
    """The status code."""
    status_message: str
    """The reason phrase; empty if the protocol has none."""
    headers: Headers = field(default_factory=dict)
    """Header fields by name, for look-ups."""
    raw_headers: RawHeaders
    """Header fields as sent."""
    timing_events: TimingEvents
    """The milestones before this record."""
    tags: list[str]
    """Tags of the exchange; often empty."""


@log_object
class BodyChunkEvent(ExchangeEvent):
    """A record with one chunk of a body."""

    content: Body
    """The chunk."""
    is_ended: bool
    """True for the last chunk."""
    event_timestamp: float
    """Monotonic milliseconds."""
