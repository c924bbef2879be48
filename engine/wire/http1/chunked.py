"""The chunked transfer coding (RFC 9112, 7.1): bytes in, data and trailers out.

h11 accepts bare line feeds and folded lines in trailers, and its limits depend on how the bytes were cut. Here lines
are read one by one in the order of the bytes, so that the same bytes give the same fault however they were cut.

Servers are read as curl reads them (`odd`): a line and the data of a chunk may end with LF alone, and whitespace may
follow a size. A size line with extensions must end with CR LF: recipients that skip extensions look for different ends.
"""

from __future__ import annotations

import re

from mockrec.engine.wire.fault_codes import INVALID_CHUNK, INVALID_HEADER, OVERFLOW
from mockrec.engine.wire.odd_fields import CHUNK_LF, CHUNK_PADDED, read_fields
from mockrec.engine.wire.parts import Data, End, Fault, Part
from mockrec.engine.wire.syntax import FIELD_LINE

# The size, then extensions, which are ignored (RFC 9112, 7.1.1); whitespace is allowed only before a semicolon.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_PADDED_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]+")
_HEX_DIGITS = b"0123456789ABCDEFabcdef"


class ChunkedBody:
    """The chunks of one message (RFC 9112, 7.1). `limit`: bytes of a size line, and of all trailers, with line ends."""

    __slots__ = ("_awaits_crlf", "_buffer", "_forgiving", "_in_trailers", "_left", "_limit", "_odd", "_trailers")

    def __init__(self, limit: int, *, odd: bool = False) -> None:
        """`odd`: repair faults that have one meaning; the `End` names them."""
        self._forgiving = odd
        self._odd: dict[str, None] = {}
        self._limit = limit
        self._buffer = bytearray()
        self._left = 0
        """Bytes of the current chunk that have not been received."""
        self._awaits_crlf = False
        self._in_trailers = False
        self._trailers: list[list[str]] = []

    @property
    def rest(self) -> bytes:
        """The bytes that follow the end of the content (RFC 9112, 9.3.2: of the next message)."""
        return bytes(self._buffer)

    def receive(self, data: bytes) -> list[Part]:
        """Return the parts that `data` completes; nothing follows an `End` or a `Fault` (RFC 9112, 7.1)."""
        buffer = self._buffer
        buffer += data
        parts: list[Part] = []
        while buffer:
            if self._left:
                piece = bytes(buffer[: self._left])
                del buffer[: len(piece)]
                self._left -= len(piece)
                self._awaits_crlf = not self._left
                parts.append(Data(piece))
                continue
            if self._awaits_crlf:
                if self._forgiving and buffer[0] == 0x0A:
                    self._odd[CHUNK_LF] = None
                    del buffer[0]
                    self._awaits_crlf = False
                    continue
                if not buffer.startswith(b"\r\n"):
                    if buffer != b"\r":
                        parts.append(Fault(INVALID_CHUNK))
                    break
                del buffer[:2]
                self._awaits_crlf = False
                continue
            line = self._line()
            if line is None:
                break
            if isinstance(line, Fault):
                last: End | Fault | None = line
            else:
                last = self._trailer(line) if self._in_trailers else self._size(line)
            if last is not None:
                parts.append(last)
                break
        return parts

    def _line(self) -> bytes | Fault | None:
        """Return the next line without its end; None until it is complete."""
        buffer = self._buffer
        end = buffer.find(b"\n")
        if end >= self._limit or (end < 0 and len(buffer) >= self._limit):
            return Fault(OVERFLOW, status=431) if self._in_trailers else Fault(INVALID_CHUNK)
        if end < 0:
            # A line that does not begin with a digit will never be a size.
            return None if self._in_trailers or buffer[0] in _HEX_DIGITS else Fault(INVALID_CHUNK)
        if end == 0 or buffer[end - 1] != 0x0D:
            if not self._forgiving or (not self._in_trailers and buffer.find(b";", 0, end) >= 0):
                return Fault(INVALID_HEADER if self._in_trailers else INVALID_CHUNK)
            self._odd[CHUNK_LF] = None
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            return line
        line = bytes(buffer[: end - 1])
        del buffer[: end + 1]
        return line

    def _size(self, line: bytes) -> Fault | None:
        matched = _SIZE_LINE.fullmatch(line)
        if matched is None and self._forgiving:
            matched = _PADDED_SIZE.fullmatch(line)
            self._odd[CHUNK_PADDED] = None
        if matched is None:
            return Fault(INVALID_CHUNK)
        self._left = int(matched[1], 16)
        self._in_trailers = not self._left
        return None

    def _trailer(self, line: bytes) -> End | Fault | None:
        if not line:
            return End(self._trailers, tuple(self._odd)) if self._odd else End(self._trailers)
        self._limit -= len(line) + 2
        matched = FIELD_LINE.fullmatch(line)
        if matched is None and self._forgiving:
            read = read_fields((line,))  # no field precedes a folded line here, so it is refused
            if isinstance(read, str):
                return Fault(INVALID_HEADER, detail=read)
            self._trailers += read[0]
            self._odd.update(dict.fromkeys(read[1]))
            return None
        if matched is None:
            return Fault(INVALID_HEADER)
        self._trailers.append([matched[1].decode("latin-1"), matched[2].decode("latin-1")])
        return None
