"""What the steps `passthrough` and `forward` log: rule-events about the request as the server gets it, about the
server's response, and about a failure on the way. What the client gets is logged by the exchange, as with every step.

`rule_id` stands for the rule in the log where no rule passes the request on; None: the rule of the exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.upstream.errors import LOOP, UpstreamError
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.odd_fields import odd_tags
from mockrec.engine.wire.parts import RawHeaders, ResponseHead
from mockrec.engine.wire.request_line import target_text
from mockrec.engine.wire.websocket.handshake import offered_protocols

_NOT_CHANGED: Final = {"overridden": False}
_BODY_EVENTS: Final = {"request": "passthrough-request-body", "response": "passthrough-response-body"}
_WEBSOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}


def log_request(
    exchange: Exchange, rule_id: str | None, request: UpstreamRequest, fields: list[list[str]], body: bytes | None
) -> None:
    """Log the request as it is sent with these fields; `body` replaces the client's (None: it is the client's own)."""
    data = {
        "method": request.method,
        "protocol": request.protocol,
        "hostname": request.route.name,
        "port": str(request.route.port),
        "path": target_text(request.target),
        "rawHeaders": fields,
    }
    exchange.log.passthrough_event(exchange, "passthrough-request-head", "request", data, {}, rule_id=rule_id)
    if body is None:
        log_unchanged_body(exchange, rule_id, "request")
    else:
        log_changed_body(exchange, rule_id, "request", body, fields)


def log_response_head(
    exchange: Exchange, rule_id: str | None, stream: UpstreamStream, head: ResponseHead, first_byte: float
) -> None:
    """Log the head of the final response; `first_byte`: milliseconds from the request to it."""
    timings = {**(stream.transport.timings if stream.request_number == 1 else {})}
    timings["firstByte"] = round(first_byte, 4)
    ip, port = stream.byte_stream.peer
    data = {
        "statusCode": head.status,
        "statusMessage": head.reason,
        "httpVersion": head.version,
        "rawHeaders": head.raw_headers,
        "remoteIpAddress": ip,
        "remotePort": port,
    }
    if head.odd:
        data["rawHead"] = head.raw.decode("latin-1")
    if stream.request_number > 1:
        data["reused"] = True
    measured = {"timings": timings}
    exchange.log.passthrough_event(exchange, "passthrough-response-head", "response", data, measured, rule_id=rule_id)


def log_unchanged_body(exchange: Exchange, rule_id: str | None, side: str) -> None:
    """Log that the body of the `request` or `response` is passed on as it is received."""
    exchange.log.passthrough_event(exchange, _BODY_EVENTS[side], side, _NOT_CHANGED, {}, rule_id=rule_id)


def log_changed_body(exchange: Exchange, rule_id: str | None, side: str, body: bytes, fields: RawHeaders) -> None:
    """Log a body that is not the one in the client's exchange: of the request as the server gets it, of the response
    as the server sent it. `fields` are those of its head."""
    raw_body = exchange.log.wire_content(body, exchange, side, fields)
    data = {"overridden": True, "rawBody": raw_body}
    exchange.log.rule_event(exchange, _BODY_EVENTS[side], data, rule_id=rule_id)


def log_websocket(exchange: Exchange, rule_id: str | None, request: UpstreamRequest, *, http2: bool) -> None:
    """Log the opening handshake of a WebSocket as it is sent to the server."""
    data = {
        "method": "GET",
        "protocol": _WEBSOCKET_SCHEMES[request.protocol],
        "hostname": request.route.name,
        "port": str(request.route.port),
        "path": target_text(request.target),
        "rawHeaders": request.websocket_for_http2() if http2 else request.websocket_for_http1(),
        "subprotocols": list(offered_protocols(exchange.target.headers)),
    }
    exchange.log.rule_event(exchange, "passthrough-websocket-connect", data, rule_id=rule_id)


def log_abort(exchange: Exchange, rule_id: str | None, error: UpstreamError, *, by_client: bool = False) -> None:
    """Log why the request or its response did not arrive; `by_client`: the client aborted the exchange."""
    if error.code == LOOP:
        return  # no server was asked
    data: dict[str, Any] = {
        "downstreamAborted": by_client,
        "tags": [*exchange.tags, *(() if by_client else error.tags)],
        "error": {"name": "UpstreamError", "code": error.code, "message": str(error)},
    }
    if error.raw_head:
        data["rawHead"] = error.raw_head.decode("latin-1")
    exchange.log.rule_event(exchange, "passthrough-abort", data, rule_id=rule_id)


def tag_odd(exchange: Exchange, kinds: Sequence[str]) -> None:
    """Tag the exchange with the faults for which a response of the server was accepted all the same."""
    if kinds:
        exchange.tag(*(tag for tag in odd_tags(kinds) if tag not in exchange.tags))
