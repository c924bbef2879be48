"""One client connection, layer by layer: the first bytes of each layer show which protocol it is.

TLS → a certificate, and the layer inside; SOCKS and CONNECT → a tunnel, and the layer inside; HTTP → exchanges
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from mockrec.engine import clock
from mockrec.engine.ids import new_id
from mockrec.engine.late import imported
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import PLAIN, ConnectionContext
from mockrec.engine.recording.connection_log import ConnectionTimes, FailureCause, Kind
from mockrec.engine.server import tunnel
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.http1 import Http1Connection
from mockrec.engine.server.proxy_auth import AUTH_REQUIRED, socks_authenticator
from mockrec.engine.server.refusal import http1_refusal
from mockrec.engine.server.relay import relay
from mockrec.engine.server.tls import HandshakeFailed, ReceivedHello, read_hello, rejection_cause, tls_metadata
from mockrec.engine.server.tls_failures import find_tls_failure
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.upstream.route import Route
from mockrec.engine.wire.parts import Fault, ResponseHead
from mockrec.engine.wire.sniff import sniff
from mockrec.engine.wire.socks.server import SocksServer
from mockrec.engine.wire.urls import DEFAULT_PORTS

if TYPE_CHECKING:
    from mockrec.engine.server.http2 import Http2Connection

NO_DESTINATION = "UNKNOWN_PROTOCOL_NO_DESTINATION"
NO_PORT = "UNKNOWN_PROTOCOL_NO_DESTINATION_PORT"
_MOST_LAYERS = 32


class _Ended(Exception):
    """The connection has ended, or was relayed to its end."""


class Connection:
    """One accepted connection, or the inside of a tunnel through HTTP/2. `serve` returns when it has ended."""

    def __init__(
        self,
        stream: ByteStream,
        context: ServerContext,
        client: ClientConnection | None = None,
        connection_context: ConnectionContext = PLAIN,
        times: ConnectionTimes | None = None,
        layers: int = _MOST_LAYERS,
    ) -> None:
        """The arguments after `context` are given for the inside of a tunnel through HTTP/2."""
        self.deadline = math.inf
        """When the client has taken too long, in monotonic milliseconds; the listener checks it."""
        self.stalled = False
        """Whether the listener has reset the connection because the client did not read."""
        self._bottom = stream
        self._stream: ByteStream = stream
        """The stream of the innermost layer."""
        self._context = context
        self._http: Http1Connection | Http2Connection | None = None
        self._tunnels: set[Connection] = set()
        """The insides of tunnels through HTTP/2 streams."""
        self._negotiated_http2 = False
        """Whether HTTP/2 was negotiated in TLS (ALPN)."""
        self._layers_left = layers
        """Layers of tunnels and TLS that may follow; each costs time for every byte that passes through it."""
        self._relaying = False
        self._stopping = False
        ip, port = stream.peer
        self._client = client or ClientConnection(new_id(), ip, port, stream.local[1], stream.local[0])
        self._connection_context = connection_context
        self._times = times or ConnectionTimes(clock.now())

    # ── called by the listener ─────────────────────────────────────────────────────────────────────

    def check_deadline(self, now: float) -> None:
        """End what has waited for the client for too long."""
        if self.deadline < now:
            self.deadline = math.inf
            self._bottom.set_expired()
        for inner in list(self._tunnels):
            inner.check_deadline(now)

    async def stop(self) -> None:
        """End after the present exchange, or now if there is none."""
        self._stopping = True
        for inner in list(self._tunnels):
            await inner.stop()
        if self._http is not None:
            await self._http.stop()
        elif not self._relaying:
            await self._stream.aclose()

    def give_up(self, error: dict[str, str]) -> None:
        """Abort every open exchange: the process ends now. May be called while the event loop is blocked."""
        for inner in list(self._tunnels):
            inner.give_up(error)
        if self._http is not None:
            self._http.give_up(error)

    async def refuse(self, *, linger: bool) -> None:
        """Answer 503: there are too many connections. With `linger`, the client gets time to read that."""
        await Http1Connection(self._stream, self._context, self._client, PLAIN, self).refuse(linger=linger)
        await self._stream.aclose()

    # ── the layers ─────────────────────────────────────────────────────────────────────────────────

    async def serve(self) -> None:
        """Serve the client until one side ends the connection."""
        try:
            await self._serve()
        except (_Ended, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
            pass
        except Exception as error:
            self._context.report_defect(error)
        finally:
            self._context.upstream_client.close_pool(self._client)
            await self._stream.aclose()

    async def _serve(self) -> None:
        first = b""
        while self._layers_left > 0:
            self._layers_left -= 1
            protocol, first = await self._sniff(first)
            if protocol == "tls":
                await self._secure(first)
                first = b""
            elif protocol in ("socks4", "socks5"):
                first = self._enter(await self._negotiate_socks(first))
            elif protocol == "h2" and self._context.http2:
                await imported("mockrec.engine.server.http2")
                from mockrec.engine.server.http2 import Http2Connection

                http2 = Http2Connection(
                    self._stream, self._context, self._client, self._connection_context, self, self._serve_tunnel
                )
                self._http = http2
                await http2.serve(first)
                return
            elif protocol == "unknown" and self._context.relays_unknown:
                await self._relay_unknown(first)
                return
            else:
                http1 = Http1Connection(self._stream, self._context, self._client, self._connection_context, self)
                self._http = http1
                opened = await http1.serve(first)
                self._http = None
                if opened is None:
                    return
                first = self._enter(opened)

    async def _sniff(self, first: bytes) -> tuple[str, bytes]:
        """Read the first bytes of the innermost layer. Return its protocol and the bytes, at least one."""
        self.deadline = clock.now() + self._context.timeouts.head * 1000.0
        while (protocol := sniff(first, socks=self._context.socks_methods is not None)) == "more":
            try:
                first += await self._stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError) as error:
                if first:
                    break  # the HTTP codec finds the fault in them
                self._log_rejection(error)
                raise _Ended from None
        self.deadline = math.inf
        return "h2" if self._negotiated_http2 else protocol, first

    def _enter(self, opened: tunnel.OpenedTunnel) -> bytes:
        """Go on inside a tunnel; return its first bytes."""
        self._connection_context = ConnectionContext("http", opened.target)
        self._client.tls = None  # that of the layer around the tunnel
        self._client.tags = tuple(dict.fromkeys((*self._client.tags, *opened.tags)))
        self._times = self._times.entered(clock.now())
        return opened.rest

    async def _serve_tunnel(self, stream: ByteStream, opened: tunnel.OpenedTunnel) -> None:
        """Serve the inside of a tunnel through an HTTP/2 stream: a connection of its own, of the same client."""
        tags = tuple(dict.fromkeys((*self._client.tags, *opened.tags)))
        client = replace(self._client, tags=tags, tls=None, scope=opened.scope or self._client.scope)
        connection_context, times = ConnectionContext("http", opened.target), self._times.entered(clock.now())
        inner = Connection(stream, self._context, client, connection_context, times, self._layers_left)
        self._tunnels.add(inner)
        try:
            await inner.serve()
        finally:
            self._tunnels.discard(inner)

    # ── TLS ────────────────────────────────────────────────────────────────────────────────────────

    async def _secure(self, first: bytes) -> None:
        """Put TLS over the stream. Raises _Ended if the handshake failed or the connection was relayed."""
        context, interception = self._context, self._context.interception
        self.deadline = clock.now() + context.timeouts.handshake * 1000.0
        received = None
        try:
            received = await read_hello(self._stream, first)
            self.deadline, deadline = math.inf, self.deadline  # meanwhile, the client waits for us
            is_relayed = interception.is_relayed(self._connection_context, received.server_name)
            if not is_relayed:
                failure = await find_tls_failure(context, self._client, self._connection_context, received)
                if failure is not None:
                    self._client.tags = (*self._client.tags, *failure.tags)
                    is_relayed = True
            if is_relayed:
                await self._relay_tls(received)
                raise _Ended
            self.deadline = deadline
            secured = await interception.accept(self._stream, received, self._connection_context, self._client.local_ip)
        except HandshakeFailed as failed:
            self._log_tls_failure(failed.cause, None if received is None else received.metadata)
            raise _Ended from None
        self.deadline = math.inf
        self._stream = secured
        self._negotiated_http2 = secured.tls.get_alpn_proto_negotiated() == b"h2"
        self._connection_context = ConnectionContext("https", self._connection_context.tunnel, received.server_name)
        self._times = self._times.secured(clock.now())
        self._client.tls = tls_metadata(secured, received)

    def _log_tls_failure(self, cause: FailureCause, metadata: dict[str, object] | None) -> None:
        if self._stopping:
            return  # the handshake was ended by us
        log = self._context.connection_log
        log.tls_client_error(self._client, self._times, cause, self._destination(), metadata)
        tunnel = self._connection_context.tunnel
        name = (metadata or {}).get("sniHostname") or (tunnel[0] if tunnel is not None else None)
        self._context.refusals.warn_of_tls(self._client.ip, cause, None if name is None else str(name))

    def _log_rejection(self, error: Exception) -> None:
        """Record a disconnect right after the handshake, without a request, as a rejection of our certificate."""
        times = self._times
        if times.handshake is None or self._context.closing:
            return
        cause = rejection_cause(error, times.handshake, times.tunnel or times.connect)
        if cause is not None:
            metadata = self._client.tls or {}
            self._log_tls_failure(
                cause, {key: value for key, value in metadata.items() if key not in ("version", "cipher")}
            )

    async def _relay_tls(self, received: ReceivedHello) -> None:
        """Relay a TLS connection to the tunnel's target or, without a tunnel, to the server that SNI names."""
        host, port = self._connection_context.tunnel or (received.server_name or "", 443)
        name = received.server_name or host
        route = Route(False, host, port or 443, name, self._context.upstream_options, raw=True)
        # Without a tunnel, the client has not given a password so far, and TLS has no way to ask for one.
        is_allowed = self._connection_context.tunnel is not None or self._context.proxy_auth is None
        await self._relay(
            "tls-passthrough", received.received, route, received.metadata, "" if is_allowed else AUTH_REQUIRED
        )

    # ── tunnels ────────────────────────────────────────────────────────────────────────────────────

    async def _negotiate_socks(self, first: bytes) -> tunnel.OpenedTunnel:
        """Speak SOCKS until the tunnel is open. Raises _Ended if it is refused."""
        context = self._context
        assert context.socks_methods is not None
        self.deadline = clock.now() + context.timeouts.head * 1000.0
        server = SocksServer(context.socks_methods, socks_authenticator(context.proxy_auth))
        result = await tunnel.negotiate_socks(self._stream, first, server)
        self.deadline = math.inf
        if isinstance(result, Fault):
            if result.code and not self._stopping:
                self._log_fault(result)
            raise _Ended
        return result

    async def _relay_unknown(self, first: bytes) -> None:
        """Relay a protocol other than ours to the target of the tunnel."""
        host, port = self._connection_context.tunnel or ("", None)
        if port is None:
            code = NO_DESTINATION if self._connection_context.tunnel is None else NO_PORT
            fault = Fault(code, raw=first)
            head, body, encoded = http1_refusal(fault)
            self._context.refusals.warn(fault, str(fault.status))
            await self._stream.send(encoded)
            self._log_fault(fault, head, body)
            return
        is_tls = self._connection_context.protocol == "https"
        name = self._connection_context.server_name or host
        alpn = tuple(str(offer).encode("latin-1") for offer in (self._client.tls or {}).get("clientAlpn", ()))
        route = Route(is_tls, host, port, name, self._context.upstream_options, alpn if is_tls else (), raw=True)
        await self._relay("raw-passthrough", first, route, None)

    async def _relay(
        self, kind: Kind, first: bytes, route: Route, metadata: dict[str, object] | None, refused: str = ""
    ) -> None:
        """Relay the connection to its end, or reset it with the code `refused`."""
        destination = {"hostname": route.host, "port": route.port}
        log = self._context.connection_log.tunnel(kind, self._client, self._times, destination, metadata)
        if refused:
            log.closed(refused)
            self._stream.reset()
            return
        self._relaying = True
        await relay(self._context, self._stream, first, route, log)

    def _log_fault(self, fault: Fault, answered: ResponseHead | None = None, body: bytes = b"") -> None:
        """Record a client-error."""
        client, connection_context, started_at = self._client, self._connection_context, self._times.connect
        self._context.exchange_log.client_error(
            client, fault, connection_context, started_at=started_at, answered=answered, body=body
        )

    def _destination(self) -> dict[str, object] | None:
        """The target of the tunnel, as records have it."""
        if self._connection_context.tunnel is None:
            return None
        host, port = self._connection_context.tunnel
        return {"hostname": host, "port": port or DEFAULT_PORTS["https"]}
