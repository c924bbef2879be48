"""Makes connections to servers: name → addresses → TCP, through a proxy if there is one, TLS if the route is secure.

Two addresses of one name race (RFC 8305). Every failure leaves this module as an UpstreamError.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import cast

import anyio
import msgspec

from mockrec.engine import clock
from mockrec.engine.late import imported
from mockrec.engine.tls.client import WRONG_NAME, CertificateVerdict, ClientContexts, check_name, client_connection
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.tls import TlsError, TlsStream
from mockrec.engine.upstream.errors import (
    LOOP,
    NOT_FOUND,
    PROXY_FAILED,
    RESET,
    TIMED_OUT,
    UpstreamError,
    system_error,
    tls_error,
)
from mockrec.engine.upstream.options import ProxyAddress, UpstreamOptions
from mockrec.engine.upstream.proxy_scripts import ProxyScripts
from mockrec.engine.upstream.proxy_tunnels import PrefixedStream, host_for, http_tunnel, socks_tunnel
from mockrec.engine.upstream.resolve import is_address, resolve
from mockrec.engine.upstream.route import HTTP2, Route, UpstreamTransport

Connect = Callable[[str, int], Awaitable[ByteStream]]
"""Opens a TCP connection to an address and port. Raises OSError."""

_HEAD_START_SECONDS = 0.25
_MOST_REACHED = 1000


class Dialer:
    """Makes the connections of a run, and knows which of them are open."""

    def __init__(
        self,
        connect: Connect,
        contexts: ClientContexts,
        is_own: Callable[[str, int], bool],
        scripts: ProxyScripts | None = None,
    ) -> None:
        """`is_own`: whether an address and port are where this recorder listens."""
        self._connect = connect
        self._contexts = contexts
        self._is_own = is_own
        self.scripts = scripts or ProxyScripts()
        self._open_ends: set[tuple[tuple[str, int], tuple[str, int]]] = set()
        """Both ends of each open connection: one port may serve several connections to different servers."""
        self.reached: dict[str, None] = {}
        """The servers and proxies, as `host:port`, to which connections were made or attempted; the first thousand."""

    def check(self, options: UpstreamOptions) -> None:
        """Load the files that options name. Raises ConfigError."""
        settings = options.settings
        if options.trusted_cas:
            self._contexts.context_for(options.trusted_cas, verify=True)
        for files in settings.client_certificates.values():
            self._contexts.context_for(options.trusted_cas, verify=True, certificate=files)

    def is_ours(self, peer: tuple[str, int], local: tuple[str, int]) -> bool:
        """Whether an accepted connection was made by this dialer: to pass on what it requests would never end."""
        return (peer, local) in self._open_ends

    def forget(self, stream: ByteStream) -> None:
        """Note that a connection of this dialer has ended."""
        self._open_ends.discard((stream.local, stream.peer))

    async def dial(self, route: Route, client_ip: str = "", *, to_self: bool = False) -> UpstreamTransport:
        """Connect to a server. For a client on another machine, loopback addresses are replaced by its address,
        `client_ip`. `to_self`: the server may be this recorder.

        Raises UpstreamError; no connection is left open then.
        """
        attempt = _Attempt()
        seconds = route.options.settings.connect_timeout
        try:
            with anyio.fail_after(seconds):
                return await self._dial(route, client_ip, attempt, to_self)
        except Exception as error:
            self._drop(attempt.opened)
            failure = _failure(error, seconds)
            if failure is None:
                raise
            raise attempt.blamed(failure) from None
        except BaseException:
            self._drop(attempt.opened)
            raise

    def _drop(self, opened: list[ByteStream]) -> None:
        for stream in opened:
            self.forget(stream)
            stream.close()

    async def _dial(self, route: Route, client_ip: str, attempt: _Attempt, to_self: bool) -> UpstreamTransport:
        """Connect through the first proxy that can be reached and used."""
        script = route.options.settings.pac
        attempt.blame = "" if script is None else f"the proxy script {script} has not answered"
        proxies = await self.scripts.proxies_for(route)
        attempt.blame = ""
        share = route.options.settings.connect_timeout / len(proxies)
        for proxy in proxies[:-1]:
            try:
                with anyio.fail_after(share):
                    return await self._dial_by(proxy, route, client_ip, attempt, to_self)
            except Exception as error:
                if _failure(error, share) is None or not attempt.blame or getattr(error, "code", "") == PROXY_FAILED:
                    raise
                self._drop(attempt.opened)
                attempt.opened, attempt.blame = [], ""
        return await self._dial_by(proxies[-1], route, client_ip, attempt, to_self)

    async def _dial_by(
        self, proxy: ProxyAddress | None, route: Route, client_ip: str, attempt: _Attempt, to_self: bool
    ) -> UpstreamTransport:
        timings: dict[str, float] = {}
        transport = UpstreamTransport(
            await self._connect_tcp(route, proxy, client_ip, attempt, timings, to_self), timings=timings
        )
        received = b""
        if proxy is not None:
            transport.proxy = proxy
            host = route.host if proxy.is_http else await host_for(proxy, route)
            attempt.blame = f"the proxy {proxy} cannot be used"
            if proxy.scheme == "https":
                transport.byte_stream = await self._secured(
                    transport.byte_stream, proxy.host, proxy.port, route.options
                )
            if not proxy.is_http:
                received = await socks_tunnel(transport.byte_stream, proxy, host, route.port)
            elif route.secure or route.raw or HTTP2 in route.alpn:
                received = await http_tunnel(transport.byte_stream, proxy, route)
            else:
                transport.wants_urls = True
            attempt.blame = ""
        if route.secure:
            began = clock.now()
            secured = await self._secured(
                transport.byte_stream, route.name, route.port, route.options, route.alpn, received
            )
            transport.byte_stream = secured
            transport.is_http2 = HTTP2 in route.alpn and secured.tls.get_alpn_proto_negotiated() == HTTP2
            timings["tls"] = round(clock.now() - began, 4)
        else:
            transport.is_http2 = HTTP2 in route.alpn
            if received:
                transport.byte_stream = cast(ByteStream, PrefixedStream(transport.byte_stream, received))
        return transport

    async def _connect_tcp(
        self,
        route: Route,
        proxy: ProxyAddress | None,
        client_ip: str,
        attempt: _Attempt,
        timings: dict[str, float],
        to_self: bool,
    ) -> ByteStream:
        """Connect to the proxy, or else to the server."""
        host, port = (route.host, route.port) if proxy is None else (proxy.host, proxy.port)
        began = clock.now()
        if proxy is not None:
            attempt.blame = f"the proxy {proxy} cannot be reached"
        addresses = await resolve(host, route.options.settings.dns_servers)
        if not addresses:
            raise UpstreamError(NOT_FOUND, "its name has no address")
        if proxy is None and client_ip and not _is_loopback(client_ip):
            addresses = [client_ip if _is_loopback(address) else address for address in addresses]
        resolved = clock.now()
        if not is_address(host):
            timings["dns"] = round(resolved - began, 4)
        if not to_self and any(self._is_own(address, port) for address in addresses):
            raise UpstreamError(LOOP, "that is this recorder itself")
        for name, number in {(host, port), (route.name, route.port)}:
            if len(self.reached) < _MOST_REACHED:
                self.reached[f"[{name}]:{number}" if ":" in name else f"{name}:{number}"] = None
        stream = await self._race(addresses, port, attempt.opened)
        timings["connect"] = round(clock.now() - resolved, 4)
        attempt.blame = ""
        return stream

    async def _race(self, addresses: list[str], port: int, opened: list[ByteStream]) -> ByteStream:
        """The connection that is established first. The next address is tried a quarter of a second after the one
        before, or as soon as that one fails."""
        if len(addresses) == 1:
            opened.append(await self._open(addresses[0], port))
            return opened[-1]
        winners: list[ByteStream] = []
        errors: list[UpstreamError] = []
        async with anyio.create_task_group() as group:

            async def attempt(address: str, failed: anyio.Event) -> None:
                try:
                    stream = await self._open(address, port)
                except UpstreamError as error:
                    errors.append(error)
                    failed.set()
                    return
                if winners:  # both were established in the same iteration of the event loop
                    self._drop([stream])
                else:
                    opened.append(stream)
                    winners.append(stream)
                    group.cancel_scope.cancel()

            for address in addresses:
                failed = anyio.Event()
                group.start_soon(attempt, address, failed)
                with anyio.move_on_after(_HEAD_START_SECONDS):
                    await failed.wait()
        if winners:
            return winners[0]
        raise errors[-1]

    async def _open(self, address: str, port: int) -> ByteStream:
        try:
            stream = await self._connect(address, port)
        except OSError as error:
            raise system_error(error) from None
        self._open_ends.add((stream.local, stream.peer))
        return stream

    async def _secured(
        self,
        below: ByteStream,
        name: str,
        port: int,
        options: UpstreamOptions,
        alpn: tuple[bytes, ...] = (),
        received: bytes = b"",
    ) -> TlsStream:
        """TLS over `below`, with a server whose certificate is verified unless the options say otherwise; `received`
        are bytes that were read from `below` before.

        Raises UpstreamError, TlsError and what byte streams raise.
        """
        await imported("OpenSSL.SSL", "OpenSSL.crypto", "cryptography.x509", "service_identity.hazmat")
        verify = options.verifies(name, port)
        context = self._contexts.context_for(
            options.trusted_cas, verify=verify, certificate=options.certificate_for(name, port)
        )
        verdict = CertificateVerdict()
        stream = TlsStream(below, client_connection(context, name, verdict, list(alpn)), received)
        try:
            await stream.handshake()
        except TlsError:
            if verdict.code:
                raise UpstreamError(verdict.code, verdict.text) from None
            raise
        if verify and (wrong := check_name(stream.tls, name)):
            raise UpstreamError(WRONG_NAME, wrong)
        return stream


class _Attempt(msgspec.Struct):
    """The state of one `dial`, for the case that it fails."""

    opened: list[ByteStream] = msgspec.field(default_factory=list)
    blame: str = ""
    """The beginning of the error's text while another hop than the server is being talked to."""

    def blamed(self, error: UpstreamError) -> UpstreamError:
        """The error with the failing hop before it, if that was not the server."""
        if not self.blame or error.code in (LOOP, PROXY_FAILED):
            return error
        return UpstreamError(error.code, f"{self.blame}: {error}", *error.tags[1:])


def _failure(error: Exception, seconds: float) -> UpstreamError | None:
    """The error as an UpstreamError; None for an exception that no network failure raises."""
    if isinstance(error, UpstreamError):
        return error
    if isinstance(error, TimeoutError):
        return UpstreamError(TIMED_OUT, f"no connection within {seconds:g}s")
    if isinstance(error, TlsError):
        return tls_error(error)
    if isinstance(error, UnicodeError):
        return UpstreamError(NOT_FOUND, "its name is not one that can be resolved")
    if isinstance(error, (anyio.EndOfStream, anyio.BrokenResourceError)):
        return UpstreamError(RESET, "the connection was closed while it was being set up")
    return None


def _is_loopback(address: str) -> bool:
    """Whether a connection to an address stays on this machine, in whatever notation."""
    found = ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_loopback or found.is_unspecified
