"""Scheme, host and port of recorded URLs, in the form that replays compare."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from mockrec.formats.text.urls import DEFAULT_PORTS

_ORIGIN = re.compile(r"[^/?#]{0,32}//[^/?#]{0,255}(?![^/?#])")
"""The part of a URL before its path."""


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme and host of a URL in lower case, and its port or None. Raises ValueError."""
    found = _ORIGIN.match(url)
    return _split(url) if found is None else _origin(found[0])


def _split(url: str) -> tuple[str, str, int | None]:
    split = urlsplit(url)
    return split.scheme, split.hostname or "", split.port


_origin = lru_cache(maxsize=1024)(_split)
"""Cached, because a session contains few distinct origins."""


def host_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return the host of a recorded request in lower case: with its port unless that is the default, and without it."""
    try:
        scheme, name, port = origin_of(str(record.get("url") or ""))
    except ValueError:
        return "", ""
    name = f"[{name}]" if ":" in name else name
    default_port = DEFAULT_PORTS.get(scheme)
    return (name if port in (None, default_port) else f"{name}:{port}"), name
