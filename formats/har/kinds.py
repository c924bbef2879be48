"""What a request was made for: `_resourceType` and `_initiator`, in the words of Chrome's developer tools.

Browsers say it in Sec-Fetch-Dest and Sec-Fetch-Mode (https://www.w3.org/TR/fetch-metadata/), but only to servers that
they trust (TLS, or this machine). Otherwise Accept, X-Requested-With and the answer's content type tell. Without
`_resourceType`, developer tools go by the content type alone and take JSON for a script, so that their filter for
requests of programs (Fetch/XHR) finds nothing.
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
"""Values of Sec-Fetch-Dest. Missing are `empty` (a script asks) and those that go by the answer's type."""
_ACCEPTED = {
    "text/css": "stylesheet",
    "application/json": "fetch",
    "text/vtt": "texttrack",
}
_ANSWERED = {
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
"""The type before the slash."""
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
"""How types begin that programs ask for."""
_EVENTS = "text/event-stream"
_BY_SCRIPT = frozenset({"fetch", "xhr", "eventsource", "wasm", "websocket"})
_BY_PARSER = frozenset({"stylesheet", "script", "image", "font", "media", "texttrack", "manifest", "document"})


def add_purpose(entry: dict[str, Any], table: Any, *, websocket: bool) -> None:
    """Say in an entry what its request was made for, where it tells. `table`: the record's `headers`, if it has any."""
    request, response = entry["request"], entry["response"]
    if not isinstance(table, dict):
        table = named_headers(raw_headers(request["headers"]))
    kind = "websocket"
    if not websocket:
        kind = resource_type(request["method"], table, response["status"], response["content"]["mimeType"])
    if kind:
        entry["_resourceType"] = kind
    told = initiator(kind, table)
    if told:
        entry["_initiator"] = told


def resource_type(method: str, request: Mapping[str, Any], status: int, mime_type: str) -> str:
    """The type, or "" where nothing tells. `request`: fields by lower-case name; `status` is 0 without an answer."""
    if method == "OPTIONS" and "access-control-request-method" in request:
        return "preflight"
    if "ping-to" in request:  # HTML, hyperlink auditing
        return "ping"
    purpose = text(request.get("sec-purpose")) or text(request.get("purpose"))
    if purpose.startswith("prefetch") and "prerender" not in purpose:
        return "prefetch"
    answered = _bare(mime_type)
    destination = text(request.get("sec-fetch-dest"))
    if destination == "empty":
        return _of_script(method, request, answered)
    if destination == "report":
        sent = _bare(text(request.get("content-type")))
        return "csp-violation-report" if sent == "application/csp-report" else "other"
    return _DESTINATIONS.get(destination) or _guessed(method, request, status, answered)


def is_navigation(request: Mapping[str, Any]) -> bool:
    """Whether Accept is what browsers have for pages. Other clients name HTML first too, but never with XHTML."""
    accepted = text(request.get("accept"))
    return accepted.startswith("text/html,") and "application/xhtml+xml" in accepted[:40]


def _of_script(method: str, request: Mapping[str, Any], answered: str) -> str:
    """Of a request that a script has made."""
    if text(request.get("x-requested-with")).lower() == "xmlhttprequest":
        return "xhr"
    if method == "GET" and _bare(text(request.get("accept"))) == _EVENTS:
        return "eventsource"
    return "wasm" if answered == "application/wasm" else "fetch"


def _guessed(method: str, request: Mapping[str, Any], status: int, answered: str) -> str:
    """Of a client that does not say what it asks for."""
    accepted = _bare(text(request.get("accept")).partition(",")[0])
    if text(request.get("x-requested-with")) or accepted == _EVENTS:
        return _of_script(method, request, answered)
    # What was wanted counts more than what came: a page that says that there is no such image is none.
    wanted = "document" if is_navigation(request) else _ACCEPTED.get(accepted) or _family(accepted)
    return wanted or (_answered(answered) if status else "")


def _answered(answered: str) -> str:
    known = _ANSWERED.get(answered) or _family(answered)
    if known:
        return known
    if answered.startswith(("application/font", "application/x-font")):
        return "font"
    if not answered or answered.startswith(_FOR_PROGRAMS) or answered.endswith(("+json", "+xml")):
        return "fetch"
    # Of bytes of no type, readers go by the extension.
    return "" if answered in ("application/octet-stream", "binary/octet-stream") else "other"


def initiator(kind: str, request: Mapping[str, Any]) -> dict[str, str] | None:
    """`_initiator` of a request of that type, where the request tells. Never a null: readers fail for one."""
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


def _bare(mime_type: str) -> str:
    """A media type without parameters."""
    return mime_type.partition(";")[0].strip().lower()
