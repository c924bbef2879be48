"""The exchanges of a replay as they are recorded.

A replay is a client, but its session describes its exchanges as any other session does, from the server's side, so
that the two can be compared. So it records each request that it sends as an `Exchange` that has no client and no rule:
the request is complete from the start, and what the exchange responds with goes into the log only (`NULL_CHANNEL`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.scope import Scope
from mockrec.engine.message.target_uri import ConnectionContext, TargetUri, read_target_uri
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.replay.send.null_channel import NULL_CHANNEL
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.wire.parts import RequestHead, header_table

REPLAY_OF = "replay-of:"


@dataclass(frozen=True, slots=True)
class SendContext:
    """What all requests of a replay share."""

    upstream_client: UpstreamClient
    log: ExchangeLog
    timeout: float
    """Seconds from a request to the end of its response, and to each message that a WebSocket waits for."""
    body_limit: int
    """Bytes of a body that the log keeps."""
    message_limit: int


def recorded_exchange(
    context: SendContext,
    peer: ClientConnection,
    request: UpstreamRequest,
    recorded_id: str,
    body: bytes = b"",
    tags: Sequence[str] = (),
    scope: str | None = None,
    *,
    http2: bool,
    websocket: bool,
) -> Exchange:
    """Log a request that is about to be sent, with its body, and return its exchange, which takes the response.

    `recorded_id` is the id of the exchange that is replayed, `scope` the name of its scope. Raises ValueError for a URL
    that cannot be requested.
    """
    key = http2, websocket, bool(body)
    made = request.recorded
    if not isinstance(made, _MadeHead) or made.key != key:
        made = request.recorded = _MadeHead(key, *_head_of(request, http2, websocket, bool(body)))
    exchange = Exchange(made.head, made.target, peer, NULL_CHANNEL, context.log, context.body_limit, context.body_limit)
    exchange.tag(f"{REPLAY_OF}{recorded_id}", *tags)
    context.log.search_tags(exchange)
    if scope is not None:
        exchange.scope = Scope(scope)
    context.log.request_initiated(exchange)
    if body:
        exchange.take_data(body)
    exchange.take_end(())
    exchange.choose(None)  # no rule responds: the server does
    return exchange


class _MadeHead:
    """The head of a request that is sent again and again, as `Exchange` needs it."""

    __slots__ = ("head", "key", "target")

    def __init__(self, key: tuple[bool, bool, bool], head: RequestHead, target: TargetUri) -> None:
        self.key = key
        self.head = head
        self.target = target


def _head_of(request: UpstreamRequest, http2: bool, websocket: bool, has_body: bool) -> tuple[RequestHead, TargetUri]:
    """The head and the target of a request. Raises ValueError for a URL that cannot be requested."""
    fields = request.for_http2() if http2 else request.for_http1()
    if websocket and not http2:
        fields = request.websocket_for_http1()
    head = RequestHead(request.method, request.target, "2.0" if http2 else "1.1", fields, header_table(fields))
    head.upgrade = "websocket" if websocket else ""
    origin = ConnectionContext(request.protocol, (request.route.name, request.route.port))
    target = read_target_uri(head, request.route.port, origin)
    if isinstance(target, str):
        raise ValueError(f"{request.url} is no URL that can be asked for ({target})")
    head.has_body = has_body  # before the exchange is made, which opens a file for a long body
    return head, target


def abort(exchange: Exchange, error: UpstreamError) -> None:
    """End an exchange whose response did not arrive completely, and log why."""
    exchange.tag(*error.tags)
    exchange.abort({"name": "UpstreamError", "code": error.code, "message": str(error)})


def described(error: UpstreamError) -> str:
    """The error for people, with its code."""
    return f"{error} [{error.code}]"
