"""SOCKS 4, 4a and 5, server side, up to the start of the tunnel: bytes in, replies and a request out.

Sources: RFC 1928 (SOCKS 5), RFC 1929 (user name and password), and the SOCKS 4 and 4A memos of NEC and of Ying-Da
Lee. CONNECT only. A message is answered once it is complete: no reply is lost to a reset because of unread bytes, and
replies do not depend on how the bytes were cut.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Literal

import msgspec
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
"""Bytes of a SOCKS 4 user id or host name; no field of SOCKS 5 can be longer."""

METADATA_USER = b"metadata"
METADATA_TAG = "socket-metadata:"

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
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
_CONNECT = 1
_NAME = 3
_ADDRESS_SIZES = {1: 4, 4: 16}  # by address type
_ADDRESS_TYPES = {4: 1, 6: 4}  # by IP version
_AUTH_VERSION = 1  # RFC 1929, 2: in its replies too, where many servers wrongly send 5
_HOST = re.compile(rb"[^\x00-\x20\"#/<>?@\\\[\]^`{|}\x7f-\xff]+")  # what a name in a URL may hold, `:` for IPv6 text


class SocksRequest(msgspec.Struct, frozen=True):
    """A client's request for a tunnel (RFC 1928, 4). The reply is that of `accept` or `refuse`."""

    version: Literal[4, 5]
    host: str
    """A name as sent, or an address in the text form of RFC 5952."""
    port: int
    tags: tuple[str, ...] = ()
    """`socket-metadata:…`, from the authentication."""

    def accept(self, bound_host: str = "0.0.0.0", bound_port: int = 0) -> bytes:
        """Return the reply that opens the tunnel (RFC 1928, 6); `bound_host`: the IP address that it leaves from."""
        if self.version == 5:
            return _reply5(0, bound_host, bound_port)
        return _reply4(_V4_GRANTED, bound_host, bound_port)

    def refuse(self, reason: Refusal) -> bytes:
        """Return the reply that refuses the tunnel (RFC 1928, 6), before the connection is closed.

        SOCKS 4 has no reasons.
        """
        return _refusal(self.version, reason)


class SocksServer:
    """One connection up to its tunnel. `methods`: the authentication methods, the preferred one first (RFC 1928, 3).

    SOCKS 4 has no authentication, so it is accepted only if `no-auth` is allowed.
    """

    __slots__ = ("_accepts", "_buffer", "_methods", "_result", "_stage", "_tags")

    def __init__(
        self,
        methods: Sequence[AuthMethod] = ("no-auth",),
        accepts: Callable[[bytes, bytes], bool] | None = None,
    ) -> None:
        """`accepts` checks user names and passwords (RFC 1929); if it is given, other clients are refused."""
        unknown = [method for method in methods if method not in _METHOD_CODES]
        if unknown or not methods:
            raise ValueError(f"unknown SOCKS authentication: {unknown}" if unknown else "no SOCKS authentication")
        self._methods: tuple[AuthMethod, ...] = tuple(methods) if accepts is None else ("user-password-metadata",)
        self._accepts = accepts
        self._buffer = bytearray()
        self._tags: tuple[str, ...] = ()
        self._result: SocksRequest | Fault | None = None
        # Reads one message if it is complete: the reply to it, or None.
        self._stage: Callable[[SocksServer], bytes | None] = SocksServer._greeting

    @property
    def rest(self) -> bytes:
        """The bytes that follow the request: the first bytes of the tunnel (RFC 1928, 6)."""
        return bytes(self._buffer) if isinstance(self._result, SocksRequest) else b""

    def receive(self, data: bytes) -> tuple[bytes, SocksRequest | Fault | None]:
        """Return the bytes to send for these bytes from the client, and the result in the call that ends the handshake.

        After a `Fault` the connection is closed once the reply is sent, and further bytes are ignored. After a request,
        further bytes are added to `rest`.
        """
        if self._result is not None:
            if isinstance(self._result, SocksRequest):
                self._buffer += data
            return b"", None
        self._buffer += data
        out = b""
        while self._result is None and (reply := self._stage(self)) is not None:
            out += reply
        return out, self._result

    def receive_eof(self) -> Fault | None:
        """The client will send nothing more: a fault inside the handshake (RFC 1928, 3 and 4)."""
        untouched = self._stage is SocksServer._greeting and not self._buffer
        if self._result is not None or untouched:
            return None
        self._fail(EARLY_EOF, b"" if self._stage is SocksServer._password else bytes(self._buffer))
        return self._result

    # ── one message each ───────────────────────────────────────────────────────────────────────────

    def _greeting(self) -> bytes | None:
        """RFC 1928, 3: VER, NMETHODS, METHODS. VER 4 leads to SOCKS 4."""
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] == 4:
            self._stage = SocksServer._request4
            return b""
        if buffer[0] != 5:
            return self._fail(BAD_VERSION, bytes(buffer[:1]))
        message = self._take(2 + buffer[1]) if len(buffer) > 1 else None
        if message is None:
            return None
        for method in self._methods:
            code = _METHOD_CODES[method]
            if code in message[2:]:
                self._stage = SocksServer._request5 if method == "no-auth" else SocksServer._password
                return bytes((5, code))
        return self._fail(NO_METHOD, message, bytes((5, _NO_METHOD_CODE)))

    def _password(self) -> bytes | None:
        """RFC 1929, 2: VER, ULEN, UNAME, PLEN, PASSWD. A refused message is not logged: it may hold a password."""
        buffer = self._buffer
        if buffer and buffer[0] != _AUTH_VERSION:
            return self._fail(BAD_VERSION, b"", bytes((_AUTH_VERSION, 1)))
        password_at = 3 + buffer[1] if len(buffer) > 1 else 3
        message = self._take(password_at + buffer[password_at - 1]) if len(buffer) >= password_at else None
        if message is None:
            return None
        if self._accepts is not None:
            if not self._accepts(message[2 : password_at - 1], message[password_at:]):
                return self._fail(AUTH_FAILED, b"", bytes((_AUTH_VERSION, 1)))
            self._stage = SocksServer._request5
            return bytes((_AUTH_VERSION, 0))
        if message[2 : password_at - 1] != METADATA_USER:
            return self._fail(AUTH_FAILED, b"", bytes((_AUTH_VERSION, 1)))
        tags = read_metadata_tags(message[password_at:])
        if tags is None:
            return self._fail(BAD_METADATA, b"", bytes((_AUTH_VERSION, 2)))
        self._tags = tags
        self._stage = SocksServer._request5
        return bytes((_AUTH_VERSION, 0))

    def _request5(self) -> bytes | None:
        """RFC 1928, 4: VER, CMD, RSV, ATYP, DST.ADDR, DST.PORT."""
        buffer = self._buffer
        if buffer and buffer[0] != 5:
            return self._fail(BAD_VERSION, bytes(buffer[:1]), _refusal(5, "general-failure"))
        if len(buffer) < 5:
            return None
        command, kind = buffer[1], buffer[3]
        host_at = 5 if kind == _NAME else 4
        host_size = buffer[4] if kind == _NAME else _ADDRESS_SIZES.get(kind)
        if host_size is None:  # the end of the message is unknown
            raw = bytes(buffer[:4])
            if command != _CONNECT:
                return self._fail(BAD_COMMAND, raw, _refusal(5, "command-not-supported"))
            return self._fail(BAD_ADDRESS_TYPE, raw, _refusal(5, "address-type-not-supported"))
        message = self._take(host_at + host_size + 2)
        if message is None:
            return None
        if command != _CONNECT:
            return self._fail(BAD_COMMAND, message, _refusal(5, "command-not-supported"))
        raw_host = message[host_at:-2]
        return self._finish(5, _name(raw_host) if kind == _NAME else str(ip_address(raw_host)), message[-2:], message)

    def _request4(self) -> bytes | None:
        """SOCKS 4: VN, CD, DSTPORT, DSTIP, USERID, NUL; 4a adds a name and NUL if DSTIP is 0.0.0.x, x not 0."""
        buffer = self._buffer
        end = self._text_end(8)
        if not end:
            return None if end is None else self._fail(OVERFLOW, bytes(buffer[:8]), _refusal(4))
        named = buffer[4:7] == b"\x00\x00\x00" and buffer[7] != 0
        name_at = end
        if named:
            end = self._text_end(name_at)
            if not end:
                return None if end is None else self._fail(OVERFLOW, bytes(buffer[:name_at]), _refusal(4))
        message = bytes(buffer[:end])
        del buffer[:end]
        if "no-auth" not in self._methods:
            return self._fail(NO_METHOD, message, _refusal(4))
        if message[1] != _CONNECT:
            return self._fail(BAD_COMMAND, message, _refusal(4))
        host = _name(message[name_at:-1]) if named else str(ip_address(message[4:8]))
        return self._finish(4, host, message[2:4], message)

    # ── helpers ────────────────────────────────────────────────────────────────────────────────────

    def _text_end(self, start: int) -> int | None:
        """Return the offset after the NUL of the text at `start`; None if incomplete, 0 if the text is too long."""
        limit = start + FIELD_LIMIT + 1
        found = self._buffer.find(0, start, limit)
        if found >= 0:
            return found + 1
        return 0 if len(self._buffer) >= limit else None

    def _take(self, size: int) -> bytes | None:
        """Remove and return the first `size` bytes of the buffer; None if there are fewer."""
        buffer = self._buffer
        if len(buffer) < size:
            return None
        message = bytes(buffer[:size])
        del buffer[:size]
        return message

    def _finish(self, version: Literal[4, 5], host: str | None, port: bytes, raw: bytes) -> bytes:
        if host is None:
            return self._fail(BAD_HOST, raw, _refusal(version))
        self._result = SocksRequest(version, host, int.from_bytes(port), self._tags)
        return b""

    def _fail(self, code: str, raw: bytes, reply: bytes = b"") -> bytes:
        self._result = Fault(code, status=0, raw=raw)
        self._buffer.clear()
        return reply


def read_metadata_tags(secret: bytes) -> tuple[str, ...] | None:
    """Return the tags in a client's metadata: JSON, or base64 of it (RFC 4648, 4 or 5); None if it is neither.

    There are none if the JSON is not an object or has no `tags`; tags that are not text are ignored.
    """
    try:
        if secret.startswith(b"e"):  # base64 of `{"` begins so, and no JSON text does
            digits = secret.translate(_URL_SAFE).rstrip(b"=")
            secret = base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
        metadata = orjson.loads(secret)
    except ValueError:
        return None
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return tuple(METADATA_TAG + tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def _name(raw: bytes) -> str | None:
    return raw.decode("ascii") if _HOST.fullmatch(raw) else None


def _refusal(version: Literal[4, 5], reason: Refusal = "general-failure") -> bytes:
    return _reply5(_REFUSAL_CODES[reason]) if version == 5 else _reply4(_V4_REJECTED)


def _reply5(code: int, bound_host: str = "0.0.0.0", bound_port: int = 0) -> bytes:
    """RFC 1928, 6: VER, REP, RSV, ATYP, BND.ADDR, BND.PORT."""
    address = ip_address(bound_host)
    return bytes((5, code, 0, _ADDRESS_TYPES[address.version])) + address.packed + bound_port.to_bytes(2)


def _reply4(answer: bytes, bound_host: str = "0.0.0.0", bound_port: int = 0) -> bytes:
    address = ip_address(bound_host)
    return answer + bound_port.to_bytes(2) + (address.packed if address.version == 4 else bytes(4))
