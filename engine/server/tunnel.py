"""Tunnels: who may have one, where to, and the greetings of SOCKS. Their content is looked at like a new connection."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any, Final

import anyio

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.parts import Fault
from mockrec.engine.wire.socks.server import METADATA_USER, SocksRequest, SocksServer, read_metadata_tags
from mockrec.formats.text.hostnames import to_ascii

AUTH_REQUIRED: Final = "ERR_PROXY_AUTH_REQUIRED"
BAD_AUTHORITY: Final = "ERR_INVALID_URL"
BAD_PORT: Final = "PREPROCESSING_FAILED"
SOCKS_TIMEOUT: Final = "SOCKS_TIMEOUT"
CONNECT_WITH_BODY: Final = "HPE_UNEXPECTED_CONTENT_LENGTH"
ESTABLISHED: Final = b"HTTP/1.1 200 OK\r\n\r\n"

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]/?#\s]+)(?::([0-9]*))?")


@dataclass(frozen=True, slots=True)
class Opened:
    """A tunnel that the client has been given."""

    target: tuple[str, int | None]
    """Host, without brackets, and port."""
    tags: tuple[str, ...]
    rest: bytes
    """What has come of its content already."""


def read_authority(text: str) -> tuple[str, int | None] | str:
    """`host[:port]` of a CONNECT → both, or the code of a client-error. The port may be missing (Mockttp allows it)."""
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


def admitted(headers: Mapping[str, Any], auth: tuple[str, str] | None) -> tuple[str, ...] | None:
    """What `Proxy-Authorization` (RFC 7617) says of a client: its tags, or None if it must not use the proxy.

    With the user `metadata` the password is JSON about the client, whose `tags` go to all its events.
    """
    given = _credentials(headers.get("proxy-authorization", ""))
    if auth is not None:
        return () if given is not None and is_allowed(given, auth) else None
    if given is None or given[0] != METADATA_USER:
        return ()
    return read_metadata_tags(given[1]) or ()


def is_allowed(given: tuple[bytes, bytes], auth: tuple[str, str]) -> bool:
    """Whether user and password are the right ones; takes as long for wrong ones."""
    user = hmac.compare_digest(given[0], auth[0].encode())
    password = hmac.compare_digest(given[1], auth[1].encode())
    return user and password


def _credentials(header: str) -> tuple[bytes, bytes] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


async def negotiate_socks(pipe: ByteStream, first: bytes, server: SocksServer) -> Opened | Fault:
    """The greetings of SOCKS; the client has been told how it ended. Raises BrokenResourceError."""
    data = first
    while True:
        reply, result = server.receive(data)
        if isinstance(result, SocksRequest):
            await pipe.send(reply + result.accept())
            return Opened((result.host, result.port or None), result.tags, server.rest)
        if reply:
            await pipe.send(reply)
        if result is not None:
            return result
        try:
            data = await pipe.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return server.receive_eof() or Fault("", status=0)
        except TimeoutError:
            return Fault(SOCKS_TIMEOUT, status=0)
