"""Predict each record of an exchange from its entry.

Writer and reader predict by the same rules, so a prediction may be wrong: the delta corrects it. But the better the
prediction, the smaller the file. And edits take effect: the records are predicted from the edited standard fields.
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
_REPEATED = ("timingEvents", "tags", "tlsMetadata", "destination")
"""Keys without a standard field in HAR: predicted to be as in the exchange's previous record."""
CHUNK_SIDES = {"request-body-data": "request", "response-body-data": "response"}

_HEAD = """id connectionId scope protocol httpVersion method url path destination headers rawHeaders remoteIpAddress
    remotePort timingEvents tags matchedRuleId continuedRuleIds
    tlsMetadata body trailers rawTrailers host duration error requestBody
    response"""
_ENDING = (
    "eventTimestamp timingEvents tags method url host matchedRuleId continuedRuleIds duration body trailers rawTrailers"
)
_RESPONSE = f"id connectionId scope statusCode statusMessage headers rawHeaders timingEvents tags {_ENDING}"
_STREAM = f"""id connectionId scope streamId direction content isBinary closeCode closeReason initiator isEnded
    requestId ruleId eventType eventData {_ENDING}"""
"""Each family's keys in the recorder's order. Every predicted key must be in here, see `delta.diff`."""


class Ranks(dict[str, int]):
    """Key → its place in a record as the recorder writes it. Unknown keys come last, in their own order."""

    def __missing__(self, key: str) -> int:
        return len(self)


def _ranks(keys: str) -> Ranks:
    ranks = Ranks()
    for key in f"seq type timestamp {keys}".split():
        ranks.setdefault(key, len(ranks))
    return ranks


_RANKS = {"head": _ranks(_HEAD), "response": _ranks(_RESPONSE), "stream": _ranks(_STREAM)}
_FAMILIES = {
    "request-initiated": "head",
    "request": "head",
    "websocket-request": "head",
    "abort": "head",
    "response-initiated": "response",
    "response-information": "response",
    "response": "response",
    "websocket-accepted": "response",
}


def ranks_of(kind: str) -> Ranks:
    """Return the ranks of keys in a record of this type."""
    return _RANKS[_FAMILIES.get(kind, "stream")]


class Predictor:
    """Predicts one entry's records in their order: `of` predicts the next record, then `observe` takes the real one."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._entry = entry
        self._request = mapping(entry.get("request"))
        self._response = mapping(entry.get("response"))
        self._previous: Record = {}
        self._counts: dict[str, int] = {}
        self._offsets = dict.fromkeys(CHUNK_SIDES, 0)
        self._bodies: dict[str, bytes] = {}
        self._cache: dict[str, Record] = {}
        connection = {"connectionId": entry["_connectionId"]} if "_connectionId" in entry else {}
        scope = {"scope": entry["_scope"]} if "_scope" in entry else {}
        self._ids = {"id": mapping(entry.get("_mockrec")).get("id"), **connection, **scope}

    def of(self, kind: str, take: int | None = None) -> Record:
        """Predict the next record, which has this type. `take`: bytes of the body that its chunk has."""
        make = _PREDICTIONS.get(kind)
        predicted = {**self._ids, **(make(self, kind) if make else {})}
        if take is not None and kind in CHUNK_SIDES:
            predicted["content"] = self._chunk(kind, take)
        return predicted

    def observe(self, record: Mapping[str, Any]) -> None:
        """Take the real record, on which later predictions build."""
        for key in _REPEATED:
            if key in record:
                self._previous[key] = record[key]
        kind = "message" if "isBinary" in record else record["type"]
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if kind in CHUNK_SIDES:
            self._offsets[kind] += len(bodies.inline_bytes(mapping(record.get("content"))))

    def taken_bytes(self, record: Mapping[str, Any]) -> int | None:
        """Return the size of a record's chunk if it is exactly the next part of the body, otherwise None."""
        kind = record["type"]
        if kind not in CHUNK_SIDES:
            return None
        chunk = bodies.inline_bytes(mapping(record.get("content")))
        start = self._offsets[kind]
        return len(chunk) if chunk and self._bytes(kind)[start : start + len(chunk)] == chunk else None

    # ── bodies in chunks ───────────────────────────────────────────────────────────────────────────

    def _bytes(self, kind: str) -> bytes:
        if kind not in self._bodies:
            whole = self._request_body() if CHUNK_SIDES[kind] == "request" else self._response_body()
            self._bodies[kind] = bodies.inline_bytes(whole)
        return self._bodies[kind]

    def _chunk(self, kind: str, take: int) -> Record:
        start = self._offsets[kind]
        return encode_body(self._bytes(kind)[start : start + take])

    def _request_body(self) -> Record:
        return bodies.predicted_request_body(self._request)

    def _response_body(self) -> Record:
        return bodies.predicted_body(self._response.get("content"))

    # ── types ──────────────────────────────────────────────────────────────────────────────────────

    def _repeated(self, *keys: str) -> Record:
        return {key: self._previous[key] for key in keys if key in self._previous}

    def _cached_copy(self, name: str, make: Callable[[], Record]) -> Record:
        if name not in self._cache:
            self._cache[name] = make()
        return dict(self._cache[name])

    def _url(self) -> Mapping[str, Any]:
        return fields.parts_of(text(self._request.get("url")))

    def _rule(self) -> Record:
        places = (("matchedRuleId", "_matchedRuleId"), ("continuedRuleIds", "_continuedRuleIds"))
        return {key: self._entry[name] for key, name in places if name in self._entry}

    def _timing_and_tags(self) -> Record:
        tags = self._entry.get("_tags", [])
        return {"timingEvents": {}, "tags": tags, **self._repeated("timingEvents", "tags")}

    def _head(self, kind: str) -> Record:
        predicted = self._cached_copy("head", self._make_head)
        predicted |= self._timing_and_tags() | self._repeated("destination", "tlsMetadata")
        return predicted if kind == "request-initiated" else predicted | self._rule()

    def _make_head(self) -> Record:
        request, entry, url = self._request, self._entry, self._url()
        raw = fields.all_headers(request)
        predicted = {
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
                predicted[key] = entry[name]
        return predicted

    def _request_record(self, kind: str) -> Record:
        return {**self._head(kind), "body": self._request_body(), **_trailers(self._request)}

    def _abort(self, kind: str) -> Record:
        predicted = {**self._head(kind), **self._end("host", "duration")}
        if "_error" in self._entry:
            predicted["error"] = self._entry["_error"]
        if not (self._counts.get("request") or self._counts.get("websocket-request")) and self._request.get("bodySize"):
            predicted["requestBody"] = {**self._request_body(), "incomplete": True}
        if self._response.get("status"):
            head = self._response_head(kind)
            body = {"body": {**self._response_body(), "incomplete": True}}
            predicted["response"] = {key: head[key] for key in _PARTIAL if key in head} | body
        return predicted

    def _response_head(self, _: str) -> Record:
        return self._cached_copy("response", lambda: _response_head(self._response)) | self._timing_and_tags()

    def _end(self, *keys: str) -> Record:
        request, host = self._request, self._url().get("host", "")
        ending = {"method": request.get("method"), "url": request.get("url"), "host": host}
        ending |= self._rule() | {"duration": self._entry.get("time")}
        return {key: ending[key] for key in keys} if keys else ending

    def _response_record(self, kind: str) -> Record:
        body = self._response_body()
        return {**self._response_head(kind), **self._end(), "body": body, **_trailers(self._response)}

    def _accepted(self, kind: str) -> Record:
        return {**self._response_head(kind), "body": dict(bodies.EMPTY), **_trailers(self._response)}

    def _information(self, kind: str) -> Record:
        information = self._next_of("_informational", kind)
        return {**_response_head(information), **self._timing_and_tags(), "eventTimestamp": information.get("time")}

    def _message(self, kind: str) -> Record:
        message = self._next_of("_webSocketMessages", "message")
        binary = message.get("opcode") == 2
        return {
            "streamId": self._ids["id"],
            "direction": "received" if kind == "websocket-message-received" else "sent",
            "content": bodies.predicted_message(text(message.get("data")), binary),
            "isBinary": binary,
            **self._timing_and_tags(),
        }

    def _close(self, _: str) -> Record:
        close = mapping(self._entry.get("_webSocketClose"))
        code_and_reason = {"closeCode": close.get("code"), "closeReason": close.get("reason")}
        given = {key: value for key, value in code_and_reason.items() if value is not None}
        return {"streamId": self._ids["id"], **given, "initiator": "client", **self._timing_and_tags(), **self._end()}

    def _rule_event(self, kind: str) -> Record:
        return {"requestId": self._ids["id"], **self._next_of("_ruleEvents", kind)}

    def _next_of(self, name: str, kind: str) -> Mapping[str, Any]:
        """Return the element of the entry's list `name` that belongs to the next record of type `kind`."""
        listed, index = items(self._entry.get(name)), self._counts.get(kind, 0)
        return mapping(listed[index]) if index < len(listed) else {}


_PARTIAL = ("statusCode", "statusMessage", "rawHeaders", "headers")


def _response_head(response: Mapping[str, Any]) -> Record:
    raw = fields.all_headers(response)
    head = {"statusCode": response.get("status"), "statusMessage": response.get("statusText")}
    return {**head, "headers": fields.named_headers(raw), "rawHeaders": raw}


def _trailers(message: Mapping[str, Any]) -> Record:
    if "_trailers" not in message:
        return {}
    raw = fields.raw_headers(message["_trailers"])
    return {"trailers": fields.named_headers(raw), "rawTrailers": raw}


_PREDICTIONS: dict[str, Callable[[Predictor, str], Record]] = {
    "request-initiated": Predictor._head,
    "request": Predictor._request_record,
    "websocket-request": Predictor._request_record,
    "abort": Predictor._abort,
    "response-initiated": Predictor._response_head,
    "response": Predictor._response_record,
    "websocket-accepted": Predictor._accepted,
    "response-information": Predictor._information,
    "websocket-message-received": Predictor._message,
    "websocket-message-sent": Predictor._message,
    "websocket-close": Predictor._close,
    "rule-event": Predictor._rule_event,
}
