"""Recorded exchanges as they are looked at: a request as the matchers of the rule language see one, how one ended."""

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


def recorded_view(record: Mapping[str, Any], draft: EditableRequest) -> RequestView:
    """Complete with its body."""
    url = _matched_url(str(record.get("url") or ""))
    headers = [pair for pair in draft.raw_headers if not pair[0].startswith(":")]
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
        normal_path(draft.target),
        header_table(headers),
        headers,
        websocket,
        lambda: draft.body,
    )
    view.body_complete = True
    return view


_NORMAL = re.compile(r"(?!.*/(?:\.|%2))[A-Za-z0-9/%:@!$&()*+,;=~_.?-]*")
"""The end of a URL that is as it has to be."""


def _matched_url(url: str) -> str:
    """A recorded URL in the form in which a request has one that comes (`Address.matched_url`)."""
    start = url.find("/", url.find("://") + 3)
    if _NORMAL.fullmatch(url, max(start, 0)):
        return url
    return url[:start] + normal_target(url[start:].partition("#")[0]) if start >= 0 else url


_STREAMS = re.compile(
    r"text/event-stream|application/(?:x-)?(?:ndjson|jsonl(?:ines)?|json-stream)|application/(?:json-seq|stream\+json)"
    r"|application/(?:grpc|connect)[\w.+-]*|multipart/x-mixed-replace",
    re.IGNORECASE,
)
"""Content-types of answers that end when their client has enough."""


def is_bare_redirect(record: Mapping[str, Any]) -> bool:
    """Whether a `response` is a redirect whose body nobody has kept: browsers follow it and never read that, so it can
    be given again without."""
    body, status = record.get("body"), record.get("statusCode")
    if status not in _REDIRECTS or not isinstance(body, Mapping) or not body.get("truncated"):
        return False
    kept = any(body.get(form) for form in ("text", "base64", "file", "raw"))
    return not kept and any(name.lower() == "location" for name, _ in raw_headers(record))


def is_open_stream(record: Mapping[str, Any]) -> bool:
    """Whether an `abort` tells of a stream that its client has heard enough of: that is how such answers end, and no
    sign that something was missing. Streams are known by their type, or by having no length beforehand (chunked)."""
    response = record.get("response")
    headers = response.get("headers") if isinstance(response, Mapping) else None
    if record.get("error") or not isinstance(headers, Mapping):
        return False
    if is_stream(response):
        return True
    return "content-length" not in headers and "chunked" in str(headers.get("transfer-encoding", "")).lower()


def is_stream(response: Any) -> bool:
    """Whether an answer is of a type that goes on until its client leaves."""
    headers = response.get("headers") if isinstance(response, Mapping) else None
    return isinstance(headers, Mapping) and _STREAMS.match(str(headers.get("content-type", "")).strip()) is not None
