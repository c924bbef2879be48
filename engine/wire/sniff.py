"""Which protocol the first bytes of a pipe begin: a port, a tunnel, or the inside of TLS where ALPN chose nothing.

The answer depends on the bytes alone, never on how they were cut, and at most `SNIFF_LIMIT` of them are needed.
So a SOCKS 5 greeting is known by its first two bytes, and what a client sends along with it does no harm.
"""

from __future__ import annotations

import re
from typing import Literal

from mockrec.engine.wire.request_line import METHODS
from mockrec.engine.wire.syntax import SCHEME_PATTERN

Opening = Literal["tls", "socks4", "socks5", "h2", "http1", "unknown", "more"]
"""`more`: several of them are still possible. `unknown`: none, and an HTTP/1 codec would say what is wrong."""

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113, 3.4: HTTP/2 by prior knowledge."""
SNIFF_LIMIT = len(H2_PREFACE)

_HANDSHAKE_RECORD = 0x16  # RFC 8446, 5.1
_SOCKS_COMMANDS = (1, 2)  # CONNECT and BIND; the refusal of BIND is the codec's
_REQUEST_STARTS = tuple(method + b" " for method in METHODS)
# Other methods are in capitals where other protocols could be meant, and what follows must look like a target.
_OTHER_START = re.compile(rf"(?!PRI )[A-Z][A-Z0-9_-]* (?:/|\* |{SCHEME_PATTERN}://)".encode())
_OTHER_BEGUN = re.compile(rf"(?!PRI )[A-Z][A-Z0-9_-]*(?: (?:\*|{SCHEME_PATTERN}(?::/?)?)?)?".encode())


def sniff(first: bytes | bytearray, *, socks: bool) -> Opening:
    """What `first` begins. `socks` says whether SOCKS is spoken here; if not, its bytes are `unknown`."""
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
    """SOCKS 4 goes on with a command, SOCKS 5 (RFC 1928, 3) with the number of its methods."""
    if len(first) < 2:
        return "more"
    if first[0] == 4:
        return "socks4" if first[1] in _SOCKS_COMMANDS else "unknown"
    return "socks5" if first[1] else "unknown"


def _sniff_http1(first: bytes | bytearray) -> Opening:
    """A method and a space, and the start of a target where no registry has the method; or an empty line, which only
    HTTP/1 allows before its own start (RFC 9112, 2.2)."""
    first = bytes(first[:SNIFF_LIMIT])
    if first.startswith((b"\r\n", *_REQUEST_STARTS)) or _OTHER_START.match(first):
        return "http1"
    possible = first == b"\r" or (len(first) < SNIFF_LIMIT and _OTHER_BEGUN.fullmatch(first))
    return "more" if possible else "unknown"
