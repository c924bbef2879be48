"""HTTP/2, server side (RFC 9113): bytes of one connection in, parts of its streams out; answers in, bytes out.

The h2 package keeps the states of connection and streams, flow control and header compression. This file decides
what reaches h2: frames one by one, so that nothing good before a fault is lost, and none that h2 would end the
connection for without need. Header fields go past h2 (`FieldDecoder`, `FieldEncoder`): it ends the connection for
a bad field where RFC 9113 (8.1.1) wants only the stream to end, and goes through every list of fields many times.

`H2Side` is what servers and clients share (`h2_client.py`).
"""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamReset, TrailersReceived
from h2.exceptions import DenialOfServiceError, H2Error, ProtocolError
from h2.settings import SettingCodes, Settings
from hpack.exceptions import OversizedHeaderListError
from hpack.hpack import Decoder, Encoder
from hpack.struct import NeverIndexedHeaderTuple
from hpack.table import HeaderTable
from hyperframe.frame import GoAwayFrame

from mockrec.engine.wire.head import OVERFLOW
from mockrec.engine.wire.parts import (
    Data,
    End,
    Fault,
    GoAway,
    Part,
    Request,
    RequestHead,
    Reset,
    ResponseHead,
    header_table,
)

HTTP2_ERROR: Final = "ERR_HTTP2_ERROR"
BAD_PREFACE: Final = "bad-preface"
HEADER_OVERFLOW: Final = "header-overflow"

STREAM_WINDOW: Final = 1 << 20
CONNECTION_WINDOW: Final = 4 << 20
"""How much a peer may send that nobody has used yet, on one stream and on all of them."""
RESETS: Final = 200
RESETS_AMONG: Final = 1000
"""More resets by the peer within so many frames are an attack (CVE-2023-44487)."""
IDLE_FRAMES: Final = 1000
"""So many frames in a row may neither begin a message nor carry data (pings, settings, empty data, ...)."""

Fields = tuple[tuple[bytes, bytes], ...]

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER = struct.Struct(">HBBBL")
_MAX_FRAME: Final = 16384
_HEADERS, _RST_STREAM, _SETTINGS, _PUSH_PROMISE, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 1, 3, 4, 5, 7, 8, 9
_ACK: Final = 0x1
_END_HEADERS: Final = 0x4
_SETTINGS_AT_ONCE: Final = 32
_NO_LIMIT: Final = 2**31 - 1
_DEFAULT_WINDOW: Final = 65535
_TABLE_SIZE: Final = 4096
_CACHED_BLOCKS: Final = 64
_CACHED_HEADS: Final = 1024
_CACHED_HEAD_SIZE: Final = 4096
_heads: dict[tuple[Fields, bool], tuple[RequestHead, int]] = {}

# RFC 9113, 8.2.1 and 8.3. Values may hold what they may in HTTP/1 (`head.py`), so that they can be passed on.
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
PATH = re.compile(rb"/[^\x00-\x20\x7f-\xff]*|\*")
AUTHORITY = re.compile(rb"[^\x00-\x20\x7f-\xff/?#@\\]*")
SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_BREAKS_HEAD = re.compile(r"[\r\n\x00]")
_CONNECTION_FIELDS = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)  # RFC 9113, 8.2.2
_REQUEST_PSEUDO = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))
_SECRET = frozenset((b"authorization", b"proxy-authorization"))
# What h2 is shown in place of the fields: it must know an interim response from a final one.
_INTERIM = ((b":status", b"100"),)
_FINAL = ((b":status", b"200"),)


@dataclass(slots=True)
class StreamPart:
    """What one side said on one stream.

    A `Fault` in here is of this stream alone: its head was read but is too large, and can still be answered.
    """

    stream: int
    part: Part | Reset


# ── header fields ──────────────────────────────────────────────────────────────────────────────────


class _Table(HeaderTable):
    """A compression table that tells whether it changed: while it does not, equal bytes are equal fields."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)


class FieldDecoder(Decoder):
    """Keeps the fields of the last block in `fields`, and shows h2 no more than `shown` of them if it is `:status`."""

    def __init__(self, limit: int, shown: int) -> None:
        super().__init__(limit)
        self.header_table = self._table = _Table()
        self.fields: Fields = ()
        self._shown = shown
        self._blocks: dict[bytes, Fields] = {}

    def decode(self, data: bytes, raw: bool = False) -> Any:
        known = self._blocks.get(data)
        if known is None:
            known = self._decode(data)
        self.fields = known
        return known[: self._shown] if known and known[0][0] == b":status" else ()

    def _decode(self, data: bytes) -> Fields:
        changes = self._table.changes
        try:
            fields = tuple(super().decode(data, raw=True))
        except OversizedHeaderListError as error:
            raise DenialOfServiceError(str(error)) from error
        except Exception as error:  # the table is lost: RFC 9113, 4.3
            broken = ProtocolError(f"{type(error).__name__}: {error}")
            broken.error_code = ErrorCodes.COMPRESSION_ERROR
            raise broken from error
        resizes = data[:1] >= b"\x20" and data[:1] < b"\x40"
        if self._table.changes != changes or resizes or len(self._blocks) >= _CACHED_BLOCKS:
            self._blocks.clear()
        elif len(data) <= _CACHED_HEAD_SIZE:
            self._blocks[data] = fields
        return fields


class FieldEncoder(Encoder):
    """Encodes `fields`, whatever h2 gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.header_table = self._table = _Table()
        self.fields: Fields = ()
        self._blocks: dict[Fields, bytes] = {}

    @property
    def header_table_size(self) -> int:
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        # A table as large as the peer likes would be our memory, and is searched entry by entry.
        value = min(value, _TABLE_SIZE)
        if value != self.header_table.maxsize:
            self.header_table.maxsize = value
            self.table_size_changes.append(value)
            self._blocks.clear()

    def encode(self, headers: Any, huffman: bool = True) -> bytes:
        known = self._blocks.get(self.fields)
        if known is not None:
            return known
        self.header_table.resized = resized = bool(self.table_size_changes)
        changes = self._table.changes
        # Huffman coding in Python costs more time than it saves bytes.
        block = super().encode(self.fields, huffman=False)
        if resized or self._table.changes != changes or len(self._blocks) >= _CACHED_BLOCKS:
            self._blocks.clear()
        else:
            self._blocks[self.fields] = block
        return block


def fields_fault(fields: Fields, pseudo: frozenset[bytes]) -> str:
    """What makes a list of fields malformed (RFC 9113, 8.2 and 8.3), or nothing. It may begin with `pseudo` ones."""
    seen: set[bytes] = set()
    begun = False
    for name, value in fields:
        if name.startswith(b":"):
            if name not in pseudo:
                return f"the pseudo-header {name!r} does not belong here"
            if begun or name in seen:
                return f"the pseudo-header {name!r} is out of order or repeated"
            seen.add(name)
        else:
            begun = True
            if not _NAME.fullmatch(name):
                return f"{name!r} is no name of a field"
            if name in _CONNECTION_FIELDS or (name == b"te" and value.lower() != b"trailers"):
                return f"the field {name!r} is of a connection of HTTP/1"
        if not _VALUE.fullmatch(value):
            return f"the field {name!r} cannot hold {value!r}"
    return ""


def list_size(fields: Fields) -> int:
    """The size of a list of fields as RFC 9113 (6.5.2) counts it."""
    return sum(len(name) + len(value) + 32 for name, value in fields)


def as_text(fields: Fields) -> list[list[str]]:
    """Fields as pairs of text."""
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in fields]


def as_wire(fields: Iterable[Sequence[str]]) -> Fields:
    """Fields as they are encoded; those that somebody could guess at stay out of the table (RFC 7541, 7.1)."""
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    return tuple(
        NeverIndexedHeaderTuple(name, value)
        if name in _SECRET or (name == b"cookie" and len(value) < 20)
        else (name, value)
        for name, value in pairs
    )


def plain_fields(headers: Iterable[Sequence[str]]) -> list[list[str]]:
    """Fields as HTTP/2 can send them: names in lower case, values trimmed, nothing of a connection of HTTP/1.

    Raises ValueError for what no head can hold.
    """
    fields: list[list[str]] = []
    for raw_name, raw_value in headers:
        if not TOKEN.fullmatch(raw_name.encode()) or _BREAKS_HEAD.search(raw_value):
            raise ValueError(f"no head can hold the field {raw_name!r}: {raw_value!r}")
        name, value = raw_name.lower(), raw_value.strip(" \t")
        if name.encode() in _CONNECTION_FIELDS or (name == "te" and value.lower() != "trailers"):
            continue
        fields.append([name, value])
    return fields


def declared_length(fields: Fields, allowed: int) -> int | str:
    """The length that fields declare for the body, -1 if none, or what is wrong with it."""
    lengths = [value for name, value in fields if name == b"content-length"]
    if not lengths:
        return -1
    if len(lengths) > allowed or len(set(lengths)) > 1 or not _LENGTH.fullmatch(lengths[0]):
        return f"no length: {b', '.join(lengths)!r}"
    return int(lengths[0])


def read_request(fields: Fields, ended: bool) -> tuple[RequestHead, int] | str:
    """A request head and its size, or what makes it malformed. The head is shared: never change it."""
    key = (fields, ended)
    known = _heads.get(key)
    if known is not None:
        return known
    fault = fields_fault(fields, _REQUEST_PSEUDO)
    if fault:
        return fault
    head = _build(fields, ended)
    if isinstance(head, str):
        return head
    size = list_size(fields)
    if size <= _CACHED_HEAD_SIZE:
        if len(_heads) >= _CACHED_HEADS:
            _heads.clear()
        _heads[key] = (head, size)
    return head, size


def _build(fields: Fields, ended: bool) -> RequestHead | str:
    """RFC 9113, 8.3.1 and 8.5; RFC 8441, 4."""
    table = dict(reversed(fields))
    method, path = table.get(b":method", b""), table.get(b":path", b"")
    authority, protocol = table.get(b":authority", b""), table.get(b":protocol")
    if not TOKEN.fullmatch(method):
        return f":method cannot be {method!r}"
    if not AUTHORITY.fullmatch(authority):
        return f":authority cannot be {authority!r}"
    tunnel = method == b"CONNECT" and protocol is None
    if tunnel:
        if not authority or b":scheme" in table or b":path" in table:
            return "CONNECT names an :authority and no more"
    else:
        if protocol is not None and (method != b"CONNECT" or not TOKEN.fullmatch(protocol)):
            return f":protocol cannot be {protocol!r}"
        if not SCHEME.fullmatch(table.get(b":scheme", b"")):
            return f":scheme cannot be {table.get(b':scheme')!r}"
        if not PATH.fullmatch(path) or (path == b"*" and method != b"OPTIONS"):
            return f":path cannot be {path!r}"
        if not authority and not table.get(b"host"):
            return "neither :authority nor host"
    length = -1 if tunnel else declared_length(fields, 1)
    if isinstance(length, str):
        return length
    if ended and length > 0:
        return f"{length} bytes of body are announced, and none follow"
    raw_headers = as_text(fields)
    target = (authority if tunnel else path).decode("ascii")
    head = RequestHead(method.decode("ascii"), target, "2.0", raw_headers, header_table(raw_headers))
    head.content_length = length if length >= 0 else None
    head.has_body = not ended
    head.expects_continue = head.headers.get("expect", "").lower() == "100-continue"
    head.upgrade = "" if protocol is None else protocol.decode("ascii").lower()
    return head


# ── both sides ─────────────────────────────────────────────────────────────────────────────────────


class Stream:
    """What h2 does not tell of an open stream."""

    __slots__ = ("left", "method", "mute", "reading", "sending")

    def __init__(self, method: str, reading: bool = True, sending: bool = True) -> None:
        self.method = method
        self.reading = reading
        """Whether the peer's message is not complete."""
        self.sending = sending
        """Whether ours is not."""
        self.left = -1
        """Bytes of the peer's body that must still come, -1 if it has not told."""
        self.mute = False
        """Whether the peer's body is thrown away."""


class H2Side:
    """One end of an HTTP/2 connection."""

    def __init__(self, *, client: bool, head_limit: int, settings: dict[SettingCodes, int]) -> None:
        # Fields do not reach h2, so there is nothing for it to validate or to normalize.
        config = H2Configuration(
            client_side=client,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._head_limit = head_limit
        # A head that is a little too large must be read, so that the connection can go on without it.
        self._block_limit = max(4 * head_limit, 1 << 16)
        self._conn = H2Connection(config)
        self._conn.encoder = self._encoder = FieldEncoder()
        self._conn.decoder = self._decoder = FieldDecoder(self._block_limit, shown=int(client))
        self._client = client
        self._settings = settings
        self._preface = b"" if client else _PREFACE
        self._settled = False
        """Whether the peer's first frame has come."""
        self._buffer = bytearray()
        self._wanted = 0
        """How many bytes the buffer must hold before reading it is worth while."""
        self._block = 0
        """Bytes of the header block that is being received."""
        self._streams: dict[int, Stream] = {}
        self._owed: dict[int, int] = {}
        """Bytes of received data that nobody has used yet, by stream."""
        self._out = bytearray()
        self._broken = False
        self._leaving = False
        """Whether we take no new streams."""
        self._frames = 0
        self._idle = 0
        self._resets: deque[int] = deque(maxlen=RESETS + 1)

    def start(self) -> None:
        """Our preface. Must come before everything else."""
        conn = self._conn
        initial = {
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: self._head_limit,
            **self._settings,
        }
        conn.local_settings = Settings(client=self._client, initial_values=initial)
        conn.initiate_connection()
        # h2 would end the connection for one stream too many; here it is refused and the others go on.
        initial[SettingCodes.MAX_CONCURRENT_STREAMS] = _NO_LIMIT
        conn.local_settings = Settings(client=self._client, initial_values=initial)
        conn.increment_flow_control_window(CONNECTION_WINDOW - _DEFAULT_WINDOW)
        if not self._client:
            conn.receive_data(_PREFACE)  # it is checked here, because of its tag

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes) -> list[StreamPart | Fault | GoAway]:
        """Take bytes from the peer; what they complete. Nothing follows a `Fault`, and `outgoing` has the GOAWAY.

        Data may also have opened windows and ended streams: look at `window` and `is_open` of those that wait.
        """
        if self._broken:
            return []
        if self._preface:
            size = min(len(data), len(self._preface))
            if data[:size] != self._preface[:size]:
                return [self._break(ErrorCodes.PROTOCOL_ERROR, "the connection does not begin as HTTP/2", BAD_PREFACE)]
            self._preface = self._preface[size:]
            data = data[size:]
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        parts: list[StreamPart | Fault | GoAway] = []
        at, size, self._wanted = 0, len(data), 9
        while size - at >= 9:
            high, low, kind, flags, stream = _FRAME_HEADER.unpack_from(data, at)
            length = (high << 8) + low
            if length > _MAX_FRAME:
                parts.append(self._break(ErrorCodes.FRAME_SIZE_ERROR, f"a frame of {length} bytes"))
            elif not self._settled and (kind != _SETTINGS or flags & _ACK):
                parts.append(self._break(ErrorCodes.PROTOCOL_ERROR, "the first frame is no SETTINGS"))
            elif size - at < 9 + length:
                self._wanted = 9 + length
                break
            else:
                self._settled = True
                self._take(data[at : at + 9 + length], kind, flags, stream & 0x7FFFFFFF, parts)
            if parts and isinstance(parts[-1], Fault):
                return parts
            at += 9 + length
        if at < size:
            self._buffer += data[at:]
        return parts

    def receive_eof(self) -> list[StreamPart | Fault]:
        """The peer will send nothing more. Streams whose message is complete stay open."""
        if self._broken:
            return []
        parts: list[StreamPart | Fault] = []
        for stream in [stream for stream, state in self._streams.items() if state.reading]:
            self._forget(stream)
            parts.append(StreamPart(stream, Reset(ErrorCodes.CANCEL, "the connection ended")))
        if self._preface and self._preface != _PREFACE:
            parts.append(self._break(ErrorCodes.PROTOCOL_ERROR, "the connection ended in its preface", BAD_PREFACE))
        elif self._buffer or self._block:
            parts.append(self._break(ErrorCodes.PROTOCOL_ERROR, "the connection ended inside a frame"))
        return parts

    def _take(self, frame: bytes, kind: int, flags: int, stream: int, parts: list[Any]) -> None:
        """One frame, whole. Looks at what h2 does not mind or minds too much, and gives h2 the rest."""
        self._frames += 1
        self._idle += 1
        if self._idle > IDLE_FRAMES:
            parts.append(self._break(ErrorCodes.ENHANCE_YOUR_CALM, f"{IDLE_FRAMES} frames without a message"))
            return
        if kind in (_HEADERS, _CONTINUATION, _PUSH_PROMISE):
            self._block += len(frame)
            if self._block > self._block_limit:
                parts.append(self._break(ErrorCodes.ENHANCE_YOUR_CALM, "a huge header block", HEADER_OVERFLOW))
                return
            if flags & _END_HEADERS:
                self._block = 0
        elif self._block or kind < _RST_STREAM:
            pass
        elif kind == _RST_STREAM and stream:
            fault = self._reset_fault(stream)
            if fault is not None:
                parts.append(fault)
                return
        elif kind == _SETTINGS and len(frame) > 9 + 6 * _SETTINGS_AT_ONCE:
            parts.append(self._break(ErrorCodes.ENHANCE_YOUR_CALM, "too many settings"))  # h2 keeps unknown ones too
            return
        elif kind == _WINDOW_UPDATE and stream in self._streams and frame[9:] == bytes(4):
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, "a window was opened by nothing", parts)
            return
        elif kind == _GOAWAY and not stream and len(frame) >= 17:
            # h2 takes it for the end. But a client that is about to leave may wait for its answers (RFC 9113, 6.8).
            last, code = struct.unpack_from(">LL", frame, 9)
            self._gone(GoAway(code, last & 0x7FFFFFFF, frame[17:]), parts)
            return
        try:
            events = self._conn.receive_data(frame)
        except ProtocolError as error:
            tag = HEADER_OVERFLOW if isinstance(error, DenialOfServiceError) else ""
            parts.append(self._break(error.error_code, f"{type(error).__name__}: {error}", tag, told=True))
            return
        except Exception as error:  # what hyperframe, hpack and h2 stumble over
            parts.append(self._break(ErrorCodes.PROTOCOL_ERROR, f"{type(error).__name__}: {error}"))
            return
        for event in events:
            self._read(event, parts)

    def _read(self, event: Event, parts: list[Any]) -> None:
        if isinstance(event, DataReceived):
            self._data(event, parts)
        elif isinstance(event, TrailersReceived):
            self._trailers(event.stream_id, parts)
        elif isinstance(event, StreamReset) and event.stream_id in self._streams:
            self._forget(event.stream_id)
            reason = "" if event.remote_reset else "a frame that does not belong there"
            parts.append(StreamPart(event.stream_id, Reset(int(event.error_code), reason, event.remote_reset)))

    def _data(self, event: DataReceived, parts: list[Any]) -> None:
        stream, data = event.stream_id, event.data
        state = self._streams[stream]
        kept = 0 if state.mute else len(data)
        if event.flow_controlled_length > kept:
            self._conn.acknowledge_received_data(event.flow_controlled_length - kept, stream)
        if kept:
            self._idle = 0
            self._owed[stream] = self._owed.get(stream, 0) + kept
            if state.left >= 0:
                state.left -= kept
                if state.left < 0:
                    self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, "the body is longer than announced", parts)
                    return
            parts.append(StreamPart(stream, Data(data)))
        if event.stream_ended is not None:
            self._ended(stream, state, End(), parts)

    def _trailers(self, stream: int, parts: list[Any]) -> None:
        fields = self._decoder.fields
        fault = fields_fault(fields, frozenset())
        if not fault and list_size(fields) > self._head_limit:
            fault = "the trailers are too large"
        if fault:
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, fault, parts)
        else:
            self._ended(stream, self._streams[stream], End(as_text(fields)), parts)

    def _ended(self, stream: int, state: Stream, end: End, parts: list[Any]) -> None:
        """The peer's message is complete."""
        if state.left > 0:
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, "the body is shorter than announced", parts)
            return
        state.reading = False
        if not state.sending:
            del self._streams[stream]
        if not state.mute:
            parts.append(StreamPart(stream, end))

    def _reset_fault(self, stream: int) -> Fault | None:
        """What is wrong with the peer's wish to reset a stream."""
        conn = self._conn
        highest = conn.highest_outbound_stream_id if self._client else conn.highest_inbound_stream_id
        if stream > highest or stream % 2 == 0:
            return self._break(ErrorCodes.PROTOCOL_ERROR, f"stream {stream} was reset before it began")
        self._resets.append(self._frames)
        if len(self._resets) > RESETS and self._frames - self._resets[0] < RESETS_AMONG:
            return self._break(ErrorCodes.ENHANCE_YOUR_CALM, f"{RESETS} streams were reset at once")
        return None

    def _refuse(self, stream: int, code: ErrorCodes, reason: str, parts: list[Any]) -> None:
        """End a stream for what the peer did on it."""
        self._end(stream, code)
        parts.append(StreamPart(stream, Reset(code, reason, by_peer=False)))

    def _gone(self, notice: GoAway, parts: list[Any]) -> None:
        parts.append(notice)

    def _break(self, code: int, detail: str, tag: str = "", *, told: bool = False) -> Fault:
        """The connection cannot go on; `told`: the peer has been."""
        if not told:
            self._conn.close_connection(code)
        self._broken = True
        self._streams.clear()
        self._owed.clear()
        self._buffer.clear()
        return Fault(HTTP2_ERROR, status=0, detail=detail, error=int(code), tag=tag)

    def _forget(self, stream: int) -> None:
        """The stream is over: what nobody has used of its data counts as used."""
        self._streams.pop(stream, None)
        owed = self._owed.pop(stream, 0)
        if owed:
            self._conn.acknowledge_received_data(owed, stream)

    def _end(self, stream: int, code: int) -> None:
        try:
            self._conn.reset_stream(stream, code)
        except H2Error:
            pass  # both messages were complete: there is nothing left to end
        self._forget(stream)

    # ── flow control and state ─────────────────────────────────────────────────────────────────────

    def consumed(self, stream: int, size: int) -> None:
        """`size` bytes of the data received on `stream` have been used, so the peer may send as many more.

        Whoever takes data must say so for all of it, also when the stream is over; only a reset settles the rest.
        """
        owed = self._owed.get(stream, 0)
        size = min(size, owed)
        if size <= 0:
            return
        if size < owed:
            self._owed[stream] = owed - size
        else:
            del self._owed[stream]
        self._conn.acknowledge_received_data(size, stream)

    def window(self, stream: int) -> int:
        """How many bytes may be sent now; 0 also where the stream takes none any more."""
        state = self._streams.get(stream)
        return max(0, self._conn.local_flow_control_window(stream)) if state is not None and state.sending else 0

    def is_open(self, stream: int) -> bool:
        """Whether one of the two messages is not complete."""
        return stream in self._streams

    # ── out ────────────────────────────────────────────────────────────────────────────────────────
    # What is sent on a stream that is over (the peer has reset it) goes nowhere.

    def outgoing(self) -> bytes:
        """Everything that must be sent now."""
        data = self._conn.data_to_send()
        if self._out:
            data = bytes(self._out) + data
            self._out.clear()
        return data

    def send_data(self, stream: int, data: bytes, *, end: bool) -> None:
        """A piece of our body, no longer than `window` allows."""
        state = self._streams.get(stream)
        if state is None or not (data or end):
            return
        if data:
            self._idle = 0
        most = self._conn.max_outbound_frame_size
        for at in range(0, len(data) - most, most):
            self._conn.send_data(stream, data[at : at + most])
        rest = len(data) % most or min(len(data), most)
        self._conn.send_data(stream, data[len(data) - rest :], end_stream=end)
        if end:
            self._sent(stream, state)

    def send_end(self, stream: int, trailers: Sequence[Sequence[str]] = ()) -> None:
        """The end of our message. Raises ValueError for trailers that cannot be sent; nothing has changed then."""
        state = self._streams.get(stream)
        if state is None:
            return
        fields = as_wire(plain_fields(trailers))
        if fields:
            self._encoder.fields = fields
            self._conn.send_headers(stream, (), end_stream=True)
        else:
            self._conn.end_stream(stream)
        self._sent(stream, state)

    def reset(self, stream: int, code: int) -> None:
        """Give a stream up."""
        if stream in self._streams:
            self._end(stream, code)

    def close(self, code: int = 0) -> None:
        """GOAWAY. With code 0 the streams that are open go on and new ones are refused; else nothing goes on."""
        if self._broken:
            return
        if code:
            self._break(code, "")
        elif not self._leaving:
            # h2 would take its own GOAWAY for the end.
            last = self._conn.highest_inbound_stream_id
            self._out += self._conn.data_to_send() + GoAwayFrame(0, last_stream_id=last).serialize()
            self._leaving = True

    def _sent(self, stream: int, state: Stream) -> None:
        state.sending = False
        if not state.reading:
            del self._streams[stream]


# ── the server ─────────────────────────────────────────────────────────────────────────────────────


class H2Server(H2Side):
    """One HTTP/2 connection seen from the server."""

    def __init__(self, *, head_limit: int, streams: int) -> None:
        self._limit = streams
        settings = {SettingCodes.MAX_CONCURRENT_STREAMS: streams, SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
        super().__init__(client=False, head_limit=head_limit, settings=settings)

    def _read(self, event: Event, parts: list[Any]) -> None:
        if not isinstance(event, RequestReceived):
            super()._read(event, parts)
            return
        stream, ended = event.stream_id, event.stream_ended is not None
        if self._leaving or len(self._streams) >= self._limit:
            reason = "the connection is being closed" if self._leaving else "too many streams at once"
            self._refuse(stream, ErrorCodes.REFUSED_STREAM, reason, parts)
            return
        read = read_request(self._decoder.fields, ended)
        if isinstance(read, str):
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, read, parts)
            return
        head, size = read
        self._idle = 0
        self._streams[stream] = state = Stream(head.method, reading=not ended)
        if size > self._head_limit:
            state.mute = True
            detail = f"a header list of {size} bytes"
            parts.append(StreamPart(stream, Fault(OVERFLOW, status=431, detail=detail, tag=HEADER_OVERFLOW)))
            return
        parts.append(StreamPart(stream, Request(head)))
        if ended:
            parts.append(StreamPart(stream, End()))
        elif head.content_length is not None:
            state.left = head.content_length

    def frame(
        self,
        status: int,
        reason: str,
        headers: Sequence[tuple[str, str]],
        length: int | None,
        date: str,
        *,
        bodiless: bool,
    ) -> ResponseHead:
        """A final head as a stream must send it. The result depends on the arguments alone.

        Adds `date` (unless it is empty: another server's answer) where there is none, and the length if it is known;
        `bodiless`: the request was a HEAD. HTTP/2 has no reasons. Raises ValueError for what no head can hold.
        """
        if not 200 <= status <= 999:
            raise ValueError(f"no final head can have the status {status}")
        fields = plain_fields(pair for pair in headers if pair[0] != ":status")
        lengths = [pair for pair in fields if pair[0] == "content-length"]
        if status == 204:
            fields = [pair for pair in fields if pair[0] != "content-length"]  # RFC 9110, 8.6
        elif not date and len(lengths) > 1:
            fields = [pair for pair in fields if pair[0] != "content-length" or pair is lengths[0]]
        if date and all(name != "date" for name, _ in fields):
            fields.append(["date", date])
        # Another server's answer tells its length or not, as that server has done.
        if length is not None and not lengths and status not in (204, 304) and date:
            fields.append(["content-length", str(length)])
        return _response_head(status, fields)

    def send_interim(self, stream: int, status: int, headers: Sequence[Sequence[str]]) -> None:
        """A 1xx head. Raises ValueError for what no head can hold."""
        if not 100 <= status <= 199 or status == 101:  # RFC 9113, 8.6
            raise ValueError(f"no interim head can have the status {status}")
        head = _response_head(status, plain_fields(headers))
        if stream in self._streams:
            self._encoder.fields = head.wire
            self._conn.send_headers(stream, _INTERIM)

    def send_head(self, stream: int, head: ResponseHead, *, end: bool) -> None:
        """A final head made by `frame`."""
        state = self._streams.get(stream)
        if state is None:
            return
        self._encoder.fields = head.wire
        self._conn.send_headers(stream, _FINAL, end_stream=end)
        if end:
            self._sent(stream, state)


def _response_head(status: int, fields: list[list[str]]) -> ResponseHead:
    raw = [[":status", str(status)], *fields]
    return ResponseHead(status, "", raw, header_table(raw), as_wire(raw), version="2.0")
