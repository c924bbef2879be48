"""Recorded exchanges as they are looked at: a request as the matchers of the rule language see one, how one ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mockrec.engine.replay.draft import Draft, raw_headers
from mockrec.engine.rules.request import RequestView
from mockrec.engine.rules.urls import DEFAULT_PORTS, normal_path
from mockrec.engine.wire.parts import header_table

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def recorded_view(record: Mapping[str, Any], draft: Draft) -> RequestView:
    """Complete with its body."""
    url = str(record.get("url") or "")
    headers = [pair for pair in draft.raw_headers if not pair[0].startswith(":")]
    try:
        split = urlsplit(url)
        hostname, port = split.hostname or "", split.port or DEFAULT_PORTS.get(split.scheme, 80)
    except ValueError:
        split, hostname, port = urlsplit(""), "", 80
    websocket = record["type"] == "websocket-request"
    view = RequestView(
        "GET" if websocket else str(record.get("method") or "GET"),
        split.scheme or "http",
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


def is_bare_redirect(record: Mapping[str, Any]) -> bool:
    """Whether a `response` is a redirect whose body nobody has kept: browsers follow it and never read that, so it can
    be given again without."""
    body, status = record.get("body"), record.get("statusCode")
    if status not in _REDIRECTS or not isinstance(body, Mapping) or not body.get("truncated"):
        return False
    kept = any(body.get(form) for form in ("text", "base64", "file", "raw"))
    return not kept and any(name.lower() == "location" for name, _ in raw_headers(record))


def is_open_stream(record: Mapping[str, Any]) -> bool:
    """Whether an `abort` tells of events (`text/event-stream`) that their client has heard enough of: that is how such
    answers end, and no sign that something was missing."""
    response = record.get("response")
    headers = response.get("headers") if isinstance(response, Mapping) else None
    if record.get("error") or not isinstance(headers, Mapping):
        return False
    return str(headers.get("content-type", "")).lower().startswith("text/event-stream")
