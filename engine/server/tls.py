"""TLS from a client: its hello is read, then the connection is intercepted with a certificate of ours, or passed on.

A client that does not like that is told of in `tls-client-error`, with the cause as far as it can be known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio

from mockrec.engine import clock
from mockrec.engine.config import TlsSettings
from mockrec.engine.errors import ConfigError
from mockrec.engine.message.target_uri import ConnectionContext
from mockrec.engine.recording.connection_log import FailureCause
from mockrec.engine.tls.server import ServerContexts
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.tls import TlsError, TlsPipe
from mockrec.engine.upstream.resolve import is_address
from mockrec.engine.wire.client_hello import ClientHello, NeedMore, read_client_hello
from mockrec.engine.wire.urls import normal_hostname

_CERTIFICATE_ALERT = re.compile(r"certificate|unknown ca", re.IGNORECASE)
_SHORTEST_WINDOW = 100.0
"""Milliseconds after a handshake in which a client that closes has not liked the certificate."""
_WINDOW_FACTOR = 10.0


class HandshakeFailed(Exception):
    """There is no TLS with this client."""

    def __init__(self, cause: FailureCause) -> None:
        self.cause: FailureCause = cause


@dataclass(slots=True)
class Hello:
    """What the client has said, and the bytes of it."""

    read: ClientHello | None
    received: bytes

    @property
    def server_name(self) -> str | None:
        """SNI."""
        return self.read.server_name if self.read is not None else None

    @property
    def metadata(self) -> dict[str, Any]:
        """As the log has it."""
        hello = self.read
        if hello is None:
            return {}
        told: dict[str, Any] = {}
        if hello.server_name is not None:
            told["sniHostname"] = hello.server_name
        if hello.alpn:
            told["clientAlpn"] = list(hello.alpn)
        return told | {"ja3Fingerprint": hello.ja3, "ja4Fingerprint": hello.ja4}


async def read_hello(pipe: ByteStream, first: bytes) -> Hello:
    """The whole hello, or as much as shows that it is none. Raises HandshakeFailed."""
    buffer = bytearray(first)
    while isinstance(found := read_client_hello(buffer), NeedMore):
        try:
            buffer += await pipe.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError) as error:
            raise HandshakeFailed(_cause_of(error)) from None
    return Hello(found if isinstance(found, ClientHello) else None, bytes(buffer))


class Interception:
    """Decides which names are intercepted, and speaks TLS with their clients."""

    def __init__(self, settings: TlsSettings, contexts: Callable[[], ServerContexts]) -> None:
        """`contexts` makes the certificates' side of it, when the first client comes."""
        self._settings = settings
        self._make = contexts
        self._contexts: ServerContexts | None = None
        self._passed = [_pattern(name) for name in settings.passthrough]
        self._intercepted = [_pattern(name) for name in settings.intercept_only]

    def passes(self, origin: ConnectionContext, server_name: str | None) -> bool:
        """Whether a connection is passed on unread, by the names it is for: SNI, and the tunnel's.

        A tunnel to an address says nothing where SNI gives a name.
        """
        names = [normal_hostname(server_name)] if server_name else []
        if origin.tunnel is not None and not (names and is_address(origin.tunnel[0])):
            names.append(normal_hostname(origin.tunnel[0]))
        if self._intercepted:
            return any(not _listed(name, self._intercepted) for name in names)
        return any(_listed(name, self._passed) for name in names)

    async def accept(self, pipe: ByteStream, hello: Hello, origin: ConnectionContext, local_ip: str) -> TlsPipe:
        """Speak TLS with the client. Raises HandshakeFailed."""
        name = hello.server_name or (origin.tunnel[0] if origin.tunnel is not None else None)
        try:
            if self._contexts is None:
                self._contexts = self._make()
            if name is None:
                # Clients leave SNI out where they were given an address: ours.
                tls = self._contexts.connection_for(self._settings.default_domain, also=local_ip)
            else:
                tls = self._contexts.connection_for(name)
        except (ConfigError, ValueError):  # no authority (said at the start), or no name
            raise HandshakeFailed("unknown") from None
        secured = TlsPipe(pipe, tls, hello.received)
        try:
            await secured.handshake()
        except (anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError) as error:
            raise HandshakeFailed(_cause_of(error)) from None
        return secured


def rejected_after(error: Exception, handshake: float, began: float) -> FailureCause | None:
    """The cause, if a client that has ended the connection after the handshake has done so because of it.

    `handshake` and `began` are the times of its end and of the tunnel's or connection's start, in milliseconds.
    """
    if isinstance(error, TlsError) and _CERTIFICATE_ALERT.search(error.reason):
        return "cert-rejected"
    if isinstance(error, TimeoutError):
        return None  # it has not left: we have waited long enough
    window = max(_SHORTEST_WINDOW, _WINDOW_FACTOR * (handshake - began))
    return "closed" if clock.now() - handshake <= window else None


def _cause_of(error: Exception) -> FailureCause:
    if isinstance(error, TimeoutError):
        return "handshake-timeout"
    if isinstance(error, anyio.EndOfStream):
        return "closed"
    if isinstance(error, TlsError):
        if _CERTIFICATE_ALERT.search(error.reason):
            return "cert-rejected"
        return "no-shared-cipher" if "no shared cipher" in error.reason else "unknown"
    return "reset"


def negotiated(pipe: TlsPipe, hello: Hello) -> dict[str, Any]:
    """`tlsMetadata` of a connection that is up."""
    told = hello.metadata
    told["version"] = pipe.tls.get_protocol_version_name()
    cipher = pipe.tls.get_cipher_name()
    if cipher:
        told["cipher"] = cipher
    return told


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in normal_hostname(name).split("*")))


def _listed(name: str, patterns: list[re.Pattern[str]]) -> bool:
    return any(pattern.fullmatch(name) for pattern in patterns)
