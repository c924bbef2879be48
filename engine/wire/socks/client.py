"""SOCKS 4a and 5, client side: requests to an upstream proxy, and how its replies are read.

Sources: RFC 1928 (SOCKS 5), RFC 1929 (user name and password), the SOCKS 4A memo of Ying-Da Lee. CONNECT only.
"""

from __future__ import annotations

from collections.abc import Generator
from ipaddress import IPv4Address, ip_address

from mockrec.formats.text.hostnames import to_ascii

_REASONS_5 = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}
_REASONS_4 = {0x5B: "rejected or failed", 0x5C: "it cannot reach our identd", 0x5D: "identd names another user"}


class SocksRefused(Exception):
    """The proxy refuses the connection, or does not speak SOCKS; the text is the reason."""


Handshake = Generator[tuple[bytes, int], bytes, None]
"""A generator: yields bytes to send and the number of bytes to read, and receives those. Raises SocksRefused."""


def connect5(host: str, port: int, user: str | None, password: str) -> Handshake:
    """Request a connection to a name or an address from a SOCKS 5 proxy (RFC 1928, 4; RFC 1929)."""
    methods = b"\x00" if user is None else b"\x00\x02"
    reply = yield bytes((5, len(methods))) + methods, 2
    if reply[0] != 5:
        raise SocksRefused("it does not speak SOCKS 5")
    if reply[1] == 2 and user is not None:
        name, secret = user.encode(), password.encode()
        if not 0 < len(name) < 256 or len(secret) > 255:
            raise SocksRefused("a user name for SOCKS 5 has 1 to 255 bytes, a password at most 255")
        reply = yield bytes((1, len(name))) + name + bytes((len(secret),)) + secret, 2
        if reply[1] != 0:
            raise SocksRefused("it does not accept the user name and password")
    elif reply[1] != 0:
        raise SocksRefused("it wants an authentication that was not given")
    reply = yield b"\x05\x01\x00" + _address(host) + port.to_bytes(2), 4
    if reply[0] != 5:
        raise SocksRefused("it does not speak SOCKS 5")
    if reply[1] != 0:
        raise SocksRefused(_REASONS_5.get(reply[1], f"error {reply[1]}"))
    if reply[3] == 3:
        length = yield b"", 1
        yield b"", length[0] + 2
    else:
        yield b"", (16 if reply[3] == 4 else 4) + 2


def connect4(host: str, port: int, user: str | None) -> Handshake:
    """Request a connection to an IPv4 address from a SOCKS 4 proxy, or to a name (SOCKS 4a)."""
    if "\x00" in (user or ""):
        raise SocksRefused("a user name for SOCKS 4 cannot hold a NUL")
    name = (user or "").encode() + b"\x00"
    try:
        address = IPv4Address(host).packed
    except ValueError:
        if ":" in host:
            raise SocksRefused("SOCKS 4 knows no IPv6") from None
        address = b"\x00\x00\x00\x01"
        name += _name(host) + b"\x00"
    reply = yield b"\x04\x01" + port.to_bytes(2) + address + name, 8
    if reply[0] != 0 or reply[1] != 0x5A:
        raise SocksRefused(_REASONS_4.get(reply[1], "it does not speak SOCKS 4"))


def _address(host: str) -> bytes:
    try:
        address = ip_address(host)
    except ValueError:
        name = _name(host)
        return bytes((3, len(name))) + name
    return bytes((1 if address.version == 4 else 4,)) + address.packed


def _name(host: str) -> bytes:
    """Encode a host name for a request. Raises SocksRefused."""
    try:
        name = to_ascii(host).encode("ascii")
    except ValueError:
        name = b""
    if not 0 < len(name) < 256 or b"\x00" in name:
        raise SocksRefused("SOCKS knows no such host name") from None
    return name
