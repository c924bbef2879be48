"""SOCKS 4, 4a and 5, server side, up to the point where the tunnel begins: bytes in, replies and a request out.

Sources: RFC 1928 (SOCKS 5), RFC 1929 (user name and password), and the SOCKS 4 and 4A memos of NEC and of Ying-Da
Lee. CONNECT only. A message is answered when all of it is there, so that no reply is lost in a reset over unread
bytes; that also makes replies independent of how the bytes were cut.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, TypeVar

import orjson

from mockrec.engine.wire.parts import Fault

AuthMethod = Literal["no-auth", "user-password-metadata"]
Refusal = Literal[
    "general-failure",
    "not-allowed",
    "network-unreachable",
    "host-unreachable",
    "connection-refused",
    "ttl-expired",
    "command-not-supported",
    "address-type-not-supported",
]

BAD_VERSION = "SOCKS_INVALID_VERSION"
BAD_COMMAND = "SOCKS_UNSUPPORTED_COMMAND"
BAD_ADDRESS_TYPE = "SOCKS_UNSUPPORTED_ADDRESS_TYPE"
BAD_HOST = "SOCKS_INVALID_HOST"
NO_METHOD = "SOCKS_NO_ACCEPTABLE_METHOD"
AUTH_FAILED = "SOCKS_AUTH_FAILED"
BAD_METADATA = "SOCKS_INVALID_METADATA"
OVERFLOW = "SOCKS_FIELD_OVERFLOW"
EARLY_EOF = "SOCKS_INVALID_EOF_STATE"

FIELD_LIMIT = 255
"""Bytes of a SOCKS 4 user id or host name; those of SOCKS 5 cannot be longer."""

METADATA_USER = b"metadata"
METADATA_TAG = "socket-metadata:"

_METHOD_CODES: dict[AuthMethod, int] = {"no-auth": 0, "user-password-metadata": 2}
_NO_METHOD_CODE = 0xFF
_REFUSAL_CODES: dict[Refusal, int] = {  # RFC 1928, 6
    "general-failure": 1,
    "not-allowed": 2,
    "network-unreachable": 3,
    "host-unreachable": 4,
    "connection-refused": 5,
    "ttl-expired": 6,
    "command-not-supported": 7,
    "address-type-not-supported": 8,
}
_V4_GRANTED = b"\x00\x5a"
_V4_REJECTED = b"\x00\x5b"
_NOWHERE = IPv4Address(0)
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_AUTH_VERSION = 1  # RFC 1929, 2: in its replies too, where many servers wrongly send 5
_HOST = re.compile(rb"[^\x00-\x20\"#/<>?@\\\[\]^`{|}\x7f-\xff]+")  # what a name in a URL may hold, `:` for IPv6 text


@dataclass(frozen=True, slots=True)
class SocksRequest:
    """The client wants a tunnel to this address. Answer with `accept` or `refuse`."""

    version: Literal[4, 5]
    host: str
    """A name as sent, or an address in its canonical text (RFC 5952)."""
    port: int
    tags: tuple[str, ...] = ()
    """`socket-metadata:…`, from the authentication."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a message is refused, and the reply that says so."""

    code: str
    reply: bytes = b""


_Result = TypeVar("_Result")
# A message that was read: what it says, and how many bytes it had. None while it is not complete.
_Read = tuple[_Result | _Failure, int] | None


class SocksServer:
    """One connection up to its tunnel. `methods`: what is allowed, the most wanted first."""

    __slots__ = ("_buffer", "_methods", "_result", "_stage", "_tags", "_version")

    def __init__(self, methods: Sequence[AuthMethod] = ("no-auth",)) -> None:
        unknown = [method for method in methods if method not in _METHOD_CODES]
        if unknown or not methods:
            raise ValueError(f"not SOCKS authentication methods: {unknown}" if unknown else "no SOCKS methods")
        self._methods = tuple(methods)
        self._buffer = bytearray()
        self._stage: Literal["greeting", "password", "request"] = "greeting"
        self._version: Literal[4, 5] = 5
        self._tags: tuple[str, ...] = ()
        self._result: SocksRequest | Fault | None = None

    @property
    def rest(self) -> bytes:
        """What came behind the request: the first bytes of the tunnel."""
        return bytes(self._buffer) if isinstance(self._result, SocksRequest) else b""

    def receive(self, data: bytes) -> tuple[bytes, SocksRequest | Fault | None]:
        """Take bytes from the client: what to send it, and how the handshake ended, once it did.

        After a `Fault` the connection is to be closed behind what is sent; anything more is ignored. After a
        request what comes is added to `rest`.
        """
        if isinstance(self._result, Fault):
            return b"", None
        self._buffer += data
        reply = b""
        while self._result is None:
            step = self._step()
            if step is None:
                break
            reply += step
        else:
            if not reply and not data:
                return b"", None
        return reply, self._result
