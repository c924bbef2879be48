"""What exchanges are paired by: their endpoint, and keys that are exact or forgive what changes by nature."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from mockrec.formats.diff.model import Digest, Endpoint

_ID_SEGMENTS = (
    ("{int}", re.compile(r"\d+")),
    ("{uuid}", re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")),
    ("{ulid}", re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")),
    ("{hex}", re.compile(r"(?=.*\d)[0-9a-f]{8,}|(?=.*\d)[0-9A-F]{8,}")),
    ("{token}", re.compile(r"(?=.*\d)(?=.*[A-Z])(?=.*[a-z])[A-Za-z0-9_-]{16,}|redacted-[0-9a-f]{8}")),
)
_URL = re.compile(r"(?:[a-z]+://(?:[^/?#]*@)?([^/?#]*))?([^?#]*)(?:\?([^#]*))?")


class Parts(NamedTuple):
    """A URL, as far as pairing needs it."""

    host: str
    path: str
    query: str


def split(url: str) -> Parts:
    """Host, path and query; user and password are left out."""
    match = _URL.match(url)
    if match is None:
        return Parts("", url, "")
    return Parts(match[1] or "", match[2] or "", match[3] or "")


@lru_cache(maxsize=20_000)
def template(path: str) -> str:
    """`/users/7/orders` → `/users/{int}/orders`."""
    return "/".join(_segment(part) for part in path.split("/"))


def _segment(part: str) -> str:
    if not part or part.isalpha():
        return part
    return next((name for name, pattern in _ID_SEGMENTS if pattern.fullmatch(part)), part)


class Keys:
    """Makes keys and endpoints; one for both sessions, so that equal endpoints are one object."""

    def __init__(self, ignored_query: frozenset[str], mask: Callable[[str, int], str]) -> None:
        self._ignored = ignored_query
        self._mask = mask
        self.left_out: Counter[str] = Counter()
        """How often each ignored parameter was met."""
        self._endpoints: dict[tuple[str, str, str], Endpoint] = {}

    def endpoint(self, method: str, host: str, path: str) -> Endpoint:
        """The endpoint of a request."""
        key = (method, host, template(path))
        found = self._endpoints.get(key)
        if found is None:
            found = self._endpoints[key] = Endpoint(*key)
        return found

    def exact(self, digest: Digest) -> object:
        """Method, URL (its host under the common name) and body."""
        assert digest.endpoint is not None
        parts = split(digest.url)
        return digest.method, digest.endpoint.host, parts.path, parts.query, digest.request_body

    def normalised(self, digest: Digest, side: int) -> object:
        """The endpoint, and the query without ignored parameters and volatile values."""
        query = split(digest.url).query
        if not query:
            return digest.endpoint
        pairs = []
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name in self._ignored:
                self.left_out[name] += 1
            else:
                pairs.append((name, self._mask(value, side)))
        return digest.endpoint, tuple(sorted(pairs))
