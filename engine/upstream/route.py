"""The way to a server, and the connection that was made on it."""

from __future__ import annotations

import msgspec

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.upstream.options import ProxyAddress, UpstreamOptions

HTTP2 = b"h2"
HTTP1_ONLY = (b"http/1.1",)
HTTP2_ONLY = (HTTP2,)
HTTP2_FIRST = (HTTP2, b"http/1.1")
"""The protocols that are offered to servers (RFC 7301)."""


class Route(msgspec.Struct, frozen=True):
    """The way to a server. A connection made on one route can be used for an equal one."""

    secure: bool
    host: str
    """Name or address to connect to."""
    port: int
    name: str
    """The server's name: in SNI, in its certificate, to proxies. Differs from `host` where a tunnel named an
    address."""
    options: UpstreamOptions
    alpn: tuple[bytes, ...] = ()
    """The protocols that may be spoken, see `protocols.py`; HTTP/1.1 alone where it is empty."""
    raw: bool = False
    """Whether another protocol than HTTP is going to be spoken, so that a proxy has to give a tunnel."""

    def __str__(self) -> str:
        return f"{f'[{self.name}]' if ':' in self.name else self.name}:{self.port}"


class UpstreamTransport(msgspec.Struct):
    """A connection to a server."""

    byte_stream: ByteStream
    wants_urls: bool = False
    """Whether the other end is a proxy, which gets absolute URLs (RFC 9112, 3.2.2)."""
    proxy: ProxyAddress | None = None
    timings: dict[str, float] = msgspec.field(default_factory=dict)
    """`dns`, `connect`, `tls` in milliseconds."""
    is_http2: bool = False
    """Whether the server has chosen HTTP/2."""
