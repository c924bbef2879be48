"""The head of a server's response as the client gets it: changed by the rule, framed for the client's connection."""

from __future__ import annotations

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import REASONS, PreparedResponse
from mockrec.engine.rules.model import ResponseChanges
from mockrec.engine.steps.transform import changed_headers
from mockrec.engine.upstream.headers import end_to_end, with_chunks, with_length, without
from mockrec.engine.wire.parts import ResponseHead
from mockrec.engine.wire.syntax import BODILESS_STATUSES, FRAMING_NAMES


class _Relayed:
    """What became of a head of a server. Servers send equal heads within a second, which are one object then."""

    __slots__ = ("changes", "framed", "headers", "key", "reason", "status")

    def __init__(self, changes: ResponseChanges, key: object, response: PreparedResponse) -> None:
        self.changes = changes
        self.key = key
        self.status = response.status
        self.headers = response.headers
        self.reason = response.reason
        self.framed: dict[object, ResponseHead] = {}


def relayed_response(
    exchange: Exchange, changes: ResponseChanges, head: ResponseHead, length: int | None, *, trailers: bool = False
) -> PreparedResponse:
    """The response as `client_response` makes it, but once for equal exchanges. Nothing but its body and its trailers
    may be changed."""
    channel = exchange.channel
    key = (channel.framing_key, channel.bodiless, length, trailers)
    kept = head.relayed
    if not (isinstance(kept, _Relayed) and kept.changes is changes and kept.key == key):
        made = client_response(exchange, changes, head, length, trailers=trailers)
        kept = head.relayed = _Relayed(changes, key, made)
    return PreparedResponse(kept.status, kept.headers, reason=kept.reason, relayed=True, framed=kept.framed)


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
