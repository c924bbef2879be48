"""The event classes of exchanges: HTTP requests and responses, WebSockets, and events of rules."""

from __future__ import annotations

from dataclasses import field

from mockrec.formats.schema.base import (
    BodyChunkEvent,
    CompleteRequest,
    Event,
    ExchangeEvent,
    RequestEvent,
    ResponseEvent,
)
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import FreeData, Headers, RawHeaders, log_object
from mockrec.formats.schema.objects import ErrorInfo, PartialResponse, TimingEvents

__all__ = [
    "Abort",
    "GrpcMessageReceived",
    "GrpcMessageSent",
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


@log_object
class RequestInitiated(RequestEvent, name="request-initiated"):
    """The head of a request was received; its body may follow."""


@log_object
class RequestBodyData(BodyChunkEvent, name="request-body-data"):
    """A chunk of a request's body was received."""


@log_object
class Request(CompleteRequest, name="request"):
    """A request was completely received."""


@log_object
class ResponseInitiated(ResponseEvent, name="response-initiated"):
    """The head of the final response was sent."""


@log_object
class ResponseInformation(ResponseEvent, name="response-information"):
    """An interim response (1xx) was sent."""

    event_timestamp: float
    """Monotonic milliseconds."""


@log_object
class ResponseBodyData(BodyChunkEvent, name="response-body-data"):
    """A chunk of a response's body was sent."""


@log_object
class Response(ResponseEvent, name="response"):
    """A response was completely sent: the end of an exchange."""

    method: str
    """The method of the request."""
    url: str
    """The URL of the request."""
    host: str
    """The host of the URL, with the port unless that is the scheme's default."""
    matched_rule_id: str | None = None
    """The rule that responded; absent if no rule matched."""
    continued_rule_ids: list[str] | None = None
    """The rules with `continue: true` before that rule, in order; absent if there were none."""
    duration: float
    """Milliseconds from the start of the request to the end of the response."""
    body: Body
    """The body as sent; empty for HEAD, 204 and 304."""
    trailers: Headers = field(default_factory=dict)
    """Trailer fields by name."""
    raw_trailers: RawHeaders | None = None
    """Trailer fields as sent."""


@log_object
class Abort(RequestEvent, name="abort"):
    """An exchange ended before it was complete."""

    host: str
    """The host of the URL, with the port unless that is the scheme's default."""
    duration: float
    """Milliseconds from the start of the request to its end."""
    error: ErrorInfo | None = None
    """The cause, as far as it is known."""
    request_body: Body | None = None
    """The received part of the body, if there is no `request` record."""
    response: PartialResponse | None = None
    """The sent part of a response."""


@log_object
class WebSocketRequest(CompleteRequest, name="websocket-request"):
    """A WebSocket handshake was requested; it may be accepted or rejected."""


@log_object
class WebSocketAccepted(ResponseEvent, name="websocket-accepted"):
    """The WebSocket handshake was accepted."""

    body: Body | None = None
    """Only if the accepting response has a body."""
    trailers: Headers = field(default_factory=dict)
    """Only if the accepting response has trailer fields."""
    raw_trailers: RawHeaders | None = None
    """Only if the accepting response has trailer fields."""


@log_object
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
    """The milestones of the exchange."""
    tags: list[str]
    """Tags of the exchange; often empty."""


@log_object
class WebSocketMessageReceived(WebSocketMessage, name="websocket-message-received"):
    """A message from the client."""


@log_object
class WebSocketMessageSent(WebSocketMessage, name="websocket-message-sent"):
    """A message to the client."""


@log_object
class WebSocketClose(ExchangeEvent, name="websocket-close"):
    """A WebSocket was closed with close frames: the end of an exchange."""

    stream_id: str
    """The same as `id`."""
    method: str
    """The method of the handshake request."""
    url: str
    """The URL of the handshake request."""
    host: str
    """The host of the URL, with the port unless that is the scheme's default."""
    matched_rule_id: str | None = None
    """The rule that responded; absent if no rule matched."""
    continued_rule_ids: list[str] | None = None
    """The rules with `continue: true` before that rule, in order; absent if there were none."""
    duration: float
    """Milliseconds from the handshake request to the close."""
    close_code: int | None = None
    """The status code of the client's close frame; absent if the frame had none."""
    close_reason: str
    """The reason in that frame; may be empty."""
    initiator: str | None = None
    """`client` or `server`: the side that sent its close frame first."""
    server_close_code: int | None = None
    """The status code of the server's close frame, if that was the first; the client's may differ."""
    server_close_reason: str | None = None
    """The reason in that frame; may be empty."""
    timing_events: TimingEvents
    """The milestones of the exchange."""
    tags: list[str]
    """Tags of the exchange; often empty."""


@log_object
class GrpcMessageEvent(ExchangeEvent):
    """A complete gRPC message has passed. Its bytes are in the body of the request or response."""

    index: int
    """Its number among the messages of its direction, from 0."""
    size: int
    """Bytes as sent, without the five bytes before each message."""
    compressed: bool | None = None
    """True if it was sent compressed."""
    message: FreeData | None = None
    """A short message (up to 16 KiB) as JSON: by the descriptors of `record.protobuf`, or else by field numbers. With
    `problem` if it is malformed."""
    followed_by: int | None = None
    """The number of messages after it that came in the same piece of the body and have no record of their own."""
    event_timestamp: float
    """Monotonic milliseconds."""


@log_object
class GrpcMessageReceived(GrpcMessageEvent, name="grpc-message-received"):
    """A gRPC message from the client."""


@log_object
class GrpcMessageSent(GrpcMessageEvent, name="grpc-message-sent"):
    """A gRPC message to the client."""


@log_object
class RuleEvent(Event, name="rule-event"):
    """An event of a rule: traffic to upstream servers, faults of a rule, `emit` steps."""

    id: str
    """The exchange."""
    connection_id: str | None = None
    """The client connection."""
    scope: str | None = None
    """The scope (the test) that the exchange belongs to; absent without scopes."""
    request_id: str
    """The same as `id`."""
    rule_id: str
    """The rule; `unmatched` or `upstream` if the request was passed on without a rule."""
    event_type: str
    """For example `passthrough-request-head`, or the `type` of an `emit` step."""
    event_data: FreeData
    """The data of the event, which depend on its type."""
