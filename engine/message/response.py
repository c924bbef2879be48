"""A final response before it is framed for a connection, and the reason phrases.

Most rules give the same response every time, so a `PreparedResponse` keeps the heads that it was framed into, and the
log form of its body. A framed head is used for a second, because it holds the `Date`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from mockrec.engine import clock
from mockrec.engine.message.channel import Channel
from mockrec.engine.wire.parts import ResponseHead

REASONS: Mapping[int, str] = {status.value: status.phrase for status in HTTPStatus}


class PreparedResponse:
    """Status, header fields, and the whole body unless it is sent in pieces."""

    __slots__ = (
        "_date",
        "_framed",
        "body",
        "headers",
        "is_own",
        "log_form",
        "reason",
        "relayed",
        "status",
        "trailers",
    )

    def __init__(
        self,
        status: int,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        *,
        reason: str | None = None,
        trailers: tuple[tuple[str, str], ...] = (),
        relayed: bool = False,
        is_own: bool = False,
        framed: dict[object, ResponseHead] | None = None,
    ) -> None:
        """`relayed`: it is an origin server's, so no field is added that this connection does not need. `is_own`: an
        error response of mockrec itself, of which rules change only the header fields. `framed`: the framed heads of
        earlier responses that were equal but for the body."""
        self.is_own = is_own
        self.status = status
        self.reason = REASONS.get(status, "") if reason is None else reason
        self.headers = headers
        self.body = body
        self.trailers = trailers
        self.relayed = relayed
        self.log_form: object = None
        """Opaque here: how the body is written to the log. Filled and read only by `RecordCache`."""
        self._date = b""
        self._framed: dict[object, ResponseHead] = {} if framed is None else framed

    def framed(self, channel: Channel, length: int | None = None, *, streamed: bool = False) -> ResponseHead:
        """Return the head for `channel`. `length` is that of a `streamed` body, if it is known.

        Trailers need a body of unknown length (RFC 9112, 7.1.2).
        """
        date = b"" if self.relayed else clock.http_date()
        if date is not self._date:
            self._date = date
            self._framed.clear()
        key = (channel.framing_key, streamed, length)
        head = self._framed.get(key)
        if head is None:
            if not streamed:
                length = len(self.body)
            if self.trailers:
                length = None
            head = channel.frame(self.status, self.reason, self.headers, length, date.decode("ascii"))
            self._framed[key] = head
        return head
