"""One client connection, layer by layer: its first bytes say what it is, and so do those of each tunnel inside it.

TLS → certificate, and what is inside; SOCKS and CONNECT → a tunnel, and what is inside; HTTP → a conversation
"""

from __future__ import annotations

import math
from dataclasses import replace

import anyio

from mockrec.engine import clock
from mockrec.engine.ids import new_id
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import PLAIN, ConnectionContext
from mockrec.engine.recording.connection_log import ConnectionTimes, FailureCause
from mockrec.engine.server import tls as secure
from mockrec.engine.server import tunnel
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.http1 import Http1Connection
from mockrec.engine.server.http2 import Http2Connection
from mockrec.engine.server.refusal import http1_refusal
from mockrec.engine.server.relay import relay
from mockrec.engine.server.unverified import find_tls_failure
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.upstream.route import Route
from mockrec.engine.wire.parts import Fault, ResponseHead
from mockrec.engine.wire.sniff import sniff
from mockrec.engine.wire.socks.server import SocksServer
from mockrec.engine.wire.urls import DEFAULT_PORTS

NO_DESTINATION = "UNKNOWN_PROTOCOL_NO_DESTINATION"
NO_PORT = "UNKNOWN_PROTOCOL_NO_DESTINATION_PORT"
_MOST_LAYERS = 32


class _Over(Exception):
    """There is nothing more to do on this connection."""


class Connection:
    """One accepted connection. `serve` returns when it is over."""

    def __init__(
        self,
        stream: ByteStream,
        site: ServerContext,
        peer: ClientConnection | None = None,
        origin: ConnectionContext = PLAIN,
        times: ConnectionTimes | None = None,
        layers: int = _MOST_LAYERS,
    ) -> None:
        """`peer`, `origin`, `times` and how many `layers` it may have are given where it is a tunnel through HTTP/2."""
        self.deadline = math.inf
        """When the client has taken too long, in monotonic milliseconds; the listener looks at it."""
        self.stalled = False
        """Whether it has been ended because the client took nothing of what was sent."""
        self._stream = stream
        self._pipe: ByteStream = stream
        self._site = site
        self._conversation: Http1Connection | Http2Connection | None = None
        self._inside: set[Connection] = set()
        """Those in tunnels through streams of HTTP/2."""
        self._speaks_http2 = False
        """Whether HTTP/2 was agreed on in TLS."""
        self._layers = layers
        """Of tunnels and TLS that may still come; each costs something for every byte that goes through it."""
        self._passes_on = False
        self._stopping = False
        ip, port = stream.peer
        self._peer = peer or ClientConnection(new_id(), ip, port, stream.local[1], stream.local[0])
        self._origin = origin
        self._times = times or ConnectionTimes(clock.now())

    # ── from outside ───────────────────────────────────────────────────────────────────────────────

    def look_at_clock(self, now: float) -> None:
        """End what waits for the client for too long."""
        if self.deadline < now:
            self.deadline = math.inf
            self._stream.set_expired()
        for connection in list(self._inside):
            connection.look_at_clock(now)

    async def stop(self) -> None:
        """End as soon as nothing is under way: now, or after the exchange at hand."""
        self._stopping = True
        for connection in list(self._inside):
            await connection.stop()
        if self._conversation is not None:
            await self._conversation.stop()
        elif not self._passes_on:
            await self._pipe.aclose()

    def give_up(self, error: dict[str, str]) -> None:
        """The process ends now: abort what is open. May be called while the event loop is held up."""
        for connection in list(self._inside):
            connection.give_up(error)
        if self._conversation is not None:
            self._conversation.give_up(error)

    async def refuse(self, *, patient: bool) -> None:
        """Turn the client away: there are as many connections as there may be. `patient`: it has time to read that."""
        await Http1Connection(self._pipe, self._site, self._peer, PLAIN, self).refuse(patient=patient)
        await self._pipe.aclose()

    # ── the layers ─────────────────────────────────────────────────────────────────────────────────

    async def serve(self) -> None:
        """Do what the client wants, until one side ends the connection."""
        try:
            await self._serve()
        except (_Over, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
            pass
        except Exception as error:
            self._site.report_defect(error)
        finally:
            self._site.upstream_client.close_pool(self._peer)
            await self._pipe.aclose()

    async def _serve(self) -> None:
        first = b""
        while self._layers > 0:
            self._layers -= 1
            opening, first = await self._sniff(first)
            if opening == "tls":
                await self._secure(first)
                first = b""
            elif opening in ("socks4", "socks5"):
                first = self._enter(await self._negotiate_socks(first))
            elif opening == "h2" and self._site.http2:
                held = Http2Connection(self._pipe, self._site, self._peer, self._origin, self, self._serve_inside)
                self._conversation = held
                await held.hold(first)
                return
            elif opening == "unknown" and self._site.passes_unknown:
                await self._pass_raw_on(first)
                return
            else:
                conversation = Http1Connection(self._pipe, self._site, self._peer, self._origin, self)
                self._conversation = conversation
                opened = await conversation.hold(first)
                self._conversation = None
                if opened is None:
                    return
                first = self._enter(opened)

    async def _sniff(self, first: bytes) -> tuple[str, bytes]:
        """What the first bytes of the innermost layer begin; there is at least one of them."""
        self.deadline = clock.now() + self._site.timeouts.head * 1000.0
        while (opening := sniff(first, socks=self._site.socks is not None)) == "more":
            try:
                first += await self._pipe.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError) as error:
                if first:
                    break  # HTTP says what is wrong with them
                self._note_rejection(error)
                raise _Over from None
        self.deadline = math.inf
        return "h2" if self._speaks_http2 else opening, first

    def _enter(self, opened: tunnel.Opened) -> bytes:
        """What comes now is inside a tunnel; its first bytes."""
        self._origin = ConnectionContext("http", opened.target)
        self._peer.tls = None  # it was of the layer around the tunnel
        self._peer.tags = tuple(dict.fromkeys((*self._peer.tags, *opened.tags)))
        self._times = self._times.entered(clock.now())
        return opened.rest

    async def _serve_inside(self, pipe: ByteStream, opened: tunnel.Opened) -> None:
        """A tunnel through a stream of HTTP/2: a connection of its own, of the same client."""
        peer = replace(self._peer, tags=tuple(dict.fromkeys((*self._peer.tags, *opened.tags))), tls=None)
        times = self._times.entered(clock.now())
        connection = Connection(pipe, self._site, peer, ConnectionContext("http", opened.target), times, self._layers)
        self._inside.add(connection)
        try:
            await connection.serve()
        finally:
            self._inside.discard(connection)

    # ── TLS ────────────────────────────────────────────────────────────────────────────────────────

    async def _secure(self, first: bytes) -> None:
        """Put TLS over the pipe. Raises _Over if there is none to be had, or the connection was passed on."""
        site, interception = self._site, self._site.interception
        self.deadline = clock.now() + site.timeouts.handshake * 1000.0
        hello = None
        try:
            hello = await secure.read_hello(self._pipe, first)
            self.deadline, deadline = math.inf, self.deadline  # the client waits for us meanwhile
            passes = interception.passes(self._origin, hello.server_name)
            if not passes and (failure := await find_tls_failure(site, self._peer, self._origin, hello)) is not None:
                self._peer.tags = (*self._peer.tags, *failure.tags)
                passes = True
            if passes:
                await self._pass_tls_on(hello)
                raise _Over
            self.deadline = deadline
            secured = await interception.accept(self._pipe, hello, self._origin, self._peer.local_ip)
        except secure.HandshakeFailed as failed:
            self._note_failure(failed.cause, None if hello is None else hello.metadata)
            raise _Over from None
        self.deadline = math.inf
        self._pipe = secured
        self._speaks_http2 = secured.tls.get_alpn_proto_negotiated() == b"h2"
        self._origin = ConnectionContext("https", self._origin.tunnel, hello.server_name)
        self._times = self._times.secured(clock.now())
        self._peer.tls = secure.negotiated(secured, hello)

    def _note_failure(self, cause: FailureCause, metadata: dict[str, object] | None) -> None:
        if self._stopping:
            return  # it was us
        notes = self._site.connection_notes
        notes.tls_client_error(self._peer, self._times, cause, self._destination(), metadata)

    def _note_rejection(self, error: Exception) -> None:
        """A client that leaves right after the handshake, without a word, has not liked our certificate."""
        times = self._times
        if times.handshake is None or self._site.closing:
            return
        cause = secure.rejected_after(error, times.handshake, times.tunnel or times.connect)
        if cause is not None:
            told = {key: value for key, value in (self._peer.tls or {}).items() if key not in ("version", "cipher")}
            self._note_failure(cause, told)

    async def _pass_tls_on(self, hello: secure.Hello) -> None:
        """To the tunnel's own address, or else to the server that SNI names."""
        host, port = self._origin.tunnel or (hello.server_name or "", 443)
        route = Route(False, host, port or 443, hello.server_name or host, self._site.options, raw=True)
        # Without a tunnel nobody has been asked for a password yet, and TLS has no way to ask.
        refused = tunnel.AUTH_REQUIRED if self._origin.tunnel is None and self._site.auth is not None else ""
        await self._pass_on("tls-passthrough", hello.received, route, hello.metadata, refused)

    # ── tunnels ────────────────────────────────────────────────────────────────────────────────────

    async def _negotiate_socks(self, first: bytes) -> tunnel.Opened:
        site = self._site
        assert site.socks is not None
        self.deadline = clock.now() + site.timeouts.head * 1000.0
        result = await tunnel.negotiate_socks(self._pipe, first, SocksServer(site.socks, site.accepts_user))
        self.deadline = math.inf
        if isinstance(result, Fault):
            if result.code and not self._stopping:
                self._note_fault(result)
            raise _Over
        return result

    async def _pass_raw_on(self, first: bytes) -> None:
        """Another protocol than ours, to where the tunnel leads."""
        host, port = self._origin.tunnel or ("", None)
        if port is None:
            code = NO_DESTINATION if self._origin.tunnel is None else NO_PORT
            fault = Fault(code, raw=first)
            head, body, answer = http1_refusal(fault)
            self._site.refusals.tell(fault, str(fault.status))
            await self._pipe.send(answer)
            self._note_fault(fault, head, body)
            return
        secured = self._origin.protocol == "https"
        name = self._origin.server_name or host
        alpn = tuple(str(offer).encode("latin-1") for offer in (self._peer.tls or {}).get("clientAlpn", ()))
        route = Route(secured, host, port, name, self._site.options, alpn if secured else (), raw=True)
        await self._pass_on("raw-passthrough", first, route, None)

    async def _pass_on(
        self, kind: str, first: bytes, route: Route, metadata: dict[str, object] | None, refused: str = ""
    ) -> None:
        destination = {"hostname": route.host, "port": route.port}
        opened = self._site.connection_notes.tunnel(kind, self._peer, self._times, destination, metadata)  # type: ignore[arg-type]
        if refused:
            opened.closed(refused)
            self._pipe.reset()
            return
        self._passes_on = True
        await relay(self._site, self._pipe, first, route, opened)

    def _note_fault(self, fault: Fault, answered: ResponseHead | None = None, body: bytes = b"") -> None:
        self._site.notes.client_error(
            self._peer, fault, self._origin, started_at=self._times.connect, answered=answered, body=body
        )

    def _destination(self) -> dict[str, object] | None:
        if self._origin.tunnel is None:
            return None
        host, port = self._origin.tunnel
        return {"hostname": host, "port": port or DEFAULT_PORTS["https"]}
