"""The frames of one WebSocket connection (RFC 6455, 5; RFC 7692), for both ends: bytes in, parts out, and back.

wsproto reads the frames and writes the masked ones; its `FrameDecoder` returns the received part of a large frame. Its
`Connection` is not used: it gives the same event for a broken frame and for a Close frame, and decodes text that may be
cut inside a character. Messages in one frame below 64 KiB that was received whole, as most are, are read without
wsproto, and frames without a mask are written without it: an echo of five bytes takes a sixth of the time.

`message.py` checks messages, `deflate.py` compresses them. A Ping is returned as a part; the caller answers it.
"""

from __future__ import annotations

import struct
from typing import Literal

from wsproto.frame_protocol import (
    CloseReason,
    Frame,
    FrameDecoder,
    FrameProtocol,
    Opcode,
    ParseFailed,
    XorMaskerSimple,
)

from mockrec.engine.wire.fault_phrases import library_words
from mockrec.engine.wire.websocket.deflate import Deflater, Inflater
from mockrec.engine.wire.websocket.handshake import Deflate
from mockrec.engine.wire.websocket.message import Message
from mockrec.engine.wire.websocket.parts import CloseFrame, Fragment, Ping, Pong, WsFault, WsPart

Side = Literal["server", "client"]

_FIN, _RSV1, _MASK = 0x80, 0x40, 0x80
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_SMALL = 125
"""The longest payload whose length is in the second byte (RFC 6455, 5.2), and the longest of a control frame (5.5)."""
_TWO_BYTES, _EIGHT_BYTES = 126, 127
"""In the second byte: the length follows, in two or in eight bytes (RFC 6455, 5.2)."""
_WHOLE = frozenset((_FIN | _TEXT, _FIN | _BINARY, _FIN | _RSV1 | _TEXT, _FIN | _RSV1 | _BINARY))
"""First bytes of a message in one frame."""

_DEFINED_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))
"""The codes below 3000 that a Close frame may carry (RFC 6455, 7.4.1, and IANA's registry)."""


class WebSocket:
    """One connection after its handshake (RFC 6455, 5). `message_limit`: decompressed bytes of a message."""

    def __init__(self, side: Side, *, deflate: Deflate | None, message_limit: int, check_text: bool = True) -> None:
        client = side == "client"
        inflater = deflater = None
        if deflate is not None:
            ours = deflate.client_no_context_takeover, deflate.client_max_window_bits
            theirs = deflate.server_no_context_takeover, deflate.server_max_window_bits
            if not client:
                ours, theirs = theirs, ours
            deflater, inflater = Deflater(*ours), Inflater(theirs[0])
        self.close_sent = False
        self.close_received = False
        self._message = Message(inflater, message_limit, check_text)
        self._frames = FrameDecoder(client, [self._message])
        self._between = True
        """Whether the next byte begins a frame that begins a message."""
        self._over = False
        self._masks = client
        self._mask_expected = 0 if client else _MASK
        self._masker = FrameProtocol(client, [])
        self._deflater = deflater

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes) -> list[WsPart]:
        """Return the parts of these bytes from the peer. After a `CloseFrame` or a `WsFault`, all bytes are ignored.

        RFC 6455, 5.4 and 5.5.
        """
        parts: list[WsPart] = []
        if self._over:
            return parts
        frames = self._frames
        try:
            if self._between:
                at = self._read_small(data, parts)
                if at == len(data):
                    return parts
                data = data[at:]
            frames.receive_bytes(data)
            while not self._over and (frame := frames.process_buffer()) is not None:
                self._read_frame(frame, parts)
        except ParseFailed as error:
            self._over = True
            parts.append(WsFault(int(error.code), library_words(error)))
        self._between = not self._message.open and frames.header is None and not len(frames.buffer)
        return parts

    def _read_small(self, data: bytes, parts: list[WsPart]) -> int:
        """Read messages that are one small frame each; return the offset of the first frame that is not."""
        at, size = 0, len(data)
        mask = self._mask_expected
        message = self._message
        limit, check_text = message.limit, message.check_text
        while size - at > 1:
            first = data[at]
            length = data[at + 1] ^ mask  # a wrong mask bit makes it too large
            start = at + (6 if mask else 2)
            if length == _TWO_BYTES:
                length = int.from_bytes(data[at + 2 : at + 4])
                start += 2
                if length <= _SMALL:
                    break  # a fault (RFC 6455, 5.2: the shortest form of a length)
            elif length > _SMALL:
                break
            stop = start + length
            if stop > size or first not in _WHOLE or length > limit or (first & _RSV1 and message.inflater is None):
                break
            payload = data[start:stop]
            if mask:
                payload = _unmasked(payload, data[start - 4 : start])
            is_binary = first & 0xF == _BINARY
            if first & _RSV1 or not (is_binary or not check_text or payload.isascii()):
                message.start(is_binary, bool(first & _RSV1))
                payload = message.read(payload, True)
            parts.append(Fragment(payload, is_binary, True, True))
            at = stop
        return at

    def _read_frame(self, frame: Frame, parts: list[WsPart]) -> None:
        """Append the part for a frame from wsproto: a whole control frame, or the received part of a data frame."""
        payload = frame.payload
        assert isinstance(payload, bytes)  # only FrameProtocol gives other types
        opcode = frame.opcode
        if opcode is Opcode.PING:
            parts.append(Ping(payload))
        elif opcode is Opcode.PONG:
            parts.append(Pong(payload))
        elif opcode is Opcode.CLOSE:
            self._over = True
            close = _read_close(payload)
            self.close_received = isinstance(close, CloseFrame)
            parts.append(close)
        else:
            message = self._message
            starts = opcode is not Opcode.CONTINUATION  # wsproto calls the later pieces of a frame so too
            ends = frame.frame_finished and frame.message_finished
            if starts:
                message.start(opcode is Opcode.BINARY, message.next_compressed)
            data = message.read(payload, ends)
            if data or starts or ends:
                parts.append(Fragment(data, message.is_binary, starts, ends))

    # ── out ────────────────────────────────────────────────────────────────────────────────────────
    #
    # Nothing is sent after a Close frame (RFC 6455, 5.5.1): each of these then returns no bytes.

    def send_fragment(self, data: bytes, *, is_binary: bool, starts: bool, ends: bool) -> bytes:
        """Return a piece of a message as a frame (RFC 6455, 5.4) that the peer can read at once, compressed or not."""
        if self.close_sent:
            return b""
        first = ((_BINARY if is_binary else _TEXT) if starts else 0) | (_FIN if ends else 0)
        if self._deflater is not None:
            data = self._deflater.deflate(data, ends)
            if starts:
                first |= _RSV1
        return self._frame(first, data)

    def send_message(self, data: bytes, *, is_binary: bool) -> bytes:
        """Return a whole message as one frame (RFC 6455, 5.6)."""
        return self.send_fragment(data, is_binary=is_binary, starts=True, ends=True)

    def send_ping(self, data: bytes = b"") -> bytes:
        """Return a Ping frame (RFC 6455, 5.5.2). Raises ValueError for more than 125 bytes."""
        return self._control(_PING, data)

    def send_pong(self, data: bytes = b"") -> bytes:
        """Return a Pong frame (RFC 6455, 5.5.3). Raises ValueError for more than 125 bytes."""
        return self._control(_PONG, data)

    def send_close(self, code: int | None, reason: str = "") -> bytes:
        """Return a Close frame (RFC 6455, 5.5.1). The reason is cut to what fits, and left out without a code.

        Any number of 16 bits is sent, also one that no Close frame may carry: a relay passes on what it received.
        """
        payload = b""
        if code is not None:
            text = reason.encode()[: _SMALL - 2].decode("utf-8", "ignore")
            payload = struct.pack("!H", code) + text.encode()
        frame = self._control(_CLOSE, payload)
        self.close_sent = True
        return frame

    def _control(self, opcode: int, payload: bytes) -> bytes:
        if self.close_sent:
            return b""
        if len(payload) > _SMALL:
            raise ValueError(f"a control frame cannot hold {len(payload)} bytes")
        return self._frame(_FIN | opcode, payload)

    def _frame(self, first: int, payload: bytes) -> bytes:
        size = len(payload)
        if self._masks:
            frame = self._masker.send_data(payload)
            frame[0] = first  # wsproto writes the head of a binary message in one frame
            return bytes(frame)
        if size <= _SMALL:
            return bytes((first, size)) + payload
        if size < 0x10000:
            return struct.pack("!BBH", first, _TWO_BYTES, size) + payload
        return struct.pack("!BBQ", first, _EIGHT_BYTES, size) + payload


def _unmasked(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    if size > 1024:  # wsproto's masker is faster from here on
        return bytes(XorMaskerSimple(key).process(bytearray(payload)))
    keys = (key * ((size + 3) // 4))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(size)


def _read_close(payload: bytes) -> CloseFrame | WsFault:
    """Read the payload of a Close frame (RFC 6455, 5.5.1 and 7.4)."""
    if not payload:
        return CloseFrame(None, "")
    if len(payload) == 1:
        return WsFault(CloseReason.PROTOCOL_ERROR.value, "half a close code")
    code = int.from_bytes(payload[:2])
    if code not in _DEFINED_CODES and not 3000 <= code <= 4999:
        return WsFault(CloseReason.PROTOCOL_ERROR.value, f"invalid close code {code}")
    try:
        return CloseFrame(code, payload[2:].decode())
    except UnicodeDecodeError:
        return WsFault(CloseReason.INVALID_FRAME_PAYLOAD_DATA.value, "invalid UTF-8 in a close reason")
