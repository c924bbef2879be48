"""Where a request was meant to go: the absolute URL and destination behind a request target.

Origin-form targets are completed from `Host` and normalised as the WHATWG URL standard does it;
absolute-form targets (a proxy's, RFC 9112, 3.2.2) speak for themselves and are kept as they came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mockrec.engine.wire.parts import RequestHead, header_table

BAD_URL = "ERR_INVALID_URL"
BAD_PORT = "PREPROCESSING_FAILED"
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_AUTHORITY = re.compile(r"(?:[^@/]*@)?(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]*)(?::(.*))?")
_FORBIDDEN_IN_HOST = re.compile(r'[\x00-\x20#/:<>?@\[\\\]^|%`{}"]')
_ABSOLUTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_DROPPED_FOR_PROXIES = frozenset({"proxy-connection", "proxy-authorization"})


@dataclass(slots=True)
class Address:
    """The URL of a request, in the pieces that events and matchers ask for."""

    protocol: str
    url: str
    """As the log shows it."""
    matched_url: str
    """The same, normalised, as matchers see it."""
    path: str
    """Target with query, starting at the path."""
    hostname: str
    port: int
    host: str
    """With the port unless it is the protocol's default."""
    raw_headers: list[list[str]]
    headers: dict[str, Any]
    destination: dict[str, Any]


def read_address(head: RequestHead, local_port: int, protocol: str = "http") -> Address | str:
    """The address of a request, or the error code of a client-error.

    `protocol` is what the connection speaks; `local_port` serves requests that name no host.
    """
    if head.address is not None:
        return head.address  # type: ignore[no-any-return]
    absolute = _ABSOLUTE.fullmatch(head.target)
    raw_headers, headers = head.raw_headers, head.headers
    authority = headers.get("host", "")
    target = head.target
    if absolute is not None:
        protocol, authority, target = absolute[1].lower(), absolute[2], absolute[3]
        if not target.startswith("/"):
            target = "/" + target
        if any(name in headers for name in _DROPPED_FOR_PROXIES):
            raw_headers = [pair for pair in raw_headers if pair[0].lower() not in _DROPPED_FOR_PROXIES]
            headers = header_table(raw_headers)
    if head.upgrade == "websocket" and not head.has_body:
        protocol = {"http": "ws", "https": "wss"}.get(protocol, protocol)
    default_port = DEFAULT_PORTS.get(protocol, 80)
    located = _split_authority(authority, default_port) if authority else ("localhost", local_port)
    if isinstance(located, str):
        return located
    hostname, port = located
    host = hostname if port == default_port else f"{hostname}:{port}"
    url = f"{protocol}://{host}{'' if target == '*' else _normal_target(target)}"
    address = Address(
        protocol,
        head.target if absolute is not None else url,
        url,
        target,
        hostname,
        port,
        host,
        raw_headers,
        headers,
        {"hostname": hostname.strip("[]"), "port": port},
    )
    if authority:
        head.address = address
    return address


def _split_authority(authority: str, default_port: int) -> tuple[str, int] | str:
    matched = _AUTHORITY.fullmatch(authority)
    if matched is None or not matched[1]:
        return BAD_URL
    hostname, port_text = matched[1].lower(), matched[2]
    if not hostname.startswith("["):
        if _FORBIDDEN_IN_HOST.search(hostname):
            return BAD_URL
        if not hostname.isascii():
            try:
                hostname = hostname.encode("latin-1").decode("utf-8").encode("idna").decode("ascii")
            except UnicodeError:
                return BAD_URL
    if not port_text:
        return hostname, default_port
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5 and int(port_text) <= 65535):
        return BAD_PORT
    return hostname, int(port_text)


def _normal_target(target: str) -> str:
    path, mark, query = target.partition("?")
    if "/." in path or "/%2" in path:
        path = _without_dots(path)
    # What a URL may not hold as it is; what is percent-encoded already stays so.
    path = quote(path, safe="/%:@!$&'()*+,;=~-._|^[]\\#")
    return path + mark + quote(query, safe="/%:@!$&()*+,;=~-._?|^[]\\`{}'") if mark else path


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4, with `%2e` read as a dot."""
    out: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments):
        plain = segment.lower().replace("%2e", ".")
        if plain not in (".", ".."):
            out.append(segment)
            continue
        if plain == ".." and out:
            out.pop()
        if number == len(segments) - 1:
            out.append("")
    return "/" + "/".join(out)
