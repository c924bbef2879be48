"""The head of a server's response as the client gets it: changed by the rule, framed for the client's connection."""

from __future__ import annotations

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import REASONS, PreparedResponse
from mockrec.engine.rules.model import ResponseChanges
from mockrec.engine.steps.transform import changed_headers
from mockrec.engine.upstream.headers import end_to_end, with_chunks, with_length, without
from mockrec.engine.wire.parts import ResponseHead
from mockrec.engine.wire.syntax import BODILESS_STATUSES, FRAMING_NAMES


def client_response(
    exchange: Exchange, changes: ResponseChanges, head: ResponseHead, length: int | None, *, trailers: bool = False
) -> PreparedResponse:
    """The response without its body; `length` is that of the body, where it is known."""
    status = changes.status or head.status
    fields, reason = head.raw_headers, head.reason
    if head.version == "2.0":
        fields = [pair for pair in fields if pair[0] != ":status"]
    if head.version == "2.0" or changes.status is not None:
        reason = REASONS.get(status, "")
    fields = changed_headers(end_to_end(fields), changes.headers)
    fields = _framed(fields, exchange, changes, head, status, length, trailers)
    headers = tuple([(name, value) for name, value in fields])
    return PreparedResponse(status, headers, reason=reason, relayed=True)


def _framed(
    fields: list[list[str]],
    exchange: Exchange,
    changes: ResponseChanges,
    head: ResponseHead,
    status: int,
    length: int | None,
    trailers: bool,
) -> list[list[str]]:
    """The fields with the framing of the body that is sent, whatever a rule has made of the framing fields. Where no
    body is sent, they keep what the server says about the body that a GET would get."""
    chunked = "transfer-encoding" in head.headers
    if head.version == "2.0" and changes.body is None:
        length = content_length(head)
        # A client of HTTP/1 gets trailers only after chunks (RFC 9112, 7.1.2); HTTP/2 needs no framing.
        chunked = exchange.head.version != "2.0" and (length is None or trailers)
    if exchange.channel.bodiless or status in BODILESS_STATUSES:
        length = content_length(head) if changes.body is None else None
        chunked = "transfer-encoding" in head.headers and changes.body is None
    if chunked:
        return with_chunks(fields)
    if length is None:
        return without(fields, *FRAMING_NAMES)
    framing = [(name.lower(), value) for name, value in fields if name.lower() in FRAMING_NAMES]
    return fields if framing == [("content-length", str(length))] else with_length(fields, length)


def content_length(head: ResponseHead) -> int | None:
    """The length that a server announces for a body that is not chunked; the field may repeat the same number."""
    length = head.headers.get("content-length")
    return int(length.partition(",")[0]) if length and "transfer-encoding" not in head.headers else None
