"""What makes the log forms of an exchange's bodies, when its records are added or later."""

from __future__ import annotations

from typing import Any

from mockrec.engine.message.body import MessageBody
from mockrec.engine.recording.body_encoder import EMPTY_BODY, BodySnapshot
from mockrec.engine.recording.envelope import Record
from mockrec.engine.recording.event_log import MakeBody, PendingBody
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.wire.parts import ResponseHead


def kept_body(
    body: MessageBody, headers: dict[str, Any], side: str, exchange: LoggedExchange, *, incomplete: bool = False
) -> MakeBody:
    """Return what makes the log form of a body as it is now. `incomplete`: its end was not received."""
    snapshot = BodySnapshot(body)
    return lambda bodies: bodies.snapshot(snapshot, headers, side, exchange, incomplete=incomplete)


def partial_response(exchange: LoggedExchange, head: ResponseHead, parts: list[PendingBody]) -> Record:
    """Return the response of an abort; its body is added to `parts`."""
    record: Record = {"statusCode": head.status, "statusMessage": head.reason, "rawHeaders": head.raw_headers}
    if head.headers:
        record["headers"] = head.headers
    if exchange.response_body is not None:
        record["body"] = EMPTY_BODY
        make = kept_body(exchange.response_body, head.headers, "response", exchange, incomplete=True)
        parts.append((record, "body", make))
    return record
