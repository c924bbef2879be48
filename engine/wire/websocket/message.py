"""Checks of the WebSocket message that is being received (RFC 6455, 5.4): frame order, size, compression and text."""

from __future__ import annotations

import codecs
import sys

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, ParseFailed, RsvBits

from mockrec.engine.wire.websocket.deflate import Inflater, too_big


class Message(Extension):
    """The message that is being received (RFC 6455, 5.4). An extension of wsproto: it checks each frame header."""

    name = "message"

    def __init__(self, inflater: Inflater | None, limit: int, check_text: bool) -> None:
        self.inflater = inflater
        self.limit = min(limit, sys.maxsize - 1)
        self.open = False
        self.is_binary = False
        self.next_compressed = False
        """Whether the first frame of the next message has RSV1 set (RFC 7692, 6)."""
        self._compressed = False
        self._size = 0
        self.check_text = check_text
        self._cut = b""
        """The beginning of a character whose end has not been received."""

    def offer(self) -> bool:
        """Required by wsproto, never called: `handshake.py` negotiates extensions."""
        return False

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> RsvBits:
        """Return the reserved bits that are allowed. Called again for the same header until its mask is received.

        RFC 6455, 5.2 and 5.4. Raises ParseFailed.
        """
        if opcode.iscontrol():
            return RsvBits(False, False, False)
        starts = opcode is not Opcode.CONTINUATION
        if starts is self.open:
            raise ParseFailed("a message inside a message" if starts else "a continuation of no message")
        if starts:
            self.next_compressed = rsv.rsv1
            compressed, size = rsv.rsv1, 0
        else:
            compressed, size = self._compressed, self._size
        if not compressed and size + payload_length > self.limit:
            raise too_big()
        return RsvBits(starts and self.inflater is not None, False, False)

    def start(self, is_binary: bool, compressed: bool) -> None:
        """Begin a message (RFC 6455, 5.4)."""
        self.open = True
        self.is_binary = is_binary
        self._compressed = compressed
        self._size = 0

    def read(self, payload: bytes, ends: bool) -> bytes:
        """Return the next piece of payload, decompressed. Raises ParseFailed with the close code (RFC 6455, 7.4.1)."""
        if self._compressed:
            assert self.inflater is not None
            payload = self.inflater.inflate(payload, ends, self.limit - self._size)
        self._size += len(payload)
        if not self.is_binary and self.check_text and (self._cut or not payload.isascii()):
            self._read_text(payload, ends)
        if ends:
            self.open = False
        return payload

    def _read_text(self, data: bytes, ends: bool) -> None:
        if self._cut:
            data = self._cut + data
        try:
            consumed = codecs.utf_8_decode(data, "strict", ends)[1]
        except UnicodeDecodeError:
            raise _bad_text() from None
        self._cut = cut = data[consumed:]
        if cut[:1] == b"\xed" and cut[1:] >= b"\xa0":  # half of a surrogate pair; Python waits for its end
            raise _bad_text()


def _bad_text() -> ParseFailed:
    return ParseFailed("invalid UTF-8 in a text message", CloseReason.INVALID_FRAME_PAYLOAD_DATA)
