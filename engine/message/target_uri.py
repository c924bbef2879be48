"""The target URI of a request (RFC 9110, 7.1): its absolute URL and destination, from the request target.

An origin-form target is completed from the tunnel of its connection, from `Host` or from the TLS server name, and
normalised as the WHATWG URL standard does it. An absolute-form target (sent to a proxy, RFC 9112, 3.2.2) is complete,
and kept as the client sent it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any

import msgspec

from mockrec.engine.wire.parts import RequestHead, header_table
from mockrec.engine.wire.request_line import target_text
from mockrec.engine.wire.syntax import SCHEME_PATTERN
from mockrec.engine.wire.urls import DEFAULT_PORTS, normal_path
from mockrec.formats.text.hostnames import to_ascii
from mockrec.formats.text.urls import normal_target

BAD_URL = "ERR_INVALID_URL"
BAD_PORT = "PREPROCESSING_FAILED"

_USERINFO = re.compile(r"[^@/]*@")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]*)(?::(.*))?")
_FORBIDDEN_IN_HOST = re.compile(r'[\x00-\x20#/:<>?@\[\\\]^|%`{}"]')
_ABSOLUTE = re.compile(rf"({SCHEME_PATTERN})://([^/?#]*)(.*)", re.DOTALL)
_DROPPED_FOR_PROXIES = frozenset({"proxy-connection", "proxy-authorization"})


class ConnectionContext(msgspec.Struct, frozen=True):
    """What a connection determines for the target URIs of all its requests."""

    protocol: str = "http"
    """`https` if the innermost layer is TLS."""
    tunnel: tuple[str, int | None] | None = None
    """Host and port of the innermost tunnel; port None: the default of the protocol."""
    server_name: str | None = None
    """The name that the client sent in TLS (SNI)."""


PLAIN = ConnectionContext()


@dataclass(slots=True)
class TargetUri:
    """The URL of a request, in the parts that records and matchers use."""

    context: ConnectionContext
    """The context of the connection on which the request was received."""
    is_absolute: bool
    """Whether the request target was in absolute form, as it is sent to a proxy."""
    protocol: str
    url: str
    """As it is logged."""
    matched_url: str
    """The normalised URL, as matchers see it."""
    target: str
    """Path and query as they are forwarded: text decoded as latin-1."""
    path: str
    """`target` as text."""
    hostname: str
    port: int
    host: str
    """Host name, with the port unless it is the default of the protocol."""
    raw_headers: list[list[str]]
    headers: dict[str, Any]
    destination: dict[str, Any]
    log_form: object = field(default=None, compare=False, repr=False)
    """Opaque here: how the request head is written to the log. Filled and read only by `RecordCache`."""
    passed_on: object = field(default=None, compare=False, repr=False)
    """Opaque here: the request that a server gets for it. Filled and read only by `steps/upstream_request.py`."""


def read_target_uri(head: RequestHead, local_port: int, context: ConnectionContext = PLAIN) -> TargetUri | str:
    """Return the target URI of a request, or the code of a client error.

    `local_port` is the port of requests that name no host.
    """
    cached = head.target_uri
    if isinstance(cached, TargetUri) and (cached.context is context or cached.context == context):
        return cached
    protocol = context.protocol
    absolute = _ABSOLUTE.fullmatch(head.target)
    raw_headers, headers = head.raw_headers, head.headers
    authority = headers.get(":authority") or headers.get("host", "")
    if headers.get(":scheme") in ("http", "https"):
        protocol = headers[":scheme"]
    target = head.target
    if absolute is not None:
        protocol, authority, target = absolute[1].lower(), _USERINFO.sub("", absolute[2], count=1), absolute[3]
        if not authority or "\\" in absolute[2]:
            return BAD_URL  # RFC 9110, 4.2.1; a backslash ends the authority for WHATWG, and belongs to it for RFC 3986
        if not target.startswith("/"):
            target = "/" + target
        if any(name in headers for name in _DROPPED_FOR_PROXIES):
            raw_headers = [pair for pair in raw_headers if pair[0].lower() not in _DROPPED_FOR_PROXIES]
            headers = header_table(raw_headers)
    elif head.method == "CONNECT" and not head.upgrade:
        authority = target
    if head.upgrade == "websocket" and (head.version == "2.0" or not head.has_body):
        protocol = {"http": "ws", "https": "wss"}.get(protocol, protocol)
    default_port = DEFAULT_PORTS.get(protocol, 80)
    tunnel_host: str | None = None
    if absolute is None and context.tunnel is not None:
        tunnel_host, tunnel_port = context.tunnel
        located = _in_tunnel(tunnel_host, tunnel_port or default_port, authority, context)
    else:
        server = authority or context.server_name
        located = _split_authority(server, default_port) if server else ("localhost", local_port)
    if isinstance(located, str):
        return located
    hostname, port = located
    host = hostname if port == default_port else f"{hostname}:{port}"
    path = target_text(target)
    url = f"{protocol}://{host}{normal_target(path) if target.startswith('/') else ''}"
    uri = TargetUri(
        context,
        absolute is not None,
        protocol,
        _as_sent(absolute, url) if absolute is not None else url,
        url,
        target,
        path,
        hostname,
        port,
        host,
        raw_headers,
        headers,
        {
            "hostname": tunnel_host if tunnel_host is not None and _is_address(tunnel_host) else hostname.strip("[]"),
            "port": port,
        },
    )
    if authority or context.tunnel is not None:
        head.target_uri = uri
    return uri


def _as_sent(absolute: re.Match[str], url: str) -> str:
    """Return a whole URL as it was sent, except for what is not ASCII in it."""
    whole = absolute[0]
    if whole.isascii():
        return whole
    before = whole[: absolute.start(3)]
    return before + normal_path(target_text(absolute[3])) if before.isascii() else url


def edited_target_uri(
    original: TargetUri,
    protocol: str,
    hostname: str,
    port: int,
    target: str,
    raw_headers: list[list[str]],
    *,
    moved: bool,
) -> TargetUri:
    """Return the target URI of a request that a rule has changed. `hostname` is without brackets. `moved`: it leads to
    another server now, as if the client had sent it to a proxy."""
    named = f"[{hostname}]" if ":" in hostname else hostname
    host = named if port == DEFAULT_PORTS.get(protocol) else f"{named}:{port}"
    path = target_text(target)
    url = f"{protocol}://{host}{normal_target(path) if target.startswith('/') else ''}"
    return TargetUri(
        original.context,
        original.is_absolute or moved,
        protocol,
        url,
        url,
        target,
        path,
        named,
        port,
        host,
        raw_headers,
        header_table(raw_headers),
        {"hostname": hostname, "port": port} if moved else original.destination,
    )


def _in_tunnel(host: str, port: int, authority: str, context: ConnectionContext) -> tuple[str, int] | str:
    """Return the host name and port of a request in a tunnel. The name is the tunnel's; if that is an IP address, the
    name in the request or in TLS. The port is always the tunnel's, even if the request has another."""
    if _is_address(host):
        named = _split_authority(authority, port) if authority else context.server_name or ""
        if isinstance(named, tuple):
            return named[0], port
        if authority:
            return named
        host = named or (f"[{host}]" if ":" in host else host)
    try:
        return _normal_name(host), port
    except ValueError:
        return BAD_URL


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _split_authority(authority: str, default_port: int) -> tuple[str, int] | str:
    matched = _HOST.fullmatch(authority)
    if matched is None or not matched[1]:
        return BAD_URL
    hostname, port_text = matched[1], matched[2]
    try:
        hostname = _normal_name(hostname)
    except ValueError:
        return BAD_URL
    if not port_text:
        return hostname, default_port
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5 and int(port_text) <= 65535):
        return BAD_PORT
    return hostname, int(port_text)


def _normal_name(name: str) -> str:
    """Return a host name in lower case, international names as punycode, IPv6 addresses compressed. Raises
    ValueError."""
    if name.startswith("["):
        return f"[{IPv6Address(name[1:-1])}]"
    name = to_ascii(name if name.isascii() else name.encode("latin-1").decode("utf-8"))
    # Checked last: the normal form of some letters contains one of these (℀ gives a/c).
    if not name or _FORBIDDEN_IN_HOST.search(name):
        raise ValueError(name)
    return name
