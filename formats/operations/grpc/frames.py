"""Length-prefixed messages (gRPC over HTTP/2: one byte of flags, four bytes of length, the message), and their trailers
in gRPC-Web, as frames whose flag 0x80 is set.

Nothing is copied for a length that a peer announces: a frame that is longer than the body is a cut frame.
"""

from __future__ import annotations

import binascii
from typing import Final

import msgspec

from mockrec.formats.content.codings import UndecodableError, decode
from mockrec.formats.operations.grpc.media import GrpcKind

HEAD: Final = 5
"""Bytes before each message."""
COMPRESSED: Final = 0x01
TRAILERS: Final = 0x80
"""The flag of a gRPC-Web frame that holds the trailers."""
LARGEST_MESSAGE: Final = 32 * 1024 * 1024
"""Bytes of a decompressed message; clients refuse more than 4 MiB unless they are told otherwise."""
LARGEST_SUM: Final = 64 * 1024 * 1024
"""Bytes of all decompressed messages of a body together, so that many small bombs are no large one."""
_MOST_FRAMES: Final = 100_000
"""Frames of a body that are read; empty ones cost five bytes each, and many times that in memory."""
_CODINGS: Final = ("gzip", "deflate", "br", "zstd")


class Frame(msgspec.Struct, frozen=True):
    """One frame of a body."""

    flags: int
    data: bytes
    """The message as it was sent, which may be compressed, or the trailers."""

    @property
    def is_trailers(self) -> bool:
        """Whether it holds the trailers of gRPC-Web."""
        return bool(self.flags & TRAILERS)

    @property
    def is_compressed(self) -> bool:
        """Whether its message is compressed."""
        return bool(self.flags & COMPRESSED)


class Frames(msgspec.Struct):
    """The frames of a body."""

    frames: list[Frame]
    problem: str = ""
    """Why the rest of the body is no frame; empty if all of it was read."""
    rest: bytes = b""
    """The bytes after the last whole frame."""


def split_frames(body: bytes, kind: GrpcKind = GrpcKind.GRPC) -> Frames:
    """Split a body into its frames. Never raises: what is cut or malformed is a `problem`, and its bytes the `rest`."""
    if kind is GrpcKind.WEB_TEXT:
        body, problem = text_bytes(body)
    else:
        problem = ""
    found = Frames([])
    position, size = 0, len(body)
    while position < size:
        if len(found.frames) == _MOST_FRAMES:
            found.problem = f"it has more than {_MOST_FRAMES} frames"
            break
        left = size - position
        flags = body[position]
        if flags & ~(COMPRESSED | TRAILERS) or (flags & TRAILERS and kind is GrpcKind.GRPC):
            found.problem = f"frame {len(found.frames) + 1} at byte {position} has the flags 0x{flags:02x}"
            found.problem += ", which gRPC does not define (0: plain, 1: compressed)"
            break
        if left < HEAD:
            found.problem = f"frame {len(found.frames) + 1} is cut: {left} of {HEAD} bytes of its prefix"
            break
        length = int.from_bytes(body[position + 1 : position + HEAD], "big")
        if length > left - HEAD:
            found.problem = f"frame {len(found.frames) + 1} is cut: {left - HEAD} of {length} bytes"
            break
        found.frames.append(Frame(flags, body[position + HEAD : position + HEAD + length]))
        position += HEAD + length
    found.rest = body[position:]
    found.problem = found.problem or problem
    return found


def text_bytes(body: bytes) -> tuple[bytes, str]:
    """Decode grpc-web-text: pieces of base64, each with its own padding. Return the bytes, and what is wrong with the
    rest."""
    whole = len(body) - len(body) % 4
    pieces: list[bytes] = []
    start = 0
    while start < whole:
        # A piece ends with its padding: `AA==` may be followed by more.
        padding = body.find(b"=", start, whole)
        end = whole if padding < 0 else padding - padding % 4 + 4
        try:
            pieces.append(binascii.a2b_base64(body[start:end], strict_mode=True))
        except binascii.Error as error:
            return b"".join(pieces), f"invalid base64 after byte {start}: {str(error).lower()}"
        start = end
    problem = f"its base64 is cut: {len(body) - whole} of 4 characters at the end" if whole < len(body) else ""
    return b"".join(pieces), problem


class Decompressor:
    """Decompresses the messages of one body, with a bound for all of them together."""

    def __init__(self, encoding: str, most: int = LARGEST_SUM) -> None:
        """`encoding` is the value of `grpc-encoding`, empty or `identity` for none; `most` the bytes of all messages
        together."""
        self._encoding = encoding.strip().lower()
        self._left = most
        self.is_exceeded = False
        """Whether a message was longer than the bounds allow."""

    def message(self, frame: Frame) -> tuple[bytes, str]:
        """Return the message of a frame, and what is wrong with it; then the message is as it was sent."""
        if not frame.is_compressed:
            return frame.data, ""
        if self._encoding not in _CODINGS:
            named = f"grpc-encoding is {self._encoding}" if self._encoding else "no grpc-encoding is named"
            return frame.data, f"it is marked as compressed, but {named}"
        bound = max(0, min(LARGEST_MESSAGE, self._left))
        if not bound and frame.data:
            self.is_exceeded = True
            return frame.data, "the messages before it have reached the bound of decompressed bytes"
        try:
            data, whole = decode(frame.data, [self._encoding], bound)
        except UndecodableError as error:
            return frame.data, f"it is no {self._encoding}: {error}"
        self._left -= len(data)
        if not whole or len(data) > bound:  # decoders stop some bytes after the bound
            self.is_exceeded = True
            return frame.data, f"it is larger than {bound} bytes when decompressed"
        return data, ""


def join_frames(messages: list[bytes], *, flags: int = 0) -> bytes:
    """Put messages into frames, uncompressed unless `flags` say otherwise."""
    return b"".join(bytes([flags]) + len(message).to_bytes(4, "big") + message for message in messages)
