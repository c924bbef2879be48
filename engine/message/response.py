"""A final answer as a rule means it, and the reason phrases.

Most rules give the same answer every time, so an `PreparedResponse` keeps the heads it was framed into and the
form its body has in the log. A framed head lives for a second, because it holds the `Date`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from mockrec.engine import clock
from mockrec.engine.message.channel import Channel
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.wire.parts import ResponseHead

REASONS: Mapping[int, str] = {status.value: status.phrase for status in HTTPStatus}


class PreparedResponse:
    """Status, headers and, where it is known beforehand, the whole body."""

    __slots__ = (
        "_date",
        "_framed",
        "body",
        "headers",
        "is_own",
        "known",
        "logged_body",
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
    ) -> None:
        """`relayed`: a server has said this, so nothing is added that is not needed on this connection. `is_own`: the
        recorder itself tells what is wrong, so that rules change nothing of it but its fields."""
        self.is_own = is_own
        self.status = status
        self.reason = REASONS.get(status, "") if reason is None else reason
        self.headers = headers
        self.body = body
        self.trailers = trailers
        self.relayed = relayed
        self.logged_body: dict[str, Any] | None = None
        """Filled by the notes: how this body stands in the log."""
        self.known: SecretMap | None = None
        """The secrets that were replaced in that."""
        self._date = b""
        self._framed: dict[object, ResponseHead] = {}

    def framed(self, channel: Channel, length: int | None = None, *, streamed: bool = False) -> ResponseHead:
        """The head for `channel`; `length` is that of a streamed body, where it is known.

        Trailers need a body of unknown length (RFC 9112, 7.1.2).
        """
        date = clock.http_date()
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
            text = "" if self.relayed else date.decode("ascii")
            head = channel.frame(self.status, self.reason, self.headers, length, text)
            self._framed[key] = head
        return head
