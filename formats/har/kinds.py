"""The purpose of a request: `_resourceType` and `_initiator`, with the values of Chrome's developer tools.

Browsers send it in Sec-Fetch-Dest and Sec-Fetch-Mode (https://www.w3.org/TR/fetch-metadata/), but only to trustworthy
servers (TLS, or this machine). Otherwise it is inferred from Accept, X-Requested-With and the response's content type.
Without `_resourceType`, developer tools use the content type alone and take JSON for a script, so that their filter
for requests of scripts (Fetch/XHR) finds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockrec.formats.har.fields import named_headers, raw_headers, text

_DESTINATIONS = {
    "audio": "media",
    "audioworklet": "script",
    "document": "document",
    "fencedframe": "document",
    "font": "font",
    "frame": "document",
    "iframe": "document",
    "image": "image",
    "json": "script",
    "manifest": "manifest",
    "paintworklet": "script",
    "script": "script",
    "serviceworker": "script",
    "sharedworker": "script",
    "style": "stylesheet",
    "text": "script",
    "track": "texttrack",
    "video": "media",
    "webidentity": "fedcm",
    "worker": "script",
    "xslt": "stylesheet",
}
"""Sec-Fetch-Dest → resource type. Left out: `empty` (requests of scripts), and values that leave the type to the
response."""
_ACCEPTED = {
    "text/css": "stylesheet",
    "application/json": "fetch",
    "text/vtt": "texttrack",
}
_RESPONSE_TYPES = {
    "text/html": "document",
    "application/xhtml+xml": "document",
    "text/css": "stylesheet",
    "text/javascript": "script",
    "application/javascript": "script",
    "application/x-javascript": "script",
    "application/ecmascript": "script",
    "text/ecmascript": "script",
    "application/wasm": "wasm",
    "application/manifest+json": "manifest",
    "text/vtt": "texttrack",
    "application/vnd.ms-fontobject": "font",
    "application/vnd.apple.mpegurl": "media",
    "application/x-mpegurl": "media",
    "application/dash+xml": "media",
    "application/csp-report": "csp-violation-report",
}
_FAMILIES = {"image": "image", "font": "font", "audio": "media", "video": "media"}
"""Top-level media type → resource type."""
_FOR_PROGRAMS = (
    "application/graphql",
    "application/grpc",
    "application/json",
    "application/msgpack",
    "application/ndjson",
    "application/problem",
    "application/protobuf",
    "application/x-msgpack",
    "application/x-ndjson",
    "application/x-protobuf",
    "application/x-www-form-urlencoded",
    "application/xml",
    "multipart/",
    "text/",
)
"""Prefixes of media types that programs request."""
_EVENTS = "text/event-stream"
_BY_SCRIPT = frozenset({"fetch", "xhr", "eventsource", "wasm", "websocket"})
_BY_PARSER = frozenset({"stylesheet", "script", "image", "font", "media", "texttrack", "manifest", "document"})


def add_purpose(entry: dict[str, Any], table: Any, *, websocket: bool) -> None:
    """Add `_resourceType` and `_initiator` to an entry, if they can be inferred. `table`: the record's `headers`, if it
    has any."""
    request, response = entry["request"], entry["response"]
    if not isinstance(table, dict):
        table = named_headers(raw_headers(request["headers"]))
    kind = "websocket"
    if not websocket:
        kind = resource_type(request["method"], table, response["status"], response["content"]["mimeType"])
    if kind:
        entry["_resourceType"] = kind
    found = initiator(kind, table)
    if found:
        entry["_initiator"] = found


def resource_type(method: str, request: Mapping[str, Any], status: int, mime_type: str) -> str:
    """Return the resource type, or "" if nothing indicates one. `request`: fields by lower-case name. `status` is 0
    without a response."""
    if method == "OPTIONS" and "access-control-request-method" in request:
        return "preflight"
    if "ping-to" in request:  # HTML, hyperlink auditing
        return "ping"
    purpose = text(request.get("sec-purpose")) or text(request.get("purpose"))
    if purpose.startswith("prefetch") and "prerender" not in purpose:
        return "prefetch"
    response_type = _bare_type(mime_type)
    destination = text(request.get("sec-fetch-dest"))
    if destination == "empty":
        return _of_script(method, request, response_type)
    if destination == "report":
        sent = _bare_type(text(request.get("content-type")))
        return "csp-violation-report" if sent == "application/csp-report" else "other"
    return _DESTINATIONS.get(destination) or _guessed(method, request, status, response_type)


def is_navigation(request: Mapping[str, Any]) -> bool:
    """True if Accept has the value that browsers send for pages. Other clients name HTML first too, but never with
    XHTML."""
    accepted = text(request.get("accept"))
    return accepted.startswith("text/html,") and "application/xhtml+xml" in accepted[:40]


def _of_script(method: str, request: Mapping[str, Any], response_type: str) -> str:
    """Return the resource type of a request from a script."""
    if text(request.get("x-requested-with")).lower() == "xmlhttprequest":
        return "xhr"
    if method == "GET" and _bare_type(text(request.get("accept"))) == _EVENTS:
        return "eventsource"
    return "wasm" if response_type == "application/wasm" else "fetch"


def _guessed(method: str, request: Mapping[str, Any], status: int, response_type: str) -> str:
    """Return the resource type of a request without Sec-Fetch-Dest."""
    accepted = _bare_type(text(request.get("accept")).partition(",")[0])
    if text(request.get("x-requested-with")) or accepted == _EVENTS:
        return _of_script(method, request, response_type)
    # Accept counts more than the response's type: an HTML error page in place of an image is still an image request.
    requested = "document" if is_navigation(request) else _ACCEPTED.get(accepted) or _family(accepted)
    return requested or (_of_response(response_type) if status else "")


def _of_response(response_type: str) -> str:
    known = _RESPONSE_TYPES.get(response_type) or _family(response_type)
    if known:
        return known
    if response_type.startswith(("application/font", "application/x-font")):
        return "font"
    if not response_type or response_type.startswith(_FOR_PROGRAMS) or response_type.endswith(("+json", "+xml")):
        return "fetch"
    # For untyped bytes, readers go by the extension.
    return "" if response_type in ("application/octet-stream", "binary/octet-stream") else "other"


def initiator(kind: str, request: Mapping[str, Any]) -> dict[str, str] | None:
    """Return `_initiator` for a request of this type; None if nothing indicates one. Readers fail for a null, so the
    entry then has no such member."""
    if kind == "preflight":
        return {"type": "preflight"}
    referrer = text(request.get("referer"))
    if not referrer.startswith(("http://", "https://")):
        return None
    if kind in _BY_SCRIPT:
        return {"type": "script", "url": referrer}
    if kind in _BY_PARSER and text(request.get("sec-fetch-dest")) != "document":
        return {"type": "parser", "url": referrer}
    return {"type": "other", "url": referrer}


def _family(mime_type: str) -> str:
    return _FAMILIES.get(mime_type.partition("/")[0], "")


def _bare_type(mime_type: str) -> str:
    """Return a media type without parameters, in lower case."""
    return mime_type.partition(";")[0].strip().lower()
