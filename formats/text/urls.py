"""The normal form of a request target, which the recorder logs and matchers compare. Pure: no I/O."""

from __future__ import annotations

import re
from urllib.parse import quote

from mockrec.formats.text.syntax import SCHEME_PATTERN

_PATH_SAFE = "/%:@!$&'()*+,;=~-._|^[]\\#"
_QUERY_SAFE = "/%:@!$&()*+,;=~-._?|^[]\\`{}'"
"""Characters that are not percent-encoded, as in the WHATWG URL standard's path and query."""
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

_URL = re.compile(
    rf"({SCHEME_PATTERN})://(?:[^/?#]*@)?((?:\[[^\]]*\])|[^/?#:]*)"
    r"(?::(\d{1,9})(?!\d))?([^?#]*)(?:\?([^#]*))?",
    re.DOTALL,
)


def split_url(url: str) -> re.Match[str] | None:
    """Scheme, host (without user), port, path and query of an absolute URL, as groups 1 to 5; None for another text.

    The last three may be missing: port and query are None, the path is empty.
    """
    return _URL.match(url)


def normal_target(target: str) -> str:
    """Path and query without dot segments, with every character percent-encoded that is not allowed in a URL.

    Percent-encoded characters stay as they are.
    """
    path, mark, query = target.partition("?")
    if "/." in path or "/%2" in path:
        path = _without_dots(path)
    return _quoted(path, _PATH_SAFE) + mark + _quoted(query, _QUERY_SAFE) if mark else _quoted(path, _PATH_SAFE)


def quoted_target(target: str) -> str:
    """Path and query with their dot segments, as a client sends them that does not resolve these."""
    path, mark, query = target.partition("?")
    return _quoted(path, _PATH_SAFE) + mark + _quoted(query, _QUERY_SAFE)


def _quoted(part: str, safe: str) -> str:
    # "replace": lone surrogates, which JSON can hold, have no form in UTF-8.
    return quote(part, safe=safe, errors="replace")


def _without_dots(path: str) -> str:
    """Remove dot segments (RFC 3986, 5.2.4); `%2e` is read as a dot."""
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
