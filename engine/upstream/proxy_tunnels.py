"""Tunnels through a proxy, by CONNECT or SOCKS."""

from __future__ import annotations

import base64
from typing import Any

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.upstream.errors import NOT_FOUND, PROXY_FAILED, UpstreamError
from mockrec.engine.upstream.options import ProxyAddress
from mockrec.engine.upstream.resolve import is_address, resolve
from mockrec.engine.upstream.route import Route
from mockrec.engine.wire.http1.client import H1Client
from mockrec.engine.wire.parts import Fault, ResponsePart
from mockrec.engine.wire.socks.client import Handshake, SocksRefused, connect4, connect5

_HEAD_LIMIT = 64 * 1024


async def http_tunnel(stream: ByteStream, proxy: ProxyAddress, route: Route) -> bytes:
    """Open a tunnel through an HTTP proxy (RFC 9110, 9.3.6); return the server's bytes that arrived with the proxy's
    response. Raises UpstreamError."""
    authority = str(route)
    headers = [["Host", authority]]
    if proxy.user is not None:
        headers.append(["Proxy-Authorization", basic(proxy)])
    codec = H1Client(_HEAD_LIMIT)
    await stream.send(codec.send_request("CONNECT", authority, headers, body=False))
    while True:
        for part in codec.receive(await stream.receive()):
            if isinstance(part, Fault):
                raise UpstreamError(PROXY_FAILED, f"the proxy {proxy} does not answer as HTTP proxies do")
            if isinstance(part, ResponsePart):
                if 200 <= part.head.status < 300:
                    return codec.rest
                status = f"{part.head.status} {part.head.reason}".rstrip()
                raise UpstreamError(PROXY_FAILED, f"the proxy {proxy} refuses: {status}")


def basic(proxy: ProxyAddress) -> str:
    """The credentials for a proxy in the Basic scheme (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode("ascii")


async def host_for(proxy: ProxyAddress, route: Route) -> str:
    """The host that a SOCKS proxy is asked to connect to: for `socks5` and `socks4` its address, resolved here; for the
    other schemes its name. Raises UpstreamError."""
    if proxy.scheme not in ("socks5", "socks4") or is_address(route.host):
        return route.host
    addresses = await resolve(route.host, route.options.settings.dns_servers)
    if proxy.scheme == "socks4":
        addresses = [address for address in addresses if ":" not in address]
    if not addresses:
        raise UpstreamError(NOT_FOUND, "its name has no address that the proxy could use")
    return addresses[-1] if ":" in addresses[0] and ":" not in addresses[-1] else addresses[0]


async def socks_tunnel(stream: ByteStream, proxy: ProxyAddress, host: str, port: int) -> bytes:
    """Open a tunnel through a SOCKS proxy; return the server's bytes that arrived with the proxy's reply. Raises
    UpstreamError."""
    if proxy.scheme in ("socks4", "socks4a"):
        handshake: Handshake = connect4(host, port, proxy.user)
    else:
        handshake = connect5(host, port, proxy.user, proxy.password)
    buffer = b""
    try:
        out, wanted = next(handshake)
        while True:
            if out:
                await stream.send(out)
            while len(buffer) < wanted:
                buffer += await stream.receive()
            read, buffer = buffer[:wanted], buffer[wanted:]
            out, wanted = handshake.send(read)
    except StopIteration:
        return buffer
    except SocksRefused as refused:
        raise UpstreamError(PROXY_FAILED, f"the proxy {proxy} refuses: {refused}") from None


class PrefixedStream:
    """A byte stream that begins with bytes that were received before: the server's first ones came with the proxy's."""

    def __init__(self, below: ByteStream, received: bytes) -> None:
        self._below = below
        self._received = received

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """See `ByteStream`."""
        received, self._received = self._received, b""
        return received or await self._below.receive(max_bytes)

    @property
    def readable(self) -> bool:
        """See `ByteStream`."""
        return bool(self._received) or self._below.readable
