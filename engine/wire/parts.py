"""The vocabulary of the wire: what one side said on one stream, whatever the protocol.

Header lists are pairs of text decoded as latin-1, in wire order with the sender's case, so that
encoding them again gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

RawHeaders = Sequence[Sequence[str]]


class RequestHead:
    """A request head as read, with the tables that everybody needs decoded once.

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
        """`1.0`, `1.1` (later `2.0`)."""
        self.raw_headers = raw_headers
        self.headers = headers
        """Lower-case name → text (repeated ones joined), `set-cookie` → list."""
        self.content_length: int | None = None
        self.chunked = False
        self.expects_continue = False
        self.keep_alive = True
        self.has_body = False
        self.upgrade = ""
        """The lower-case protocol of an `Upgrade` that `Connection` names, or empty."""
        self.odd: tuple[str, ...] = ()
        """The tags of what is unusual in it, and good."""
        self.target_uri: object = None
        """Opaque here: the `TargetUri` of this head. Filled and read only by `message/target_uri.py`."""


@dataclass(slots=True)
class RequestPart:
    """The peer sent a complete request head."""

    head: RequestHead


@dataclass(slots=True)
class Data:
    """The peer sent a piece of its body, chunk framing removed."""

    data: bytes


@dataclass(slots=True)
class End:
    """The peer's message is complete."""

    trailers: RawHeaders = ()
    odd: tuple[str, ...] = ()
    """What broke the rules in its body and was repaired (`odd_fields.py`)."""


@dataclass(slots=True)
class Fault:
    """The peer broke the protocol or left in the middle of a message. Data, not an exception.

    `code` is an llhttp or Node error name, which is what users of Mockttp look for. `status` is what to
    answer, 0 where nobody is left to answer. `raw` is what was read of the message's head.
    """

    code: str
    status: int = 400
    raw: bytes = b""
    detail: str = ""
    """What was wrong, in words."""
    error: int = 0
    """The HTTP/2 error code that was sent for it."""
    tag: str = ""
    """What else its record should be found by."""
    raw_headers: RawHeaders = ()
    """The fields of the message's head, or the first of them, where there is no `raw`."""


@dataclass(slots=True)
class ResetPart:
    """An HTTP/2 stream was given up, by the peer or, where it broke a rule on this stream alone, by the codec."""

    code: int
    """The HTTP/2 error code."""
    reason: str = ""
    """What was wrong, where the codec gave it up."""
    by_peer: bool = True
    raw_headers: RawHeaders = ()
    """The fields of the head, or the first of them, where it is the head that was wrong."""


@dataclass(slots=True)
class GoAway:
    """The peer of an HTTP/2 connection will take no new streams; those up to `last_stream` go on."""

    code: int
    last_stream: int
    debug: bytes = b""


@dataclass(slots=True)
class ResponseHead:
    """A response head exactly as it stands on the wire, framing included.

    One that is sent is reused between exchanges that get the same answer, so the codec keeps its own form in `wire`.
    """

    status: int
    reason: str
    raw_headers: list[list[str]]
    headers: dict[str, Any]
    version: str = field(default="1.1", kw_only=True)
    """Of the message, where it was received."""
    odd: tuple[str, ...] = field(default=(), kw_only=True)
    """What broke the rules and was repaired (`odd_fields.py`), where it was received."""
    raw: bytes = field(default=b"", compare=False, repr=False, kw_only=True)
    """The head as it came, where something was odd."""
    wire: Any = field(default=None, compare=False, repr=False)
    log_form: object = field(default=None, compare=False, repr=False)
    """Opaque here: how the head is written to the log. Filled and read only by `recording/record_cache.py`."""


@dataclass(slots=True)
class Interim:
    """The server sent a 1xx."""

    head: ResponseHead


@dataclass(slots=True)
class ResponsePart:
    """The server sent a complete final response head."""

    head: ResponseHead
    keep_alive: bool = True
    """Whether the connection may carry another request after this response."""


Part = RequestPart | Interim | ResponsePart | Data | End | Fault


def header_table(raw_headers: RawHeaders) -> dict[str, Any]:
    """Lower-case name → value. Repeated fields are joined with `, ` (RFC 9110, 5.3), cookies with `; `
    (RFC 9113, 8.2.3); `set-cookie` cannot be joined and is always a list."""
    table: dict[str, Any] = {}
    for raw_name, value in raw_headers:
        name = raw_name.lower()
        if name == "set-cookie":
            table.setdefault(name, []).append(value)
        elif name in table:
            table[name] += ("; " if name == "cookie" else ", ") + value
        else:
            table[name] = value
    return table
