"""Makes connections to servers: name → addresses → TCP, through a proxy where there is one, TLS where it is asked for.

Two addresses of one name race (RFC 8305). Every failure leaves here as an UpstreamError.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

import anyio

from mockrec.engine import clock
from mockrec.engine.pipe import Pipe
from mockrec.engine.tls.client import WRONG_NAME, ClientContexts, Verdict, check_name, client_connection
from mockrec.engine.tls.session import TlsError, TlsPipe
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
from mockrec.engine.upstream.options import Options, ProxyAddress
from mockrec.engine.upstream.resolve import is_address, resolve
from mockrec.engine.wire.h1_client import H1Client
from mockrec.engine.wire.parts import Fault, Response
from mockrec.engine.wire.socks_client import Handshake, SocksRefused, connect4, connect5

Connect = Callable[[str, int], Awaitable[Pipe]]
"""Opens a TCP connection to an address and port. Raises OSError."""

_HEAD_START_SECONDS = 0.25
_PROXY_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a server. Connections of equal routes can stand in for one another."""

    secure: bool
    host: str
    """Name or address to connect to."""
    port: int
    name: str
    """What the server is called: in SNI, in its certificate, to proxies. Differs from `host` where a tunnel named an
    address."""
    options: Options
    alpn: tuple[bytes, ...] = ()
    raw: bool = False
    """Whether something else than HTTP is going to be spoken, so that a proxy has to give a tunnel."""

    def __str__(self) -> str:
        return f"{f'[{self.name}]' if ':' in self.name else self.name}:{self.port}"


@dataclass(slots=True)
class Dialed:
    """A connection to a server."""

    pipe: Pipe
    wants_urls: bool = False
    """Whether a proxy is at the other end, which is told whole URLs."""
    proxy: ProxyAddress | None = None
    timings: dict[str, float] = field(default_factory=dict)
    """`dns`, `connect`, `tls` in milliseconds."""


class Dialer:
    """One for a run."""

    def __init__(self, connect: Connect, contexts: ClientContexts, is_own: Callable[[str, int], bool]) -> None:
        """`is_own` knows the addresses that we listen on ourselves."""
        self._connect = connect
        self._contexts = contexts
        self._is_own = is_own
        self._made: set[tuple[tuple[str, int], tuple[str, int]]] = set()
        """Both ends of each connection: one port may serve several connections to different servers."""

    def check(self, options: Options) -> None:
        """Load the files that options name. Raises ConfigError."""
        settings = options.settings
        if settings.trusted_cas:
            self._contexts.context_for(settings.trusted_cas, verify=True)
        for files in settings.client_certificates.values():
            self._contexts.context_for(settings.trusted_cas, verify=True, certificate=files)

    def is_ours(self, peer: tuple[str, int], local: tuple[str, int]) -> bool:
        """Whether a connection that was accepted is one that we have made: what it asks for would go round for ever."""
        return (peer, local) in self._made

    def forget(self, pipe: Pipe) -> None:
        """A connection made here has ended."""
        self._made.discard((pipe.local, pipe.peer))

    async def dial(self, route: Route, client_ip: str = "", *, to_self: bool = False) -> Dialed:
        """Connect. `client_ip` is who asks: to others than this machine, our loopback means theirs. `to_self`: the
        server may be this recorder.

        Raises UpstreamError; nothing is left open then.
        """
        opened: list[Pipe] = []
        seconds = route.options.settings.connect_timeout
        try:
            with anyio.fail_after(seconds):
                dialed = await self._dial(route, client_ip, opened, to_self)
        except TimeoutError:
            self._drop(opened)
            raise UpstreamError(TIMED_OUT, f"no connection within {seconds:g}s") from None
        except TlsError as error:
            self._drop(opened)
            raise tls_error(error) from None
        except UnicodeError:
            self._drop(opened)
            raise UpstreamError(NOT_FOUND, "its name is not one that can be resolved") from None
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            self._drop(opened)
            raise UpstreamError(RESET, "the connection was closed while it was being set up") from None
        except BaseException:
            self._drop(opened)
            raise
        return dialed

    def _drop(self, opened: list[Pipe]) -> None:
        for pipe in opened:
            self.forget(pipe)
            pipe.close()

    async def _dial(self, route: Route, client_ip: str, opened: list[Pipe], to_self: bool) -> Dialed:
        proxy = route.options.proxy_for(route.name, route.port, secure=route.secure)
        timings: dict[str, float] = {}
        dialed = Dialed(await self._reach(route, proxy, client_ip, opened, timings, to_self), timings=timings)
        if proxy is not None:
            dialed.proxy = proxy
            if proxy.scheme == "https":
                dialed.pipe = await self._secured(dialed.pipe, proxy.host, proxy.port, route.options)
            if not proxy.is_http:
                await _socks(dialed.pipe, proxy, route)
            elif route.secure or route.raw:
                await _connect(dialed.pipe, proxy, route)
            else:
                dialed.wants_urls = True
        if route.secure:
            began = clock.now()
            dialed.pipe = await self._secured(dialed.pipe, route.name, route.port, route.options, route.alpn)
            timings["tls"] = round(clock.now() - began, 4)
        return dialed

    async def _reach(
        self,
        route: Route,
        proxy: ProxyAddress | None,
        client_ip: str,
        opened: list[Pipe],
        timings: dict[str, float],
        to_self: bool,
    ) -> Pipe:
        """A TCP connection to the proxy, or else to the server."""
        host, port = (route.host, route.port) if proxy is None else (proxy.host, proxy.port)
        began = clock.now()
        try:
            addresses = await resolve(host, route.options.settings.dns_servers)
        except UpstreamError as error:
            raise error if proxy is None else _of_proxy(proxy, error) from None
        if not addresses:
            raise UpstreamError(NOT_FOUND, "its name has no address")
        if proxy is None and client_ip and not _is_loopback(client_ip) and all(map(_is_loopback, addresses)):
            addresses = [client_ip]
        resolved = clock.now()
        if not is_address(host):
            timings["dns"] = round(resolved - began, 4)
        if not to_self and any(self._is_own(address, port) for address in addresses):
            raise UpstreamError(LOOP, "that is this recorder itself")
        try:
            pipe = await self._race(addresses, port, opened)
        except UpstreamError as error:
            raise error if proxy is None else _of_proxy(proxy, error) from None
        timings["connect"] = round(clock.now() - resolved, 4)
        return pipe

    async def _race(self, addresses: list[str], port: int, opened: list[Pipe]) -> Pipe:
        """The first connection that comes about; a next address is tried after a quarter of a second, or a failure."""
        if len(addresses) == 1:
            opened.append(await self._open(addresses[0], port))
            return opened[-1]
        winners: list[Pipe] = []
        errors: list[UpstreamError] = []
        async with anyio.create_task_group() as group:

            async def attempt(address: str, failed: anyio.Event) -> None:
                try:
                    pipe = await self._open(address, port)
                except UpstreamError as error:
                    errors.append(error)
                    failed.set()
                    return
                if winners:  # two in one turn of the loop
                    self._drop([pipe])
                else:
                    opened.append(pipe)
                    winners.append(pipe)
                    group.cancel_scope.cancel()

            for address in addresses:
                failed = anyio.Event()
                group.start_soon(attempt, address, failed)
                with anyio.move_on_after(_HEAD_START_SECONDS):
                    await failed.wait()
        if winners:
            return winners[0]
        raise errors[-1]

    async def _open(self, address: str, port: int) -> Pipe:
        try:
            pipe = await self._connect(address, port)
        except OSError as error:
            raise system_error(error) from None
        self._made.add((pipe.local, pipe.peer))
        return pipe

    async def _secured(
        self, below: Pipe, name: str, port: int, options: Options, alpn: tuple[bytes, ...] = ()
    ) -> TlsPipe:
        """TLS with a server that has to be who it should be. Raises UpstreamError, TlsError and what pipes raise."""
        verify = options.verifies(name, port)
        context = self._contexts.context_for(
            options.settings.trusted_cas, verify=verify, certificate=options.certificate_for(name, port)
        )
        verdict = Verdict()
        pipe = TlsPipe(below, client_connection(context, name, verdict, list(alpn)))
        try:
            await pipe.handshake()
        except TlsError:
            if verdict.code:
                raise UpstreamError(verdict.code, verdict.text) from None
            raise
        if verify and (wrong := check_name(pipe.tls, name)):
            raise UpstreamError(WRONG_NAME, wrong)
        return pipe


def _of_proxy(proxy: ProxyAddress, error: UpstreamError) -> UpstreamError:
    return UpstreamError(error.code, f"the proxy {proxy} cannot be reached: {error}")


async def _connect(pipe: Pipe, proxy: ProxyAddress, route: Route) -> None:
    """A tunnel through an HTTP proxy (RFC 9110, 9.3.6)."""
    authority = str(route)
    headers = [["Host", authority]]
    if proxy.user is not None:
        headers.append(["Proxy-Authorization", basic(proxy)])
    codec = H1Client(_PROXY_HEAD)
    await pipe.send(codec.send_request("CONNECT", authority, headers, body=False))
    while True:
        for part in codec.receive(await pipe.receive()):
            if isinstance(part, Fault):
                raise UpstreamError(PROXY_FAILED, f"the proxy {proxy} does not answer as HTTP proxies do")
            if isinstance(part, Response):
                if 200 <= part.head.status < 300:
                    return
                status = f"{part.head.status} {part.head.reason}".rstrip()
                raise UpstreamError(PROXY_FAILED, f"the proxy {proxy} refuses: {status}")


def basic(proxy: ProxyAddress) -> str:
    """The credentials of a proxy as RFC 7617 has them."""
    return "Basic " + base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode("ascii")


async def _socks(pipe: Pipe, proxy: ProxyAddress, route: Route) -> None:
    """A tunnel through a SOCKS proxy; only `socks5h` and `socks4a` leave names to the proxy."""
    host = route.host
    if proxy.scheme in ("socks5", "socks4", "socks") and not is_address(host):
        addresses = await resolve(host, route.options.settings.dns_servers)
        if proxy.scheme == "socks4":
            addresses = [address for address in addresses if ":" not in address]
        if not addresses:
            raise UpstreamError(NOT_FOUND, "its name has no address that the proxy could use")
        host = addresses[-1] if ":" in addresses[0] and ":" not in addresses[-1] else addresses[0]
    if proxy.scheme in ("socks4", "socks4a"):
        handshake: Handshake = connect4(host, route.port, proxy.user)
    else:
        handshake = connect5(host, route.port, proxy.user, proxy.password)
    buffer = b""
    try:
        out, wanted = next(handshake)
        while True:
            if out:
                await pipe.send(out)
            while len(buffer) < wanted:
                buffer += await pipe.receive()
            read, buffer = buffer[:wanted], buffer[wanted:]
            out, wanted = handshake.send(read)
    except StopIteration:
        return
    except SocksRefused as refused:
        raise UpstreamError(PROXY_FAILED, f"the proxy {proxy} refuses: {refused}") from None


def _is_loopback(address: str) -> bool:
    return ip_address(address.partition("%")[0]).is_loopback
