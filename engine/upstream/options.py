"""Upstream options, ready for look-ups: the proxy for a server, whether to verify it, the client certificate for it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

import msgspec

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.upstream.resolve import is_address
from mockrec.engine.wire.urls import normal_hostname

_PROXY_PORTS = {
    "http": 80,
    "https": 443,
    "socks": 1080,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}


class ProxyAddress(msgspec.Struct, frozen=True):
    """A proxy through which servers are reached."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: str

    @property
    def is_http(self) -> bool:
        """Whether it speaks HTTP (CONNECT, or requests with absolute URLs) and not SOCKS."""
        return self.scheme in ("http", "https")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class UpstreamOptions:
    """One set of options. Compared by identity: a connection is only used for requests with the same options."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        self.trusted_cas = (*settings.trusted_cas, *settings.trusted_everywhere)
        """Files of certificate authorities that are trusted besides the system's."""
        self._proxy = read_proxy(settings.proxy)
        self._secure_proxy = self._proxy if settings.secure_proxy is None else read_proxy(settings.secure_proxy)
        self._no_proxy = [_exception(text) for text in settings.no_proxy]
        ignored = settings.ignore_tls_errors
        self._unverified = frozenset() if isinstance(ignored, bool) else frozenset(map(_server, ignored))
        self._certificates = {_server(text): files for text, files in settings.client_certificates.items()}

    def proxy_for(self, hostname: str, port: int, *, secure: bool) -> ProxyAddress | None:
        """The proxy for a server; None if `noProxy` names it, its domain or `*`, or there is no proxy."""
        proxy = self._secure_proxy if secure else self._proxy
        return None if proxy is None or self.is_direct(hostname, port) else proxy

    def is_direct(self, hostname: str, port: int) -> bool:
        """Whether `noProxy` names a server, its domain or `*`."""
        name = _normal_name(hostname)
        below = "" if is_address(name) else name  # an address has no parent domain
        for domain, only_port in self._no_proxy:
            if only_port in (None, port) and (domain in ("*", name) or below.endswith(f".{domain}")):
                return True
        return False

    def verifies(self, hostname: str, port: int) -> bool:
        """Whether the server's certificate is verified."""
        ignored = self.settings.ignore_tls_errors
        if isinstance(ignored, bool):
            return not ignored
        name = _normal_name(hostname)
        return not self._unverified & {(name, None), (name, port)}

    def certificate_for(self, hostname: str, port: int) -> Mapping[str, str] | None:
        """The client certificate for a server: by `host:port`, `host` or `*`."""
        certificates = self._certificates
        if not certificates:
            return None
        name = _normal_name(hostname)
        return certificates.get((name, port)) or certificates.get((name, None)) or certificates.get(("*", None))


def read_proxy(url: str | None) -> ProxyAddress | None:
    """`scheme://[user[:password]@]host[:port]` → the proxy. Raises ValueError."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _PROXY_PORTS or not parts.hostname or port == 0:
        raise ValueError(f"not the URL of a proxy: {_without_password(url)}") from None
    user = None if parts.username is None else unquote(parts.username)
    return ProxyAddress(
        parts.scheme, parts.hostname, port or _PROXY_PORTS[parts.scheme], user, unquote(parts.password or "")
    )


def _without_password(url: str) -> str:
    """The URL for messages, without what may be a password: all before the last @."""
    if "@" not in url:
        return url
    return f"{url.partition('://')[0]}://…@{url.rpartition('@')[2]}"


def _normal_name(hostname: str) -> str:
    name = normal_hostname(hostname)
    return str(ip_address(name)) if is_address(name) else name


def _server(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, an address (in brackets if a port follows) → name and port."""
    text = text.strip()
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in host or host.endswith("]")):
        return _normal_name(host), int(port)
    return _normal_name(text), None


def _exception(text: str) -> tuple[str, int | None]:
    """`.example.com`, `*.example.com`, `example.com:8080`, `*` → domain and port."""
    text = text.strip()
    if text.startswith("*."):
        text = text[1:]
    return _server(text.removeprefix("."))
