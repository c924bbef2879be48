"""The keys by which exchanges are paired: their endpoint, an exact key, and a key without volatile values."""

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
"""Beginning of a URL, up to its path → its host, and the index at which the path begins."""


class EndpointParts(NamedTuple):
    """The parts of a URL that pairing needs."""

    host: str
    path: str
    query: str


def host_of(url: str) -> tuple[str, int]:
    """Return the host of a URL, and the index at which its path begins. Cached, because hosts are few."""
    begin = url[: url.find("/", 8) + 1]
    cached = _hosts.get(begin)
    if cached is not None:
        return cached
    match = _URL.match(url)
    if match is None or match[1] is None:
        return "", 0
    found = intern(match[1]), match.end(1)
    if found[1] == len(begin) - 1 <= _LONGEST_HOST and len(_hosts) < _MOST_HOSTS:
        _hosts[begin] = found
    return found


def split(url: str) -> EndpointParts:
    """Return host, path and query, without user and password."""
    match = _URL.match(url)
    if match is None:
        return EndpointParts("", url, "")
    return EndpointParts(match[1] or "", match[2] or "", match[3] or "")


class Keys:
    """Makes keys and endpoints of both sessions; equal endpoints are one object."""

    def __init__(self, ignored_query: frozenset[str], mask: Callable[[str, int], str]) -> None:
        self._ignored = ignored_query
        self._mask = mask
        self.left_out: Counter[str] = Counter()
        """Ignored parameter → number of its occurrences."""
        self._endpoints: dict[Endpoint, Endpoint] = {}
        self._latest: dict[tuple[str, str, str, str], Endpoint] = {}
        """Method, host, path and operation → endpoint, of the latest requests."""

    def endpoint(self, method: str, host: str, path: str, operation: str = "") -> Endpoint:
        """Return the endpoint of a request."""
        request = (method, host, path, operation)
        found = self._latest.get(request)
        if found is None:
            made = Endpoint(method, host, template(path), operation)
            found = self._endpoints.setdefault(made, made)
            if len(self._latest) >= _MOST_PATHS:
                self._latest.clear()
            self._latest[request] = found
        return found

    def exact(self, digest: Digest, side: int) -> object:
        """Return a key of method, URL (with the canonical host) and body."""
        assert digest.endpoint is not None
        return digest.method, digest.endpoint.host, digest.url[digest.target :], digest.request_body

    def normalised(self, digest: Digest, side: int) -> object:
        """Return a key of the endpoint, and the query without ignored parameters and volatile values."""
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
