"""The bytes of an HTTP/2 connection, cut into preface and frames (RFC 9113, 3.4 and 4.1)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from h2.errors import ErrorCodes

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BAD_PREFACE: Final = "bad-preface"

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 7, 8, 9
ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4

_HEADER = struct.Struct(">HBBBL")
HEADER_SIZE: Final = 9
_MOST: Final = 16384


class Violation(NamedTuple):
    """A connection error (RFC 9113, 5.4.1) that a peer caused."""

    code: ErrorCodes
    detail: str
    tag: str = ""
    """A further tag for its record."""


class Frame(NamedTuple):
    """One complete frame; `raw` includes its header (RFC 9113, 4.1)."""

    raw: bytes
    kind: int
    flags: int
    stream: int


class FrameReader:
    """Cuts bytes into frames (RFC 9113, 4.1), and buffers an incomplete one."""

    def __init__(self, *, preface: bool) -> None:
        """`preface`: whether the peer must send the client's connection preface (RFC 9113, 3.4)."""
        self._preface = PREFACE if preface else b""
        """The part of it that has not been received."""
        self.settled = False
        """Whether the peer's first frame, its SETTINGS, was received."""
        self._buffer = bytearray()
        self._wanted = 0
        """Bytes that the buffer must hold before a frame can be complete."""

    def receive(self, data: bytes) -> list[Frame | Violation]:
        """Return the frames that these bytes complete. Nothing follows a violation (RFC 9113, 3.4, 4.1 and 4.2)."""
        if self._preface:
            size = min(len(data), len(self._preface))
            if data[:size] != self._preface[:size]:
                detail = "the connection does not begin as HTTP/2"
                return [Violation(ErrorCodes.PROTOCOL_ERROR, detail, BAD_PREFACE)]
            self._preface = self._preface[size:]
            data = data[size:]
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        found: list[Frame | Violation] = []
        at, size, self._wanted = 0, len(data), HEADER_SIZE
        while size - at >= HEADER_SIZE:
            high, low, kind, flags, stream = _HEADER.unpack_from(data, at)
            length = (high << 8) + low
            if length > _MOST:
                found.append(Violation(ErrorCodes.FRAME_SIZE_ERROR, f"a frame of {length} bytes"))
                return found
            if not self.settled and (kind != SETTINGS or flags & ACK):
                found.append(Violation(ErrorCodes.PROTOCOL_ERROR, "the first frame is no SETTINGS"))
                return found
            end = at + HEADER_SIZE + length
            if end > size:
                self._wanted = end - at
                break
            self.settled = True
            found.append(Frame(data[at:end], kind, flags, stream & 0x7FFFFFFF))
            at = end
        if at < size:
            self._buffer += data[at:]
        return found

    @property
    def inside_head(self) -> bool:
        """Whether a HEADERS or CONTINUATION frame is incomplete (RFC 9113, 6.2 and 6.10)."""
        return len(self._buffer) > 3 and self._buffer[3] in (HEADERS, CONTINUATION)

    def receive_eof(self) -> Violation | None:
        """The peer will send nothing more: a violation inside the preface or a frame (RFC 9113, 3.4)."""
        if self._preface and self._preface != PREFACE:
            return Violation(ErrorCodes.PROTOCOL_ERROR, "the connection ended in its preface", BAD_PREFACE)
        if self._buffer:
            return Violation(ErrorCodes.PROTOCOL_ERROR, "the connection ended inside a frame")
        return None
