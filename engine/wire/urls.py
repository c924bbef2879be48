"""URLs as rules compare them (RFC 3986, 6): the normal form of a path, and the parts of a `url` matcher.

Both sides of a comparison are normalized by `normal_path`: `/caf%c3%a9`, `/caf%C3%A9` and `/café` are one path, `/%61`
and `/a` are two. The case of escapes is normalized; they are never decoded (RFC 3986, 6.2.2.1).
"""

from __future__ import annotations

import re

import msgspec

from mockrec.formats.text import urls
from mockrec.formats.text.hostnames import to_ascii

DEFAULT_PORTS = urls.DEFAULT_PORTS

_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_NOT_IN_URLS = re.compile(r"[^!-~]+")
_SCHEME = re.compile(r"(https?|wss?)://", re.IGNORECASE)


def normal_path(path: str) -> str:
    """Return `path` with upper-case escapes; spaces, control and non-ASCII characters are escaped as UTF-8.

    RFC 3986, 6.2.2.1 and 2.5.
    """
    if "%" in path:
        path = _ESCAPE.sub(lambda found: found[0].upper(), path)
    if not path.isascii() or " " in path or not path.isprintable():
        path = _NOT_IN_URLS.sub(_escaped, path)
    return path


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))


def normal_hostname(name: str) -> str:
    """Return a host in lower case with A-labels (RFC 5890, 2.3.2.1), without a final dot and without brackets.

    RFC 3986, 6.2.2.1 and 3.2.2.
    """
    name = name.strip("[]").rstrip(".").lower()
    try:
        return to_ascii(name)
    except ValueError:
        return name


def split_host(host: str) -> tuple[str, int | None]:
    """Split `name[:port]` (RFC 3986, 3.2) into normal name and port; an IPv6 address with a port is in brackets.

    Raises ValueError for a bad port.
    """
    name, port = host, ""
    if host.startswith("["):
        name, _, rest = host.partition("]")
        port = rest.removeprefix(":")
    elif host.count(":") == 1:
        name, _, port = host.partition(":")
    if not port:
        return normal_hostname(name), None
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f'"{port}" is not a port')
    return normal_hostname(name), int(port)


class UrlPattern(msgspec.Struct, frozen=True):
    """A `url` matcher. `hostname` None: any host. `port` None: the default port of the scheme (RFC 9110, 4.2)."""

    scheme: str | None
    hostname: str | None
    port: int | None
    path: str


def parse_url_pattern(text: str) -> UrlPattern:
    """Read `/path`, `http://host[:port]/path` or `host[:port]/path`; query and fragment (RFC 3986, 3.4) are dropped.

    Raises ValueError for an empty text, a missing host or a bad port.
    """
    text = text.split("#", 1)[0].split("?", 1)[0]
    if not text:
        raise ValueError("a URL to match must not be empty")
    if text.startswith("/"):
        return UrlPattern(None, None, None, normal_path(text))
    scheme = None
    found = _SCHEME.match(text)
    if found is not None:
        scheme, text = found[1].lower(), text[found.end() :]
    host, slash, path = text.partition("/")
    if not host:
        raise ValueError("the URL has no host")
    hostname, port = split_host(host)
    return UrlPattern(scheme, hostname, port, normal_path(slash + path) or "/")
