"""Makes connections to servers: name → addresses → TCP, through a proxy where there is one, TLS where it is asked for.

Two addresses of one name race (RFC 8305). Every failure leaves here as an UpstreamError.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, cast

import anyio

from mockrec.engine import clock
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
from mockrec.engine.upstream.resolve import is_address, resolve
from mockrec.engine.wire.http1.client import H1Client
from mockrec.engine.wire.parts import Fault, ResponsePart
from mockrec.engine.wire.socks.client import Handshake, SocksRefused, connect4, connect5

Connect = Callable[[str, int], Awaitable[ByteStream]]
"""Opens a TCP connection to an address and port. Raises OSError."""

HTTP2 = b"h2"
HTTP1_ONLY = (b"http/1.1",)
HTTP2_ONLY = (HTTP2,)
HTTP2_FIRST = (HTTP2, b"http/1.1")
"""What is offered to servers (RFC 7301)."""

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
    options: UpstreamOptions
    alpn: tuple[bytes, ...] = ()
    """What may be spoken, see `protocols.py`; HTTP/1.1 alone where it is empty."""
    raw: bool = False
    """Whether something else than HTTP is going to be spoken, so that a proxy has to give a tunnel."""

    def __str__(self) -> str:
        return f"{f'[{self.name}]' if ':' in self.name else self.name}:{self.port}"


@dataclass(slots=True)
class UpstreamTransport:
    """A connection to a server."""

    pipe: ByteStream
    wants_urls: bool = False
    """Whether a proxy is at the other end, which is told whole URLs."""
    proxy: ProxyAddress | None = None
    timings: dict[str, float] = field(default_factory=dict)
    """`dns`, `connect`, `tls` in milliseconds."""
    is_http2: bool = False
    """Whether the server has chosen HTTP/2."""


class Dialer:
    """One for a run."""

    def __init__(
        self,
        connect: Connect,
        contexts: ClientContexts,
        is_own: Callable[[str, int], bool],
        scripts: ProxyScripts | None = None,
    ) -> None:
        """`is_own` knows the addresses that we listen on ourselves."""
        self._connect = connect
        self._contexts = contexts
        self._is_own = is_own
        self.scripts = scripts or ProxyScripts()
        self._made: set[tuple[tuple[str, int], tuple[str, int]]] = set()
        """Both ends of each connection: one port may serve several connections to different servers."""

    def check(self, options: UpstreamOptions) -> None:
        """Load the files that options name. Raises ConfigError."""
        settings = options.settings
        if options.trusted_cas:
            self._contexts.context_for(options.trusted_cas, verify=True)
        for files in settings.client_certificates.values():
            self._contexts.context_for(options.trusted_cas, verify=True, certificate=files)

    def is_ours(self, peer: tuple[str, int], local: tuple[str, int]) -> bool:
        """Whether a connection that was accepted is one that we have made: what it asks for would go round for ever."""
        return (peer, local) in self._made

    def forget(self, pipe: ByteStream) -> None:
        """A connection made here has ended."""
        self._made.discard((pipe.local, pipe.peer))

    async def dial(self, route: Route, client_ip: str = "", *, to_self: bool = False) -> UpstreamTransport:
        """Connect. `client_ip` is who asks: to others than this machine, our loopback means theirs. `to_self`: the
        server may be this recorder.

        Raises UpstreamError; nothing is left open then.
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
        for pipe in opened:
            self.forget(pipe)
            pipe.close()

    async def _dial(self, route: Route, client_ip: str, attempt: _Attempt, to_self: bool) -> UpstreamTransport:
        """Through the first proxy that can be reached and used."""
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
        dialed = UpstreamTransport(
            await self._reach(route, proxy, client_ip, attempt, timings, to_self), timings=timings
        )
        received = b""
        if proxy is not None:
            dialed.proxy = proxy
            host = route.host if proxy.is_http else await _host_for(proxy, route)
            attempt.blame = f"the proxy {proxy} cannot be used"
            if proxy.scheme == "https":
                dialed.pipe = await self._secured(dialed.pipe, proxy.host, proxy.port, route.options)
            if not proxy.is_http:
                received = await _socks(dialed.pipe, proxy, host, route.port)
            elif route.secure or route.raw or HTTP2 in route.alpn:
                received = await _connect(dialed.pipe, proxy, route)
            else:
                dialed.wants_urls = True
            attempt.blame = ""
        if route.secure:
            began = clock.now()
            secured = await self._secured(dialed.pipe, route.name, route.port, route.options, route.alpn, received)
            dialed.pipe = secured
            dialed.is_http2 = HTTP2 in route.alpn and secured.tls.get_alpn_proto_negotiated() == HTTP2
            timings["tls"] = round(clock.now() - began, 4)
        else:
            dialed.is_http2 = HTTP2 in route.alpn
            if received:
                dialed.pipe = cast(ByteStream, _PrefixedStream(dialed.pipe, received))
        return dialed

    async def _reach(
        self,
        route: Route,
        proxy: ProxyAddress | None,
        client_ip: str,
        attempt: _Attempt,
        timings: dict[str, float],
        to_self: bool,
    ) -> ByteStream:
        """A TCP connection to the proxy, or else to the server."""
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
        pipe = await self._race(addresses, port, attempt.opened)
        timings["connect"] = round(clock.now() - resolved, 4)
        attempt.blame = ""
        return pipe

    async def _race(self, addresses: list[str], port: int, opened: list[ByteStream]) -> ByteStream:
        """The first connection that comes about; a next address is tried after a quarter of a second, or a failure."""
        if len(addresses) == 1:
            opened.append(await self._open(addresses[0], port))
            return opened[-1]
        winners: list[ByteStream] = []
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

    async def _open(self, address: str, port: int) -> ByteStream:
        try:
            pipe = await self._connect(address, port)
        except OSError as error:
            raise system_error(error) from None
        self._made.add((pipe.local, pipe.peer))
        return pipe

    async def _secured(
        self,
        below: ByteStream,
        name: str,
        port: int,
        options: UpstreamOptions,
        alpn: tuple[bytes, ...] = (),
        received: bytes = b"",
    ) -> TlsStream:
        """TLS with a server that has to be who it should be; `received` has been read of the pipe below already.

        Raises UpstreamError, TlsError and what pipes raise.
        """
        verify = options.verifies(name, port)
        context = self._contexts.context_for(
            options.trusted_cas, verify=verify, certificate=options.certificate_for(name, port)
        )
        verdict = CertificateVerdict()
        pipe = TlsStream(below, client_connection(context, name, verdict, list(alpn)), received)
        try:
            await pipe.handshake()
        except TlsError:
            if verdict.code:
                raise UpstreamError(verdict.code, verdict.text) from None
            raise
        if verify and (wrong := check_name(pipe.tls, name)):
            raise UpstreamError(WRONG_NAME, wrong)
        return pipe


@dataclass(slots=True)
class _Attempt:
    """What a connection that does not come about leaves behind."""

    opened: list[ByteStream] = field(default_factory=list)
    blame: str = ""
    """Half a sentence about whom we are talking to, where it is not the server."""

    def blamed(self, error: UpstreamError) -> UpstreamError:
        """The error with the one who has made it, who is the server unless the text says another."""
        if not self.blame or error.code in (LOOP, PROXY_FAILED):
            return error
        return UpstreamError(error.code, f"{self.blame}: {error}", *error.tags[1:])


def _failure(error: Exception, seconds: float) -> UpstreamError | None:
    """What has come in the way, or None for what should not have."""
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


class _PrefixedStream:
    """A pipe of which something has been read already: a server's first words came with those of the proxy."""

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


async def _connect(pipe: ByteStream, proxy: ProxyAddress, route: Route) -> bytes:
    """A tunnel through an HTTP proxy (RFC 9110, 9.3.6); what has come out of it already."""
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
            if isinstance(part, ResponsePart):
                if 200 <= part.head.status < 300:
                    return codec.rest
                status = f"{part.head.status} {part.head.reason}".rstrip()
                raise UpstreamError(PROXY_FAILED, f"the proxy {proxy} refuses: {status}")


def basic(proxy: ProxyAddress) -> str:
    """The credentials of a proxy as RFC 7617 has them."""
    return "Basic " + base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode("ascii")


async def _host_for(proxy: ProxyAddress, route: Route) -> str:
    """What a SOCKS proxy is asked for; only `socks5` and `socks4` have names resolved here."""
    if proxy.scheme not in ("socks5", "socks4") or is_address(route.host):
        return route.host
    addresses = await resolve(route.host, route.options.settings.dns_servers)
    if proxy.scheme == "socks4":
        addresses = [address for address in addresses if ":" not in address]
    if not addresses:
        raise UpstreamError(NOT_FOUND, "its name has no address that the proxy could use")
    return addresses[-1] if ":" in addresses[0] and ":" not in addresses[-1] else addresses[0]


async def _socks(pipe: ByteStream, proxy: ProxyAddress, host: str, port: int) -> bytes:
    """A tunnel through a SOCKS proxy; what has come out of it already."""
    if proxy.scheme in ("socks4", "socks4a"):
        handshake: Handshake = connect4(host, port, proxy.user)
    else:
        handshake = connect5(host, port, proxy.user, proxy.password)
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
        return buffer
    except SocksRefused as refused:
        raise UpstreamError(PROXY_FAILED, f"the proxy {proxy} refuses: {refused}") from None


def _is_loopback(address: str) -> bool:
    """Whether a connection to an address stays on this machine, however that is written."""
    found = ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_loopback or found.is_unspecified
