"""Views of recorded exchanges: a request in the form that rule matchers read, and how the response ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mockrec.engine.replay.session.editable import EditableRequest, raw_headers
from mockrec.engine.replay.session.origin import origin_of
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.wire.parts import header_table
from mockrec.engine.wire.urls import DEFAULT_PORTS, normal_path
from mockrec.formats.text.urls import normal_target

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def recorded_view(record: Mapping[str, Any], request: EditableRequest) -> RequestView:
    """Return the view of a recorded request for rule matchers, with its body complete."""
    url = _matched_url(str(record.get("url") or ""))
    headers = [pair for pair in request.raw_headers if not pair[0].startswith(":")]
    try:
        scheme, hostname, named = origin_of(url)
        port = named or DEFAULT_PORTS.get(scheme, 80)
    except ValueError:
        scheme, hostname, port = "", "", 80
    websocket = record["type"] == "websocket-request"
    view = RequestView(
        "GET" if websocket else str(record.get("method") or "GET"),
        scheme or "http",
        url,
        hostname,
        port,
        normal_path(request.target),
        header_table(headers),
        headers,
        websocket,
        lambda: request.body,
    )
    view.body_complete = True
    return view


_NORMAL = re.compile(r"(?!.*/(?:\.|%2))[A-Za-z0-9/%:@!$&()*+,;=~_.?-]*")
"""The path and query of a URL that is in normal form already."""


def _matched_url(url: str) -> str:
    """Return a recorded URL in the normal form of a live request (`TargetUri.matched_url`)."""
    start = url.find("/", url.find("://") + 3)
    if _NORMAL.fullmatch(url, max(start, 0)):
        return url
    return url[:start] + normal_target(url[start:].partition("#")[0]) if start >= 0 else url


_STREAMS = re.compile(
    r"text/event-stream|application/(?:x-)?(?:ndjson|jsonl(?:ines)?|json-stream)|application/(?:json-seq|stream\+json)"
    r"|application/(?:grpc|connect)[\w.+-]*|multipart/x-mixed-replace",
    re.IGNORECASE,
)
"""Content-types of responses that last until the client disconnects."""


def is_bare_redirect(record: Mapping[str, Any]) -> bool:
    """Whether a `response` is a redirect without a recorded body.

    Browsers follow it without reading the body, so it can be replayed without one.
    """
    body, status = record.get("body"), record.get("statusCode")
    if status not in _REDIRECTS or not isinstance(body, Mapping) or not body.get("truncated"):
        return False
    has_body = any(body.get(form) for form in ("text", "base64", "file", "raw"))
    return not has_body and any(name.lower() == "location" for name, _ in raw_headers(record))


def is_open_stream(record: Mapping[str, Any]) -> bool:
    """Whether an `abort` is a client's disconnect from a stream.

    That is the normal end of such a response, and no data is missing. A stream has a streaming content-type, or no
    declared length (chunked).
    """
    response = record.get("response")
    headers = response.get("headers") if isinstance(response, Mapping) else None
    if record.get("error") or not isinstance(headers, Mapping):
        return False
    if is_stream(response):
        return True
    return "content-length" not in headers and "chunked" in str(headers.get("transfer-encoding", "")).lower()


def is_stream(response: Any) -> bool:
    """Whether a response has a content-type that lasts until the client disconnects."""
    headers = response.get("headers") if isinstance(response, Mapping) else None
    return isinstance(headers, Mapping) and _STREAMS.match(str(headers.get("content-type", "")).strip()) is not None
