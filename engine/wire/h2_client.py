"""HTTP/2, client side (RFC 9113): requests in, bytes out; bytes of the server in, parts of its streams out.

The twin of `H2Server` in `h2.py`, where everything stands that both sides do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, InformationalResponseReceived, RequestReceived, ResponseReceived
from h2.settings import SettingCodes

from mockrec.engine.wire.h2 import (
    AUTHORITY,
    HEADER_OVERFLOW,
    PATH,
    SCHEME,
    TOKEN,
    Fields,
    H2Side,
    Stream,
    StreamPart,
    as_text,
    as_wire,
    declared_length,
    fields_fault,
    list_size,
    plain_fields,
)
from mockrec.engine.wire.head import OVERFLOW
from mockrec.engine.wire.parts import End, Fault, GoAway, Interim, Reset, Response, ResponseHead, header_table

STREAMS_AT_FIRST = 100
"""How many streams are opened before the server has told its limit (RFC 9113, 6.5.2)."""

_STATUS = re.compile(rb"[1-9][0-9]{2}")
_PSEUDO = frozenset((b":status",))
_LAST_STREAM = H2Connection.HIGHEST_ALLOWED_STREAM_ID


class H2Client(H2Side):
    """One HTTP/2 connection to a server."""

    def __init__(self, *, head_limit: int) -> None:
        super().__init__(client=True, head_limit=head_limit, settings={SettingCodes.ENABLE_PUSH: 0})
        self._server_leaves = False

    @property
    def max_streams(self) -> int:
        """How many streams the server takes at once."""
        limit = self._conn.remote_settings.max_concurrent_streams
        return limit if self._settled else min(limit, STREAMS_AT_FIRST)

    @property
    def open_streams(self) -> int:
        """How many streams are under way."""
        return len(self._streams)

    @property
    def can_request(self) -> bool:
        """Whether the connection can take another request now."""
        return (
            not (self._broken or self._leaving or self._server_leaves)
            and len(self._streams) < self.max_streams
            and self._conn.highest_outbound_stream_id + 2 <= _LAST_STREAM
        )

    def request(
        self,
        method: str,
        target: str,
        scheme: str,
        authority: str,
        raw_headers: Sequence[Sequence[str]],
        *,
        end: bool,
    ) -> int:
        """Open a stream with a request head; its id. `end`: no body follows. Only where `can_request` holds.

        Pseudo-headers among `raw_headers` tell the order, the arguments their values; `:protocol` is passed on.
        Raises ValueError for what no head can hold; nothing has changed then.
        """
        if not self.can_request:
            raise RuntimeError("the connection takes no more requests")
        pseudo = _pseudo_headers(method, target, scheme, authority, raw_headers)
        fields = plain_fields(pair for pair in raw_headers if not pair[0].startswith(":"))
        wire = as_wire([*pseudo, *fields])
        stream = self._conn.get_next_available_stream_id()
        self._encoder.fields = wire
        self._conn.send_headers(stream, (), end_stream=end)
        self._idle = 0
        self._streams[stream] = Stream(method, sending=not end)
        return stream

    def _read(self, event: Event, parts: list[Any]) -> None:
        if isinstance(event, RequestReceived):
            # h2 lets a server open a stream, as long as its id is even.
            parts.append(self._break(ErrorCodes.PROTOCOL_ERROR, f"the server opened stream {event.stream_id}"))
            return
        if not isinstance(event, (ResponseReceived, InformationalResponseReceived)):
            super()._read(event, parts)
            return
        stream, fields = event.stream_id, self._decoder.fields
        state = self._streams[stream]
        ended = isinstance(event, ResponseReceived) and event.stream_ended is not None
        self._idle = 0
        head = read_response(fields)
        if isinstance(head, str):
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, head, parts)
            return
        if list_size(fields) > self._head_limit:
            self._end(stream, ErrorCodes.CANCEL)
            detail = f"a header list of {list_size(fields)} bytes"
            parts.append(StreamPart(stream, Fault(OVERFLOW, status=0, detail=detail, tag=HEADER_OVERFLOW)))
            return
        if head.status < 200:
            parts.append(StreamPart(stream, Interim(head)))
            return
        length = body_length(fields, head.status, state.method)
        if isinstance(length, str):
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, length, parts)
            return
        state.left = length
        parts.append(StreamPart(stream, Response(head)))
        if ended:
            self._ended(stream, state, End(), parts)

    def _gone(self, notice: GoAway, parts: list[Any]) -> None:
        """Streams behind the last one have not been looked at, and may be asked again (RFC 9113, 6.8)."""
        self._server_leaves = True
        parts.append(notice)
        for stream in [stream for stream in self._streams if stream > notice.last_stream]:
            self._end(stream, ErrorCodes.CANCEL)
            parts.append(StreamPart(stream, Reset(ErrorCodes.REFUSED_STREAM, "the server is leaving")))


def read_response(fields: Fields) -> ResponseHead | str:
    """A response head, interim or final, or what makes it malformed."""
    fault = fields_fault(fields, _PSEUDO)
    if fault:
        return fault
    name, status = fields[0] if fields else (b"", b"")
    if name != b":status" or not _STATUS.fullmatch(status) or status == b"101":  # RFC 9113, 8.6
        return f":status cannot be {status!r}"
    raw_headers = as_text(fields)
    return ResponseHead(int(status), "", raw_headers, header_table(raw_headers), version="2.0")


def body_length(fields: Fields, status: int, method: str) -> int | str:
    """How long the body must be, -1 if nobody knows, or what is wrong with the length (RFC 9113, 8.1.1)."""
    if method == "CONNECT" and 200 <= status < 300:
        return -1
    length = declared_length(fields, len(fields))
    if isinstance(length, int) and (method == "HEAD" or status in (204, 304)):
        return 0
    return length


def _pseudo_headers(
    method: str, target: str, scheme: str, authority: str, raw_headers: Sequence[Sequence[str]]
) -> list[list[str]]:
    """In the order given, those that are not given behind them in the usual one."""
    given = {name: value for name, value in raw_headers if name.startswith(":")}
    tunnel = method == "CONNECT" and ":protocol" not in given
    values = {":method": method, ":scheme": scheme, ":authority": authority, ":path": target}
    if tunnel:
        values = {":method": method, ":authority": authority or target}
    elif ":protocol" in given:
        values[":protocol"] = given[":protocol"]
    patterns = {":method": TOKEN, ":scheme": SCHEME, ":authority": AUTHORITY, ":path": PATH, ":protocol": TOKEN}
    for name, value in values.items():
        if not patterns[name].fullmatch(value.encode("latin-1")):
            raise ValueError(f"{name} cannot be {value!r}")
    if not values[":authority"]:
        del values[":authority"]
    order = [name for name in given if name in values]
    return [[name, values[name]] for name in [*order, *(name for name in values if name not in order)]]
