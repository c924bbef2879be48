"""An HTTP/1.1 server that accepts only requests with a single possible reading, for tests of request smuggling.

Its `serve` is the function that the fixture `upstream` calls for each connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from upstreams import Served

Request = tuple[str, str, bytes]
"""Method, target and body."""

_START = re.compile(rb"(?:[A-Z]+ /[!-~\x80-\xff]*|OPTIONS \*) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([^\x00-\x1f\x7f]*)")
_NO_TRAILER = re.compile(rb"(?im)^(?:content-length|transfer-encoding|host|connection|trailer|te|expect):")


@dataclass
class Seen:
    """The requests of one connection."""

    requests: list[Request] = field(default_factory=list)
    problem: str = ""
    """The first bytes with more than one reading."""
    broken_off: bool = False
    """True if the connection ended in the middle of a message."""


class _Strange(Exception):
    """Bytes with more than one reading."""


class _BrokenOff(Exception):
    """The connection ended in the middle of a message."""


class Strict:
    """Accepts requests exactly as RFC 9112 generates them, and answers with their method and target; other bytes are a
    problem."""

    def __init__(self) -> None:
        self.connections: list[Seen] = []

    @property
    def requests(self) -> list[Request]:
        """Requests of all connections."""
        return [request for one in self.connections for request in one.requests]

    @property
    def problems(self) -> list[str]:
        """Problems of all connections."""
        return [one.problem for one in self.connections if one.problem]

    def serve(self, connection: Served) -> None:
        """Handle one connection."""
        seen = Seen()
        self.connections.append(seen)
        try:
            while (request := _request(connection)) is not None:
                seen.requests.append(request)
                body = " ".join(request[:2]).encode()
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        except _Strange as error:
            seen.problem = f"{error}; {connection.buffer[:200]!r} follows"
        except _BrokenOff:
            seen.broken_off = True


def _request(connection: Served) -> Request | None:
    head = connection.until(b"\r\n\r\n")
    if not head:
        if connection.buffer:
            raise _BrokenOff
        return None
    if head == b"PRI * HTTP/2.0\r\n\r\n":
        return None  # close the connection: the server does not speak HTTP/2 (RFC 9113, 3.4)
    start, *lines = head[:-4].split(b"\r\n")
    matched = [_FIELD.fullmatch(line) for line in lines]
    if not _START.fullmatch(start) or None in matched:
        raise _Strange(head)
    fields = [(one[1].lower(), one[2]) for one in matched if one]
    values = dict(fields)
    names = [name for name, _ in fields if name in (b"host", b"content-length", b"transfer-encoding")]
    if names.count(b"host") != 1 or len(names) > 2 or {b"upgrade", b"http2-settings"} & {*values}:
        raise _Strange(head)
    length, coding = values.get(b"content-length"), values.get(b"transfer-encoding")
    if values[b"host"] != connection.server.authority.encode() or coding not in (None, b"chunked"):
        raise _Strange(head)
    if length is not None and not re.fullmatch(rb"0|[1-9][0-9]*", length):
        raise _Strange(head)
    method, target, _ = start.decode().split(" ")
    return method, target, _chunked(connection) if coding else _exactly(connection, int(length or b"0"))


def _chunked(connection: Served) -> bytes:
    body = b""
    while (line := _line(connection)) != b"0":
        if not re.fullmatch(rb"[1-9a-f][0-9a-f]*", line):
            raise _Strange(f"the size {line!r}")
        body += _exactly(connection, int(line, 16))
        if _exactly(connection, 2) != b"\r\n":
            raise _Strange("a chunk without its end of line")
    while line := _line(connection):
        if not _FIELD.fullmatch(line) or _NO_TRAILER.match(line):
            raise _Strange(f"the trailer {line!r}")
    return body


def _line(connection: Served) -> bytes:
    line = connection.until(b"\r\n")
    if not line:
        raise _BrokenOff
    return line[:-2]


def _exactly(connection: Served, size: int) -> bytes:
    while len(connection.buffer) < size:
        if not connection.more():
            raise _BrokenOff
    return connection.exactly(size)
