"""The event classes of exchanges: HTTP requests and responses, WebSockets, and what rules say."""

from __future__ import annotations

from dataclasses import dataclass, field

from mockrec.formats.schema.base import (
    CompleteRequest,
    DataPiece,
    Event,
    ExchangeEvent,
    RequestEvent,
    ResponseEvent,
)
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import FreeData, Headers, RawHeaders
from mockrec.formats.schema.objects import ErrorInfo, PartialResponse, TimingEvents

__all__ = [
    "Abort",
    "Request",
    "RequestBodyData",
    "RequestInitiated",
    "Response",
    "ResponseBodyData",
    "ResponseInformation",
    "ResponseInitiated",
    "RuleEvent",
    "WebSocketAccepted",
    "WebSocketClose",
    "WebSocketMessageReceived",
    "WebSocketMessageSent",
    "WebSocketRequest",
]


@dataclass(kw_only=True)
class RequestInitiated(RequestEvent, name="request-initiated"):
    """The head of a request is read; its body may still come."""


@dataclass(kw_only=True)
class RequestBodyData(DataPiece, name="request-body-data"):
    """A piece of a request's body arrived."""


@dataclass(kw_only=True)
class Request(CompleteRequest, name="request"):
    """A request is complete."""


@dataclass(kw_only=True)
class ResponseInitiated(ResponseEvent, name="response-initiated"):
    """The final head of a response is sent."""


@dataclass(kw_only=True)
class ResponseInformation(ResponseEvent, name="response-information"):
    """An interim response (1xx) is sent."""

    event_timestamp: float
    """Monotonic milliseconds."""


@dataclass(kw_only=True)
class ResponseBodyData(DataPiece, name="response-body-data"):
    """A piece of a response's body was sent."""


@dataclass(kw_only=True)
class Response(ResponseEvent, name="response"):
    """A response is completely sent: the end of an exchange."""

    method: str
    """Of the request."""
    url: str
    """Of the request."""
    host: str
    """With the port, unless it is the scheme's default."""
    matched_rule_id: str | None = None
    """The rule that answered; absent when none matched."""
    continued_rule_ids: list[str] | None = None
    """The rules that went on (`continue: true`) before, in their order; absent where there were none."""
    duration: float
    """Milliseconds from the start of the request to the end of the response."""
    body: Body
    """What was sent; empty for HEAD, 204 and 304."""
    trailers: Headers = field(default_factory=dict)
    """Fields sent after the body."""
    raw_trailers: RawHeaders | None = None
    """The same, as they were sent."""


@dataclass(kw_only=True)
class Abort(RequestEvent, name="abort"):
    """An exchange ended before it was complete."""

    host: str
    """With the port, unless it is the scheme's default."""
    duration: float
    """Milliseconds from the start of the request to its end."""
    error: ErrorInfo | None = None
    """Why, as far as it is known."""
    request_body: Body | None = None
    """What had come of the body, when there is no `request` record."""
    response: PartialResponse | None = None
    """What had been sent of a response."""


@dataclass(kw_only=True)
class WebSocketRequest(CompleteRequest, name="websocket-request"):
    """A WebSocket upgrade is asked for; it may yet be accepted or refused."""


@dataclass(kw_only=True)
class WebSocketAccepted(ResponseEvent, name="websocket-accepted"):
    """The upgrade is accepted."""

    body: Body | None = None
    """Only where the answer that accepts has any."""
    trailers: Headers = field(default_factory=dict)
    """Only where the answer that accepts has any."""
    raw_trailers: RawHeaders | None = None
    """Only where the answer that accepts has any."""


@dataclass(kw_only=True)
class WebSocketMessage(ExchangeEvent):
    """A complete WebSocket message."""

    stream_id: str
    """The same as `id`."""
    direction: str
    """`received` (from the client) or `sent` (to it)."""
    content: Body
    """The message."""
    is_binary: bool
    """Whether it is a binary message."""
    event_timestamp: float
    """Monotonic milliseconds."""
    timing_events: TimingEvents
    """Of the exchange."""
    tags: list[str]
    """Marks of the exchange; often empty."""


@dataclass(kw_only=True)
class WebSocketMessageReceived(WebSocketMessage, name="websocket-message-received"):
    """A message from the client."""


@dataclass(kw_only=True)
class WebSocketMessageSent(WebSocketMessage, name="websocket-message-sent"):
    """A message to the client."""


@dataclass(kw_only=True)
class WebSocketClose(ExchangeEvent, name="websocket-close"):
    """A WebSocket was closed with close frames: the end of an exchange."""

    stream_id: str
    """The same as `id`."""
    method: str
    """Of the upgrade request."""
    url: str
    """Of the upgrade request."""
    host: str
    """With the port, unless it is the scheme's default."""
    matched_rule_id: str | None = None
    """The rule that answered; absent when none matched."""
    continued_rule_ids: list[str] | None = None
    """The rules that went on (`continue: true`) before, in their order; absent where there were none."""
    duration: float
    """Milliseconds from the upgrade request to the close."""
    close_code: int | None = None
    """Absent when the close frame carried none."""
    close_reason: str
    """May be empty."""
    initiator: str | None = None
    """`client` or `server`: who sent its close frame first."""
    server_close_code: int | None = None
    """Of the server's close frame, where that was the first; clients need not answer with the same."""
    server_close_reason: str | None = None
    """Its reason; may be empty."""
    timing_events: TimingEvents
    """Of the exchange."""
    tags: list[str]
    """Marks of the exchange; often empty."""


@dataclass(kw_only=True)
class RuleEvent(Event, name="rule-event"):
    """A rule says something: traffic to upstream servers, faults of a rule, `emit` steps."""

    id: str
    """The exchange."""
    connection_id: str | None = None
    """The client connection."""
    request_id: str
    """The same as `id`."""
    rule_id: str
    """The rule; `unmatched` or `upstream` where none passed the request on."""
    event_type: str
    """For example `passthrough-request-head`, or the `type` of an `emit` step."""
    event_data: FreeData
    """What the type of event has to say."""
