"""What exchanges are paired by: their endpoint, and keys that are exact or forgive what changes by nature."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from sys import intern
from typing import NamedTuple
from urllib.parse import parse_qsl

from mockrec.formats.diff.model.exchange import Digest, Endpoint
from mockrec.formats.sessions.endpoints import template

_URL = re.compile(r"(?:[a-z]+://(?:[^/?#]*@)?([^/?#]*))?([^?#]*)(?:\?([^#]*))?")

_MOST_PATHS = 16_384
_MOST_HOSTS = 1024
_LONGEST_HOST = 300
_hosts: dict[str, tuple[str, int]] = {}
"""What a URL begins with, up to its path → its host, and where the path begins."""


class EndpointParts(NamedTuple):
    """A URL, as far as pairing needs it."""

    host: str
    path: str
    query: str


def host_of(url: str) -> tuple[str, int]:
    """The host of a URL, and where its path begins. Hosts are few, so each is kept once."""
    begin = url[: url.find("/", 8) + 1]
    known = _hosts.get(begin)
    if known is not None:
        return known
    match = _URL.match(url)
    if match is None or match[1] is None:
        return "", 0
    found = intern(match[1]), match.end(1)
    if found[1] == len(begin) - 1 <= _LONGEST_HOST and len(_hosts) < _MOST_HOSTS:
        _hosts[begin] = found
    return found


def split(url: str) -> EndpointParts:
    """Host, path and query; user and password are left out."""
    match = _URL.match(url)
    if match is None:
        return EndpointParts("", url, "")
    return EndpointParts(match[1] or "", match[2] or "", match[3] or "")


class Keys:
    """Makes keys and endpoints; one for both sessions, so that equal endpoints are one object."""

    def __init__(self, ignored_query: frozenset[str], mask: Callable[[str, int], str]) -> None:
        self._ignored = ignored_query
        self._mask = mask
        self.left_out: Counter[str] = Counter()
        """How often each ignored parameter was met."""
        self._endpoints: dict[Endpoint, Endpoint] = {}
        self._asked: dict[tuple[str, str, str], Endpoint] = {}
        """Method, host and path → endpoint, of the requests that came last."""

    def endpoint(self, method: str, host: str, path: str) -> Endpoint:
        """The endpoint of a request."""
        asked = (method, host, path)
        found = self._asked.get(asked)
        if found is None:
            made = Endpoint(method, host, template(path))
            found = self._endpoints.setdefault(made, made)
            if len(self._asked) >= _MOST_PATHS:
                self._asked.clear()
            self._asked[asked] = found
        return found

    def exact(self, digest: Digest, side: int) -> object:
        """Method, URL (its host under the common name) and body."""
        assert digest.endpoint is not None
        return digest.method, digest.endpoint.host, digest.url[digest.target :], digest.request_body

    def normalised(self, digest: Digest, side: int) -> object:
        """The endpoint, and the query without ignored parameters and volatile values."""
        query = digest.url[digest.target :].partition("#")[0].partition("?")[2]
        if not query:
            return digest.endpoint
        pairs = []
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name in self._ignored:
                self.left_out[name] += 1
            else:
                pairs.append((name, self._mask(value, side)))
        return digest.endpoint, tuple(sorted(pairs))
