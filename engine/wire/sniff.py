"""The protocol that the first bytes of a byte stream begin: of a connection, of a tunnel, or of TLS without ALPN.

The result depends on the bytes alone, not on how they were cut, and needs at most `SNIFF_LIMIT` of them. A SOCKS 5
greeting is recognized by its first two bytes, so bytes that a client sends together with it do not matter.
"""

from __future__ import annotations

import re
from typing import Literal

from mockrec.engine.wire.request_line import METHODS
from mockrec.engine.wire.syntax import SCHEME_PATTERN

Opening = Literal["tls", "socks4", "socks5", "h2", "http1", "unknown", "more"]
"""`more`: several protocols are still possible. `unknown`: none; an HTTP/1 codec finds the fault."""

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The connection preface of HTTP/2 (RFC 9113, 3.4), for clients with prior knowledge (3.3)."""
SNIFF_LIMIT = len(H2_PREFACE)

_HANDSHAKE_RECORD = 0x16  # RFC 8446, 5.1
_SOCKS_COMMANDS = (1, 2)  # CONNECT and BIND; the codec refuses BIND
_REQUEST_STARTS = tuple(method + b" " for method in METHODS)
# A method that is not known is read as one only in capitals, because other protocols begin with words too, and only if
# the start of a target follows.
_OTHER_START = re.compile(rf"(?!PRI )[A-Z][A-Z0-9_-]* (?:/|\* |{SCHEME_PATTERN}://)".encode())
_OTHER_BEGUN = re.compile(rf"(?!PRI )[A-Z][A-Z0-9_-]*(?: (?:\*|{SCHEME_PATTERN}(?::/?)?)?)?".encode())


def sniff(first: bytes | bytearray, *, socks: bool) -> Opening:
    """Return the protocol that `first` begins. `socks`: SOCKS is accepted; if not, its bytes are `unknown`."""
    if not first:
        return "more"
    if first[0] == _HANDSHAKE_RECORD:
        return "tls"
    if socks and first[0] in (4, 5):
        return _sniff_socks(first)
    if first.startswith(H2_PREFACE):
        return "h2"
    return "more" if H2_PREFACE.startswith(first) else _sniff_http1(first)


def _sniff_socks(first: bytes | bytearray) -> Opening:
    """The second byte of SOCKS 4 is a command, that of SOCKS 5 (RFC 1928, 3) the number of methods."""
    if len(first) < 2:
        return "more"
    if first[0] == 4:
        return "socks4" if first[1] in _SOCKS_COMMANDS else "unknown"
    return "socks5" if first[1] else "unknown"


def _sniff_http1(first: bytes | bytearray) -> Opening:
    """HTTP/1 begins with a known method and a space, with another method and the start of a target, or with an empty
    line, which no other protocol allows (RFC 9112, 2.2)."""
    first = bytes(first[:SNIFF_LIMIT])
    if first.startswith((b"\r\n", *_REQUEST_STARTS)) or _OTHER_START.match(first):
        return "http1"
    possible = first == b"\r" or (len(first) < SNIFF_LIMIT and _OTHER_BEGUN.fullmatch(first))
    return "more" if possible else "unknown"
