"""The parts of messages that codecs return, whatever the protocol version (RFC 9110, 6).

Fields are pairs of text decoded as latin-1, in wire order and in the sender's case, so that encoding them again gives
the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mockrec.formats.text.fields import header_table as header_table

RawHeaders = Sequence[Sequence[str]]


class RequestHead:
    """A request head (RFC 9110, 6.2) as read, with what its fields say of the message.

    Clients of a test suite send the same head again and again, so heads are shared between exchanges
    (see `http1/request_head.py`). They are never changed, except for the slot `target_uri`.
    """

    __slots__ = (
        "chunked",
        "content_length",
        "expects_continue",
        "has_body",
        "headers",
        "keep_alive",
        "method",
        "odd",
        "raw_headers",
        "target",
        "target_uri",
        "upgrade",
        "version",
    )

    def __init__(
        self,
        method: str,
        target: str,
        version: str,
        raw_headers: list[list[str]],
        headers: dict[str, Any],
    ) -> None:
        self.method = method
        self.target = target
        self.version = version
        """`1.0`, `1.1` or `2.0`."""
        self.raw_headers = raw_headers
        self.headers = headers
        """Lower-case name → value; see `header_table`."""
        self.content_length: int | None = None
        self.chunked = False
        self.expects_continue = False
        self.keep_alive = True
        self.has_body = False
        self.upgrade = ""
        """The lower-case protocol of an `Upgrade` that `Connection` names (RFC 9110, 7.8), or empty; in HTTP/2, that of
        `:protocol` (RFC 8441, 4)."""
        self.odd: tuple[str, ...] = ()
        """The tags for what is unusual in the head, or was repaired."""
        self.target_uri: object = None
        """Opaque here: the `TargetUri` of this head. Filled and read only by `message/target_uri.py`."""

    def with_fields(self, raw_headers: list[list[str]], odd: tuple[str, ...]) -> RequestHead:
        """Return a copy with other fields, for a head that could be read only after its fields were repaired."""
        head = RequestHead(self.method, self.target, self.version, raw_headers, header_table(raw_headers))
        for name in ("chunked", "content_length", "expects_continue", "has_body", "keep_alive", "upgrade"):
            setattr(head, name, getattr(self, name))
        head.odd = odd
        return head


class RequestPart(msgspec.Struct):
    """A complete request head was received (RFC 9110, 6.2)."""

    head: RequestHead


class Data(msgspec.Struct):
    """A piece of content was received (RFC 9110, 6.4), without its framing."""

    data: bytes


class End(msgspec.Struct):
    """The message that is received is complete (RFC 9110, 6.5)."""

    trailers: RawHeaders = ()
    odd: tuple[str, ...] = ()
    """The kinds of faults in its content or trailers that were repaired (`odd_fields.py`)."""


class Fault(msgspec.Struct):
    """The peer broke the protocol, or left in the middle of a message. A value, not an exception.

    `code` is an error name of llhttp or Node, which users of Mockttp look for (`fault_codes.py`). `status` is that of
    the response, 0 if none can be sent. `raw` is the part of the message's head that was read.
    """

    code: str
    status: int = 400
    raw: bytes = b""
    detail: str = ""
    """What was wrong, as a phrase; empty if `fault_phrases.py` derives it from the code and `raw`."""
    error: int = 0
    """The HTTP/2 error code (RFC 9113, 7) that was sent."""
    tag: str = ""
    """A further tag for its record."""
    raw_headers: RawHeaders = ()
    """The fields of the message's head, or the first of them, if there is no `raw`."""


class ResetPart(msgspec.Struct):
    """An HTTP/2 stream was reset (RFC 9113, 5.4.2), by the peer or, for a fault on this stream alone, by the codec."""

    code: int
    """The HTTP/2 error code (RFC 9113, 7)."""
    reason: str = ""
    """What was wrong, if the codec reset the stream."""
    by_peer: bool = True
    raw_headers: RawHeaders = ()
    """The fields of the head, or the first of them, if the head was wrong."""


class GoAway(msgspec.Struct):
    """The peer accepts no new HTTP/2 streams; those up to `last_stream` continue (RFC 9113, 6.8)."""

    code: int
    last_stream: int
    debug: bytes = b""


@dataclass(slots=True)
class ResponseHead:
    """A response head (RFC 9110, 6.2) exactly as it is on the wire, framing included.

    A head that is sent is reused for equal responses of other exchanges, so the codec keeps its encoded form in `wire`.
    """

    status: int
    reason: str
    raw_headers: list[list[str]]
    headers: dict[str, Any]
    version: str = field(default="1.1", kw_only=True)
    """Of the message, if it was received."""
    odd: tuple[str, ...] = field(default=(), kw_only=True)
    """The kinds of faults that were repaired (`odd_fields.py`), if it was received."""
    raw: bytes = field(default=b"", compare=False, repr=False, kw_only=True)
    """The bytes of the head as received, if something was repaired."""
    wire: Any = field(default=None, compare=False, repr=False)
    """The encoded form, if it is sent: an `EncodedHead` of HTTP/1, fields of HTTP/2."""
    log_form: object = field(default=None, compare=False, repr=False)
    """Opaque here: how the head is written to the log. Filled and read only by `recording/record_cache.py`."""
    relayed: object = field(default=None, compare=False, repr=False)
    """Opaque here: the head that a client gets for this one of a server. Filled and read only by
    `steps/passthrough_response.py`."""


class Interim(msgspec.Struct):
    """An interim response was received (RFC 9110, 15.2)."""

    head: ResponseHead


class ResponsePart(msgspec.Struct):
    """A complete final response head was received (RFC 9110, 15)."""

    head: ResponseHead
    keep_alive: bool = True
    """Whether the connection may carry another request after this response (RFC 9112, 9.3)."""


Part = RequestPart | Interim | ResponsePart | Data | End | Fault
