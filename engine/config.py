"""The settings of a run, typed and frozen, with their defaults; the rule file and options change them.

Durations are seconds (float), sizes are bytes (int).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from mockrec.formats.operations.grpc.descriptors import Descriptors

KIB = 1024
MIB = 1024 * 1024


class Timeouts(msgspec.Struct, frozen=True):
    """How long a client may take, in seconds."""

    head: float = 30.0
    """From the first byte of a request head, or the start of the connection, to the end of the head."""
    body_idle: float = 60.0
    """Between two pieces of a request body."""
    keep_alive: float = 75.0
    """Between two requests of a connection."""
    handshake: float = 10.0
    send_idle: float = 300.0
    """While a response is sent and the client reads nothing of it."""


class Limits(msgspec.Struct, frozen=True):
    """How much a client may use."""

    head: int = 64 * KIB
    connections: int = 10_000
    streams: int = 100
    ws_message: int = 100 * MIB
    match_time: float = 5.0
    """Seconds of CPU time for each job of a helper: matchers and changes that could take long."""
    template_steps: int = 400_000
    """Units of work, about 0.1 µs each, that the templates of a step may use for one request."""
    template_size: int = 32 * MIB
    """Bytes of text and values that these templates may create."""


class Cors(msgspec.Struct, frozen=True):
    """`server.cors`: answer preflights and add `Access-Control-*` fields to every response."""

    origins: tuple[str, ...] = ("*",)
    methods: tuple[str, ...] = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
    headers: tuple[str, ...] = ()
    """Allowed request fields; empty: those that the preflight asks for."""
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int | None = None
    """Seconds for which a preflight response may be cached."""


class ServerSettings(msgspec.Struct, frozen=True):
    """Where to listen and what to speak."""

    host: str = "127.0.0.1"
    ports: tuple[int, int] = (8000, 8000)
    """First and last port to try; (0, 0) is any free port."""
    http2: str = "true"
    """`true`, `false` or `fallback`."""
    lenient: bool = False
    """Whether malformed requests with only one possible meaning are repaired."""
    socks: object = False
    """False, True, or a tuple of authentication method names."""
    cors: Cors | None = None
    passthrough: tuple[str, ...] = ()
    timeouts: Timeouts = msgspec.field(default_factory=Timeouts)
    limits: Limits = msgspec.field(default_factory=Limits)
    auth: str | None = None


class TlsSettings(msgspec.Struct, frozen=True):
    """Interception of TLS: the authority, and which names are intercepted or relayed."""

    ca_cert: str | None = None
    ca_key: str | None = None
    default_domain: str = "localhost"
    key_type: str = "ecdsa"
    key_length: int = 2048
    min_version: str = "TLSv1.2"
    passthrough: tuple[str, ...] = ()
    intercept_only: tuple[str, ...] = ()
    key_log_file: str | None = None


class RecordSettings(msgspec.Struct, frozen=True):
    """What is recorded."""

    events: tuple[str, ...] | str = "default"
    """`default`, `all`, or the event types by name."""
    max_body_size: int = 10 * MIB
    hold_time: float = 0.1
    """Seconds for which a piece of a body is held back until its line is complete, for redaction."""
    bodies: str = "decoded"
    """`decoded`, `raw` or `both`."""
    redact: object = "default"
    """`default`, `none`, or a mapping with `add` and `keep` (tuples of selectors)."""
    raw_data: bool = False
    callbacks: Mapping[str, str] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    """Event type → `handlers.py:name`."""
    protobuf: Descriptors | None = None
    """The descriptors of gRPC services, by which their messages are decoded."""


class UpstreamSettings(msgspec.Struct, frozen=True):
    """How servers are reached; the defaults of every passthrough step."""

    proxy: str | None = None
    pac: str | None = None
    """File or URL of a script that returns the proxies instead (PAC)."""
    secure_proxy: str | None = None
    """Another proxy for encrypted connections, or `""` for none; set only by the environment (HTTPS_PROXY)."""
    no_proxy: tuple[str, ...] = ()
    trusted_cas: tuple[str, ...] = ()
    trusted_everywhere: tuple[str, ...] = ()
    """From the command line: steps that name authorities of their own trust these as well."""
    ignore_tls_errors: tuple[str, ...] | bool = ()
    client_certificates: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    dns_servers: tuple[str, ...] = ()
    connect_timeout: float = 10.0
    head_timeout: float = 60.0
    body_idle_timeout: float = 60.0
    http2: str = "true"
    """`true`, `false` or `prior-knowledge`."""
    simulate_connection_errors: bool = False
