"""TLS from a client: reads the ClientHello, then intercepts the connection with a certificate of ours, or relays it.

A failed handshake is recorded as `tls-client-error`, with its cause as far as that can be found out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from mockrec.engine import clock
from mockrec.engine.config import TlsSettings
from mockrec.engine.errors import ConfigError
from mockrec.engine.late import imported
from mockrec.engine.message.target_uri import ConnectionContext
from mockrec.engine.recording.connection_log import FailureCause
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.tls import TlsError, TlsStream
from mockrec.engine.upstream.resolve import is_address
from mockrec.engine.wire.client_hello import ClientHello, NeedMore, read_client_hello
from mockrec.engine.wire.urls import normal_hostname

if TYPE_CHECKING:
    from mockrec.engine.tls.server import ServerContexts

_CERTIFICATE_ALERT = re.compile(r"certificate|unknown ca", re.IGNORECASE)
_SHORTEST_WINDOW = 100.0
"""Milliseconds after a handshake in which a disconnect counts as a rejection of the certificate, at least."""
_WINDOW_FACTOR = 10.0
"""The window in relation to the duration of the handshake, if that gives a longer one."""


class HandshakeFailed(Exception):
    """The TLS handshake with a client has failed."""

    def __init__(self, cause: FailureCause) -> None:
        self.cause: FailureCause = cause


class ReceivedHello(msgspec.Struct):
    """The first bytes of a TLS client, and the ClientHello in them."""

    hello: ClientHello | None
    """None if the bytes are not a valid ClientHello."""
    received: bytes

    @property
    def server_name(self) -> str | None:
        """The host name of SNI."""
        return self.hello.server_name if self.hello is not None else None

    @property
    def metadata(self) -> dict[str, Any]:
        """`tlsMetadata` of events before the handshake."""
        hello = self.hello
        if hello is None:
            return {}
        metadata: dict[str, Any] = {}
        if hello.server_name is not None:
            metadata["sniHostname"] = hello.server_name
        if hello.alpn:
            metadata["clientAlpn"] = list(hello.alpn)
        metadata["ja3Fingerprint"], metadata["ja4Fingerprint"] = hello.fingerprints
        return metadata


async def read_hello(stream: ByteStream, first: bytes) -> ReceivedHello:
    """Read the ClientHello, or as much as shows that there is none. Raises HandshakeFailed."""
    buffer = bytearray(first)
    while isinstance(found := read_client_hello(buffer), NeedMore):
        try:
            buffer += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError) as error:
            raise HandshakeFailed(_cause_of(error)) from None
    return ReceivedHello(found if isinstance(found, ClientHello) else None, bytes(buffer))


class Interception:
    """Decides which TLS connections are intercepted, and is the TLS server of those."""

    def __init__(self, settings: TlsSettings, contexts: Callable[[], ServerContexts]) -> None:
        """`contexts` is called for the first client: it loads the certificate authority."""
        self._settings = settings
        self._make_contexts = contexts
        self._contexts: ServerContexts | None = None
        self._relayed = [_pattern(name) for name in settings.passthrough]
        self._intercepted = [_pattern(name) for name in settings.intercept_only]

    def is_relayed(self, connection_context: ConnectionContext, server_name: str | None) -> bool:
        """Whether a connection is relayed unread, by the names of its server: in SNI, and in the tunnel's target.

        If SNI gives a name, the target of a tunnel does not count if it is an IP address.
        """
        names = [normal_hostname(server_name)] if server_name else []
        target = connection_context.tunnel
        if target is not None and not (names and is_address(target[0])):
            names.append(normal_hostname(target[0]))
        if self._intercepted:
            return any(not _is_listed(name, self._intercepted) for name in names)
        return any(_is_listed(name, self._relayed) for name in names)

    async def accept(
        self, stream: ByteStream, received: ReceivedHello, connection_context: ConnectionContext, local_ip: str
    ) -> TlsStream:
        """Complete the handshake, and return the plaintext side of the connection. Raises HandshakeFailed."""
        target = connection_context.tunnel
        name = received.server_name or (target[0] if target is not None else None)
        try:
            if self._contexts is None:
                await imported("mockrec.engine.tls.server")
                self._contexts = self._contexts or self._make_contexts()
            if name is None:
                # A client that was given an IP address as the URL's host sends no SNI; the address is ours.
                tls = self._contexts.connection_for(self._settings.default_domain, also=local_ip)
            else:
                tls = self._contexts.connection_for(name)
        except (ConfigError, ValueError):  # no authority (the user was warned at the start), or not a host name
            raise HandshakeFailed("unknown") from None
        secured = TlsStream(stream, tls, received.received)
        try:
            await secured.handshake()
        except (anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError) as error:
            raise HandshakeFailed(_cause_of(error)) from None
        return secured


def rejection_cause(error: Exception, handshake: float, began: float) -> FailureCause | None:
    """If `error`, a disconnect right after the handshake, looks like a rejected certificate, return the cause.

    `handshake` and `began` are when the handshake ended and when the tunnel or connection began, in milliseconds.
    """
    if isinstance(error, TlsError) and _CERTIFICATE_ALERT.search(error.reason):
        return "cert-rejected"
    if isinstance(error, TimeoutError):
        return None  # the client has not disconnected: we have waited long enough
    window = max(_SHORTEST_WINDOW, _WINDOW_FACTOR * (handshake - began))
    return "closed" if clock.now() - handshake <= window else None


def _cause_of(error: Exception) -> FailureCause:
    """The cause of a handshake that failed with `error`."""
    if isinstance(error, TimeoutError):
        return "handshake-timeout"
    if isinstance(error, anyio.EndOfStream):
        return "closed"
    if isinstance(error, TlsError):
        if _CERTIFICATE_ALERT.search(error.reason):
            return "cert-rejected"
        return "no-shared-cipher" if "no shared cipher" in error.reason else "unknown"
    return "reset"


def tls_metadata(stream: TlsStream, received: ReceivedHello) -> dict[str, Any]:
    """`tlsMetadata` of a connection whose handshake is complete."""
    metadata = received.metadata
    metadata["version"] = stream.tls.get_protocol_version_name()
    cipher = stream.tls.get_cipher_name()
    if cipher:
        metadata["cipher"] = cipher
    return metadata


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in normal_hostname(name).split("*")))


def _is_listed(name: str, patterns: list[re.Pattern[str]]) -> bool:
    return any(pattern.fullmatch(name) for pattern in patterns)
