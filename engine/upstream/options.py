"""The options of the way to a server, ready to be asked: which proxy, whose certificates, which of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.rules.urls import normal_hostname

_PROXY_PORTS = {
    "http": 80,
    "https": 443,
    "socks": 1080,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """A proxy on the way to servers."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: str

    @property
    def is_http(self) -> bool:
        """Whether it is asked by CONNECT or with whole URLs, and not by SOCKS."""
        return self.scheme in ("http", "https")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


class Options:
    """One set of options; connections made with different ones are never confused (compared by identity)."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        self._proxy = read_proxy(settings.proxy)
        self._secure_proxy = read_proxy(settings.secure_proxy) or self._proxy
        self._no_proxy = [_exception(text) for text in settings.no_proxy]

    def proxy_for(self, hostname: str, port: int, *, secure: bool) -> ProxyAddress | None:
        """The proxy on the way to a server, unless `noProxy` names it: a domain with all below it, or `*`."""
        proxy = self._secure_proxy if secure else self._proxy
        if proxy is None:
            return None
        name = normal_hostname(hostname)
        for domain, only_port in self._no_proxy:
            if only_port in (None, port) and (domain in ("*", name) or name.endswith(f".{domain}")):
                return None
        return proxy

    def verifies(self, hostname: str, port: int) -> bool:
        """Whether the server's certificate has to be good."""
        ignored = self.settings.ignore_tls_errors
        if isinstance(ignored, bool):
            return not ignored
        name = normal_hostname(hostname)
        return not any(entry.lower() in (name, f"{name}:{port}") for entry in ignored)

    def certificate_for(self, hostname: str, port: int) -> Mapping[str, str] | None:
        """Our certificate for a server: by `host:port`, `host` or `*`."""
        certificates = self.settings.client_certificates
        if not certificates:
            return None
        name = normal_hostname(hostname)
        by_name = {host.lower(): files for host, files in certificates.items()}
        return by_name.get(f"{name}:{port}") or by_name.get(name) or by_name.get("*")


def read_proxy(url: str | None) -> ProxyAddress | None:
    """`scheme://[user[:password]@]host[:port]` → the proxy. Raises ValueError."""
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in _PROXY_PORTS or not parts.hostname:
        raise ValueError(f"not the URL of a proxy: {url}")
    user = None if parts.username is None else unquote(parts.username)
    password = unquote(parts.password or "")
    return ProxyAddress(parts.scheme, parts.hostname, parts.port or _PROXY_PORTS[parts.scheme], user, password)


def _exception(text: str) -> tuple[str, int | None]:
    """`.example.com`, `*.example.com`, `example.com:8080`, `*` → domain and port."""
    text = text.strip().lower()
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        only_port: int | None = int(port)
    else:
        host, only_port = text, None
    if host != "*":
        host = host.removeprefix("*").removeprefix(".")
    return (host if host == "*" else normal_hostname(host)), only_port
