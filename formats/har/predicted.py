"""What an entry says of each of its records, before their residuals are added.

Read and written by the same rules, so it may say anything: what is not so stands in the residual. But the better it
guesses, the smaller the file, and what a person changes in the standard fields is what the records say afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockrec.formats.har import bodies, fields
from mockrec.formats.har.entry import VERSIONS
from mockrec.formats.har.fields import items, mapping, text
from mockrec.formats.schema.body import encode_body

Record = dict[str, Any]

_VERSIONS = {spelled: version for version, spelled in VERSIONS.items()}
_REMEMBERED = ("timingEvents", "tags", "tlsMetadata", "destination")
"""What has no standard field, and is mostly as in the record before."""
PIECES = {"request-body-data": "request", "response-body-data": "response"}

_HEAD = """id connectionId protocol httpVersion method url path destination headers rawHeaders remoteIpAddress
    remotePort timingEvents tags matchedRuleId continuedRuleIds
    tlsMetadata body trailers rawTrailers host duration error requestBody
    response"""
_ENDING = (
    "eventTimestamp timingEvents tags method url host matchedRuleId continuedRuleIds duration body trailers rawTrailers"
)
_ANSWER = f"id connectionId statusCode statusMessage headers rawHeaders timingEvents tags {_ENDING}"
_STREAM = f"""id connectionId streamId direction content isBinary closeCode closeReason initiator isEnded
    requestId ruleId eventType eventData {_ENDING}"""
"""Every key that is implied has a place in these, see `residual.diff`."""


class Ranks(dict[str, int]):
    """Key → its place in a record as the recorder writes it; unknown ones come last, as they come."""

    def __missing__(self, key: str) -> int:
        return len(self)


def _ranks(keys: str) -> Ranks:
    ranks = Ranks()
    for key in f"seq type timestamp {keys}".split():
        ranks.setdefault(key, len(ranks))
    return ranks


_RANKS = {"head": _ranks(_HEAD), "answer": _ranks(_ANSWER), "stream": _ranks(_STREAM)}
_FAMILIES = {
    "request-initiated": "head",
    "request": "head",
    "websocket-request": "head",
    "abort": "head",
    "response-initiated": "answer",
    "response-information": "answer",
    "response": "answer",
    "websocket-accepted": "answer",
}


def rank_of(kind: str) -> Ranks:
    """The order of keys in a record of that type."""
    return _RANKS[_FAMILIES.get(kind, "stream")]


class Implied:
    """Goes through one entry's records in their order: `of` a record, then `learn` what it really is."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._entry = entry
        self._request = mapping(entry.get("request"))
        self._response = mapping(entry.get("response"))
        self._memory: Record = {}
        self._seen: dict[str, int] = {}
        self._offsets = dict.fromkeys(PIECES, 0)
        self._wire: dict[str, bytes] = {}
        self._cached: dict[str, Record] = {}
        connection = {"connectionId": entry["_connectionId"]} if "_connectionId" in entry else {}
        self._ids = {"id": mapping(entry.get("_mockrec")).get("id"), **connection}

    def of(self, kind: str, take: int | None = None) -> Record:
        """The record of that type that comes next. `take`: how much of the body a piece of it has."""
        make = _MAKERS.get(kind)
        implied = {**self._ids, **(make(self, kind) if make else {})}
        if take is not None and kind in PIECES:
            implied["content"] = self._piece(kind, take)
        return implied

    def learn(self, record: Mapping[str, Any]) -> None:
        """What the record really is."""
        for key in _REMEMBERED:
            if key in record:
                self._memory[key] = record[key]
        kind = "message" if "isBinary" in record else record["type"]
        self._seen[kind] = self._seen.get(kind, 0) + 1
        if kind in PIECES:
            self._offsets[kind] += len(bodies.kept_bytes(mapping(record.get("content"))))

    def taken(self, record: Mapping[str, Any]) -> int | None:
        """How many bytes of the body a piece has, if it is the body's next part exactly."""
        kind = record["type"]
        if kind not in PIECES:
            return None
        piece = bodies.kept_bytes(mapping(record.get("content")))
        start = self._offsets[kind]
        return len(piece) if piece and self._bytes(kind)[start : start + len(piece)] == piece else None

    # ── bodies in pieces ───────────────────────────────────────────────────────────────────────────

    def _bytes(self, kind: str) -> bytes:
        if kind not in self._wire:
            whole = self._request_body() if PIECES[kind] == "request" else self._response_body()
            self._wire[kind] = bodies.kept_bytes(whole)
        return self._wire[kind]

    def _piece(self, kind: str, take: int) -> Record:
        start = self._offsets[kind]
        return encode_body(self._bytes(kind)[start : start + take])

    def _request_body(self) -> Record:
        return bodies.implied_request_body(self._request)

    def _response_body(self) -> Record:
        return bodies.implied_body(self._response.get("content"))

    # ── types ──────────────────────────────────────────────────────────────────────────────────────

    def _known(self, *keys: str) -> Record:
        return {key: self._memory[key] for key in keys if key in self._memory}

    def _once(self, name: str, make: Callable[[], Record]) -> Record:
        if name not in self._cached:
            self._cached[name] = make()
        return dict(self._cached[name])

    def _url(self) -> Mapping[str, Any]:
        return fields.parts_of(text(self._request.get("url")))

    def _rule(self) -> Record:
        places = (("matchedRuleId", "_matchedRuleId"), ("continuedRuleIds", "_continuedRuleIds"))
        return {key: self._entry[name] for key, name in places if name in self._entry}

    def _tags(self) -> Record:
        return {"timingEvents": {}, "tags": self._entry.get("_tags", []), **self._known("timingEvents", "tags")}

    def _head(self, kind: str) -> Record:
        implied = self._once("head", self._make_head)
        implied |= self._tags() | self._known("destination", "tlsMetadata")
        return implied if kind == "request-initiated" else implied | self._rule()

    def _make_head(self) -> Record:
        request, entry, url = self._request, self._entry, self._url()
        raw = fields.all_headers(request)
        implied = {
            "protocol": url.get("protocol", ""),
            "httpVersion": _VERSIONS.get(text(request.get("httpVersion")), "1.1"),
            "method": request.get("method"),
            "url": request.get("url"),
            "path": url.get("path", ""),
            "destination": url.get("destination"),
            "headers": fields.named_headers(raw),
            "rawHeaders": raw,
        }
        for name, key in (("_clientIPAddress", "remoteIpAddress"), ("_clientPort", "remotePort")):
            if name in entry:
                implied[key] = entry[name]
        return implied

    def _complete(self, kind: str) -> Record:
        return {**self._head(kind), "body": self._request_body(), **_trailers(self._request)}

    def _abort(self, kind: str) -> Record:
        implied = {**self._head(kind), **self._end("host", "duration")}
        if "_error" in self._entry:
            implied["error"] = self._entry["_error"]
        if not (self._seen.get("request") or self._seen.get("websocket-request")) and self._request.get("bodySize"):
            implied["requestBody"] = {**self._request_body(), "incomplete": True}
        if self._response.get("status"):
            head = self._answer(kind)
            body = {"body": {**self._response_body(), "incomplete": True}}
            implied["response"] = {key: head[key] for key in _PARTIAL if key in head} | body
        return implied

    def _answer(self, _: str) -> Record:
        return self._once("answer", lambda: _answer(self._response)) | self._tags()

    def _end(self, *keys: str) -> Record:
        request, host = self._request, self._url().get("host", "")
        ending = {"method": request.get("method"), "url": request.get("url"), "host": host}
        ending |= self._rule() | {"duration": self._entry.get("time")}
        return {key: ending[key] for key in keys} if keys else ending

    def _finished(self, kind: str) -> Record:
        body = self._response_body()
        return {**self._answer(kind), **self._end(), "body": body, **_trailers(self._response)}

    def _accepted(self, kind: str) -> Record:
        return {**self._answer(kind), "body": dict(bodies.EMPTY), **_trailers(self._response)}

    def _information(self, kind: str) -> Record:
        told = self._nth("_informational", kind)
        fake = {"status": told.get("status"), "statusText": told.get("statusText"), "headers": told.get("headers")}
        return {**_answer(fake), **self._tags(), "eventTimestamp": told.get("time")}

    def _message(self, kind: str) -> Record:
        told = self._nth("_webSocketMessages", "message")
        binary = told.get("opcode") == 2
        return {
            "streamId": self._ids["id"],
            "direction": "received" if kind == "websocket-message-received" else "sent",
            "content": bodies.implied_message(text(told.get("data")), binary),
            "isBinary": binary,
            **self._tags(),
        }

    def _close(self, _: str) -> Record:
        told = mapping(self._entry.get("_webSocketClose"))
        known = {"closeCode": told.get("code"), "closeReason": told.get("reason")}
        named = {key: value for key, value in known.items() if value is not None}
        return {"streamId": self._ids["id"], **named, "initiator": "client", **self._tags(), **self._end()}

    def _rule_event(self, kind: str) -> Record:
        return {"requestId": self._ids["id"], **self._nth("_ruleEvents", kind)}

    def _nth(self, name: str, kind: str) -> Mapping[str, Any]:
        """The one that comes next of a list in the entry."""
        told, index = items(self._entry.get(name)), self._seen.get(kind, 0)
        return mapping(told[index]) if index < len(told) else {}


_PARTIAL = ("statusCode", "statusMessage", "rawHeaders", "headers")


def _answer(response: Mapping[str, Any]) -> Record:
    raw = fields.all_headers(response)
    head = {"statusCode": response.get("status"), "statusMessage": response.get("statusText")}
    return {**head, "headers": fields.named_headers(raw), "rawHeaders": raw}


def _trailers(message: Mapping[str, Any]) -> Record:
    if "_trailers" not in message:
        return {}
    raw = fields.raw_headers(message["_trailers"])
    return {"trailers": fields.named_headers(raw), "rawTrailers": raw}


_MAKERS: dict[str, Callable[[Implied, str], Record]] = {
    "request-initiated": Implied._head,
    "request": Implied._complete,
    "websocket-request": Implied._complete,
    "abort": Implied._abort,
    "response-initiated": Implied._answer,
    "response": Implied._finished,
    "websocket-accepted": Implied._accepted,
    "response-information": Implied._information,
    "websocket-message-received": Implied._message,
    "websocket-message-sent": Implied._message,
    "websocket-close": Implied._close,
    "rule-event": Implied._rule_event,
}
