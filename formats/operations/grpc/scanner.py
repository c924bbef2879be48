"""The messages of a body while it arrives: their sizes, and the bytes of the short ones."""

from __future__ import annotations

import binascii
from typing import Final, NamedTuple

from mockrec.formats.operations.grpc.frames import COMPRESSED, HEAD, TRAILERS
from mockrec.formats.operations.grpc.media import GrpcKind

KEPT: Final = 16 * 1024
"""Bytes of a message that is kept while it arrives, so that it can be decoded at once; of a longer one only the size is
known."""


class ScannedMessage(NamedTuple):
    """A message that has arrived. A tuple, because an empty one has five bytes, of which many arrive at once."""

    size: int
    """Bytes as sent, without the five before them."""
    is_compressed: bool
    data: bytes | None
    """As sent; None if it is longer than `KEPT`."""


_EMPTY: Final = ScannedMessage(0, False, b"")


class MessageScanner:
    """Finds the messages in pieces of a body. Any division into pieces gives the same messages."""

    __slots__ = ("_data", "_forbidden", "_head", "_is_text", "_left", "_size", "_text", "broken")

    def __init__(self, kind: GrpcKind) -> None:
        self._forbidden = 0xFF & ~(COMPRESSED if kind is GrpcKind.GRPC else COMPRESSED | TRAILERS)
        """Flags that no frame may have."""
        self._is_text = kind is GrpcKind.WEB_TEXT
        self._text = b""
        """Characters of base64 that make no whole bytes yet."""
        self._head = b""
        self._data: bytearray | None = None
        self._size = 0
        self._left = 0
        """Bytes of the present message that have not arrived."""
        self.broken = False
        """Whether the body is malformed; what follows is not read."""

    def feed(self, data: bytes) -> list[ScannedMessage]:
        """Take the next bytes; return the messages that are complete with them, without trailers of gRPC-Web."""
        if self._is_text:
            data = self._decoded(data)
        found: list[ScannedMessage] = []
        position, end = 0, len(data)
        while not self.broken and (position < end or (len(self._head) == HEAD and not self._left)):
            if not self._head:
                position = self._whole(data, position, found)
                if position == end:
                    break
            if len(self._head) < HEAD:
                piece = data[position : position + HEAD - len(self._head)]
                self._head += piece
                position += len(piece)
                if len(self._head) == HEAD:
                    self._begin()
                continue
            piece = data[position : position + self._left]
            if self._data is not None:
                self._data += piece
            self._left -= len(piece)
            position += len(piece)
            if not self._left:
                flags = self._head[0]
                self._head = b""
                if not flags & TRAILERS:
                    kept = None if self._data is None else bytes(self._data)
                    found.append(ScannedMessage(self._size, bool(flags & COMPRESSED), kept))
                self._data = None
        return found

    def _whole(self, data: bytes, position: int, found: list[ScannedMessage]) -> int:
        """Add the messages that are whole in `data` from a position on; return the position after them."""
        end, forbidden = len(data), self._forbidden
        while end - position >= HEAD:
            flags = data[position]
            start = position + HEAD
            stop = start + int.from_bytes(data[position + 1 : start], "big")
            if stop > end or flags & forbidden:
                break
            position = stop
            if stop == start and not flags:
                found.append(_EMPTY)
            elif not flags & TRAILERS:
                size = stop - start
                kept = data[start:stop] if size <= KEPT else None
                found.append(ScannedMessage(size, bool(flags & COMPRESSED), kept))
        return position

    def _begin(self) -> None:
        """A frame begins: look at its five bytes."""
        flags = self._head[0]
        if flags & self._forbidden:
            self.broken = True
            return
        self._size = self._left = int.from_bytes(self._head[1:], "big")
        self._data = bytearray() if self._size <= KEPT else None

    def _decoded(self, data: bytes) -> bytes:
        """Decode base64 whose pieces may have padding of their own."""
        text = self._text + data
        whole = len(text) - len(text) % 4
        self._text = text[whole:]
        pieces: list[bytes] = []
        start = 0
        try:
            while start < whole:
                padding = text.find(b"=", start, whole)
                end = whole if padding < 0 else padding - padding % 4 + 4
                pieces.append(binascii.a2b_base64(text[start:end], strict_mode=True))
                start = end
        except binascii.Error:
            self.broken = True
        return b"".join(pieces)
