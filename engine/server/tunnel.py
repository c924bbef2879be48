"""Tunnels: where a CONNECT or a SOCKS request leads. The inside of a tunnel is served like a new connection."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

import anyio
import msgspec

from mockrec.engine.message.scope import Scope
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.parts import Fault
from mockrec.engine.wire.socks.server import SocksRequest, SocksServer
from mockrec.formats.text.hostnames import to_ascii

BAD_AUTHORITY: Final = "ERR_INVALID_URL"
BAD_PORT: Final = "PREPROCESSING_FAILED"
SOCKS_TIMEOUT: Final = "SOCKS_TIMEOUT"
CONNECT_WITH_BODY: Final = "HPE_UNEXPECTED_CONTENT_LENGTH"
ESTABLISHED: Final = b"HTTP/1.1 200 OK\r\n\r\n"

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]/?#\s]+)(?::([0-9]*))?")


class OpenedTunnel(msgspec.Struct, frozen=True):
    """A tunnel that a client was granted."""

    target: tuple[str, int | None]
    """Host, without brackets, and port."""
    tags: tuple[str, ...]
    rest: bytes
    """The first bytes inside the tunnel, if they were received together with the request for it."""
    scope: Scope | None = None
    """The scope that its credentials name."""


def read_authority(text: str) -> tuple[str, int | None] | str:
    """Parse `host[:port]` of a CONNECT. Return both, or the code of a client-error.

    The port may be missing, as Mockttp allows.
    """
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return BAD_AUTHORITY
    host, digits = found[1], found[2]
    if host.startswith("["):
        host = host[1:-1]
        try:
            IPv6Address(host)
        except ValueError:
            return BAD_AUTHORITY
    elif not host.isascii():
        try:
            host = to_ascii(host.encode("latin-1").decode())
        except ValueError:
            return BAD_AUTHORITY
    if not digits:
        return host, None
    if len(digits) > 5 or not 0 < int(digits) < 65536:
        return BAD_PORT
    return host, int(digits)


async def negotiate_socks(stream: ByteStream, first: bytes, server: SocksServer) -> OpenedTunnel | Fault:
    """Speak SOCKS up to the reply that opens the tunnel or refuses it, and return which. `first` was read already.

    Raises BrokenResourceError.
    """
    data = first
    while True:
        reply, result = server.receive(data)
        if isinstance(result, SocksRequest):
            await stream.send(reply + result.accept())
            return OpenedTunnel((result.host, result.port or None), result.tags, server.rest)
        if reply:
            await stream.send(reply)
        if result is not None:
            return result
        try:
            data = await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return server.receive_eof() or Fault("", status=0)
        except TimeoutError:
            return Fault(SOCKS_TIMEOUT, status=0)
