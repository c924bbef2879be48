"""What a WebSocket's codec (`connection.py`) returns: pieces of messages, control frames, and faults.

They have a module without wsproto, which is imported for the first WebSocket: who waits for parts needs their classes.
"""

from __future__ import annotations

import msgspec


class Fragment(msgspec.Struct):
    """A piece of a message (RFC 6455, 5.4), decompressed. Text may be cut inside a character.

    Pieces are cut as the bytes were received, not as the sender cut its frames. The first and the last may be empty.
    """

    data: bytes
    is_binary: bool
    starts: bool
    ends: bool


class Ping(msgspec.Struct):
    """A Ping frame: the peer expects a Pong with the same data (RFC 6455, 5.5.2)."""

    data: bytes


class Pong(msgspec.Struct):
    """A Pong frame: the response to a Ping, or a heartbeat (RFC 6455, 5.5.3)."""

    data: bytes


class CloseFrame(msgspec.Struct):
    """The peer's Close frame (RFC 6455, 5.5.1); nothing follows."""

    code: int | None
    """None: the frame has no code."""
    reason: str


class WsFault(msgspec.Struct):
    """The peer broke the protocol, or its message is too big (RFC 6455, 7.1.7); nothing follows."""

    code: int
    """The code to close with (RFC 6455, 7.4.1): 1002, 1007 or 1009."""
    reason: str


WsPart = Fragment | Ping | Pong | CloseFrame | WsFault
