"""permessage-deflate (RFC 7692, 7.2): messages as DEFLATE streams that are read and written in pieces."""

from __future__ import annotations

import zlib

from wsproto.frame_protocol import CloseReason, ParseFailed

_FLUSHED = b"\x00\x00\xff\xff"
"""The last bytes of a flush, which a sender leaves out at the end of a message (RFC 7692, 7.2.1)."""
_INFLATE_STEP = 16 * 1024


def too_big() -> ParseFailed:
    """Return the error for a message over the limit (RFC 6455, 7.4.1: 1009)."""
    return ParseFailed("message too big", CloseReason.MESSAGE_TOO_BIG)


class Inflater:
    """Decompresses the peer's messages (RFC 7692, 7.2.2). It reads any window, also a larger one than was agreed."""

    def __init__(self, no_context: bool) -> None:
        self._no_context = no_context
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._fed = False
        """Whether the message has payload: without, it is empty, although RFC 7692, 7.2.3.6 requires a byte."""

    def inflate(self, data: bytes, ends: bool, room: int) -> bytes:
        """Decompress the next piece of a message, to `room` bytes at most (RFC 7692, 7.2.2). Raises ParseFailed."""
        found: list[bytes] = []
        try:
            # A sender may end its DEFLATE stream inside a message (7.2.3.4), and at each end zlib copies the rest.
            for at in range(0, len(data), _INFLATE_STEP):
                self._fed = True
                rest = data[at : at + _INFLATE_STEP]
                while rest:
                    room -= self._step(rest, room, found)
                    rest = self._zlib.unused_data
                    if rest:
                        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            if ends:
                if self._fed:
                    self._step(_FLUSHED, room, found)
                if self._no_context or self._zlib.eof:
                    self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
                self._fed = False
        except zlib.error:
            raise ParseFailed("invalid compressed data", CloseReason.INVALID_FRAME_PAYLOAD_DATA) from None
        return found[0] if len(found) == 1 else b"".join(found)

    def _step(self, data: bytes, room: int, found: list[bytes]) -> int:
        piece = self._zlib.decompress(data, room + 1)
        if len(piece) > room:
            raise too_big()
        if piece:
            found.append(piece)
        return len(piece)


class Deflater:
    """Compresses our messages (RFC 7692, 7.2.1)."""

    def __init__(self, no_context: bool, window_bits: int) -> None:
        self._no_context = no_context
        self._window_bits = window_bits
        self._zlib: zlib._Compress | None = None

    def deflate(self, data: bytes, ends: bool) -> bytes:
        """Compress the next piece of a message, flushed so that the peer can read it at once (RFC 7692, 7.2.1)."""
        # zlib flushes nothing if it was given nothing. An empty message is one byte (7.2.3.6).
        deflated = b""
        if data:
            if self._zlib is None:
                self._zlib = _compressor(self._window_bits)
            deflated = self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        if not ends:
            return deflated
        if self._no_context:
            self._zlib = None
        return deflated[:-4] or b"\x00"


def _compressor(window_bits: int) -> zlib._Compress:
    # zlib has no window of 8 bits. Data without back-references needs none.
    strategy = zlib.Z_HUFFMAN_ONLY if window_bits == 8 else zlib.Z_DEFAULT_STRATEGY
    return zlib.compressobj(wbits=-max(window_bits, 9), strategy=strategy)
