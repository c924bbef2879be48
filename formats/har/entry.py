"""The records of an exchange → the standard fields of its entry, and the custom ones that viewers know.

What is written here and why: `docs/har.md`. Nothing here decides whether something is lost: that is `delta.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mockrec.formats.har import bodies, fields, kinds
from mockrec.formats.har.fields import header_list, items, mapping, number, text, whole
from mockrec.formats.operations.readers import operation_of_record

Record = dict[str, Any]

REQUEST_HEADS = ("request", "websocket-request", "request-initiated", "abort")
"""Records with the head of a request, the best source first."""
RESPONSE_HEADS = ("websocket-accepted", "response", "response-initiated")
"""Records with the head of the final response, the best source first."""
ENDS = ("response", "websocket-close", "abort")
VERSIONS = {"1.0": "HTTP/1.0", "1.1": "HTTP/1.1", "2.0": "http/2.0"}
"""The spelling of HTTP/2 is the only one that Chrome, mitmproxy and HTTP Toolkit all take for it."""


class _ExchangeRecords:
    """The records of one exchange, by type and in order."""

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.records = records
        self.of: dict[str, list[Mapping[str, Any]]] = {}
        for record in records:
            self.of.setdefault(record["type"], []).append(record)
        self.first = records[0]
        self.request = self._best(REQUEST_HEADS) or self._best(ENDS) or self.first
        self.abort = self._best(("abort",))
        self.response = self._best(RESPONSE_HEADS) or mapping((self.abort or {}).get("response"))
        self.end = self._best(ENDS)
        last = self.end or self.of.get(records[-1]["type"], [self.first])[-1]
        self.timing = mapping(last.get("timingEvents")) or mapping(self.request.get("timingEvents"))

    def _best(self, kinds: Sequence[str]) -> Mapping[str, Any] | None:
        return next((self.of[kind][-1] for kind in kinds if kind in self.of), None)

    def all(self, *kinds: str) -> list[Mapping[str, Any]]:
        """Return the records of these types, in their order."""
        return [record for record in self.records if record["type"] in kinds]

    @property
    def websocket(self) -> bool:
        return "websocket-request" in self.of or "websocket-accepted" in self.of


def make_entry(records: Sequence[Mapping[str, Any]], folder: str) -> Record:
    """Return the entry of an exchange of at least one record; `folder` has the bodies in files of their own."""
    exchange = _ExchangeRecords(records)
    request = _request(exchange, folder)
    timings, time = _times(exchange)
    entry: Record = {
        "startedDateTime": fields.started(exchange.timing, exchange.first.get("timestamp")),
        "time": time,
        "request": request,
        "response": _response(exchange, request["httpVersion"], folder),
        "cache": {},
        "timings": timings,
    }
    _add_places(entry, exchange)
    kinds.add_purpose(entry, exchange.request.get("headers"), websocket=exchange.websocket)
    _add_custom(entry, exchange)
    return entry


# ── request and response ───────────────────────────────────────────────────────────────────────────


def _request(exchange: _ExchangeRecords, folder: str) -> Record:
    head = exchange.request
    url = fields.har_url(head.get("url"))
    headers, apart = fields.shown_headers(header_list(head.get("rawHeaders"), head.get("headers")))
    body = mapping(head.get("body")) or mapping((exchange.abort or {}).get("requestBody"))
    request: Record = {
        "method": text(head.get("method")) or "GET",
        "url": url,
        "httpVersion": VERSIONS.get(text(head.get("httpVersion")), "HTTP/1.1"),
        "cookies": fields.request_cookies(headers),
        "headers": headers,
        "queryString": fields.parameters(fields.query_of(url)),
        "headersSize": -1,
        "bodySize": bodies.wire_size(body) if body else 0,
    }
    if body and body != bodies.EMPTY:
        request.update(bodies.post_data(body, fields.find_header(headers, "content-type"), folder))
    request |= apart
    if "rawTrailers" in head:
        request["_trailers"] = header_list(head["rawTrailers"])
    return request


def _response(exchange: _ExchangeRecords, version: str, folder: str) -> Record:
    head = exchange.response
    headers, apart = fields.shown_headers(header_list(head.get("rawHeaders"), head.get("headers")))
    body = mapping(head.get("body"))
    size = bodies.wire_size(body) if body else (0 if head else -1)
    response: Record = {
        "status": whole(head.get("statusCode"), 0),
        "statusText": text(head.get("statusMessage")),
        "httpVersion": version,
        "cookies": fields.response_cookies(headers),
        "headers": headers,
        "content": bodies.content(body, fields.find_header(headers, "content-type"), folder),
        "redirectURL": fields.find_header(headers, "location"),
        "headersSize": -1,
        "bodySize": size,
        "_transferSize": max(size, 0),
    }
    response |= apart
    if "rawTrailers" in head:
        response["_trailers"] = header_list(head["rawTrailers"])
    if exchange.abort is not None:
        error = mapping(exchange.abort.get("error"))
        response["_error"] = text(error.get("code")) or text(error.get("message")) or "aborted"
    if not response["status"]:
        # Playwright plays a status of 0 as an empty 200; a file that does not exist makes it fail the request.
        response["content"]["_file"] = f"{folder}/{_NO_FILE}"
    return response


_NO_FILE = "no-answer"


# ── times and places ───────────────────────────────────────────────────────────────────────────────


def _times(exchange: _ExchangeRecords) -> tuple[Record, float]:
    """Return `timings` and `time`. DNS, connect and TLS are the client's in a HAR, so they are unknown here."""
    timing = exchange.timing
    duration = number((exchange.end or {}).get("duration"))
    if duration is None or duration < 0:
        duration = fields.span(timing, "startTimestamp", *_ENDED)
    # Phases follow one another, and their sum is `time`: readers check it. But a response may begin before its request
    # has ended, and a request may never end.
    send = min(fields.span(timing, "startTimestamp", "bodyReceivedTimestamp", *_RESPONDED, *_ENDED), duration)
    responded = max(fields.span(timing, "startTimestamp", *_RESPONDED, *_ENDED), send)
    wait = round(min(responded, duration) - send, 4)
    timings = {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": send, "wait": wait}
    timings["receive"] = max(round(duration - send - wait, 4), 0)
    return timings, duration


_RESPONDED = ("headersSentTimestamp", "wsAcceptedTimestamp")
_ENDED = ("responseSentTimestamp", "wsClosedTimestamp", "abortedTimestamp")


def _add_places(entry: Record, exchange: _ExchangeRecords) -> None:
    head = exchange.request
    for event in exchange.all("rule-event"):
        data = mapping(event.get("eventData"))
        if event.get("eventType") == "passthrough-response-head":
            if fields.is_address(data.get("remoteIpAddress")):
                entry["serverIPAddress"] = data["remoteIpAddress"]
            if isinstance(data.get("timings"), dict):
                entry["_upstreamTimings"] = data["timings"]
    destination = mapping(head.get("destination")) or fields.parts_of(entry["request"]["url"]).get("destination", {})
    # Chrome and Firefox show this field as the port; the connection's id is in `_connectionId`.
    entry["connection"] = str(whole(destination.get("port"), 0))
    for key, name in _PLACES.items():
        if key in head:
            entry[name] = head[key]


_PLACES = {"connectionId": "_connectionId", "remoteIpAddress": "_clientIPAddress", "remotePort": "_clientPort"}


# ── custom fields ──────────────────────────────────────────────────────────────────────────────────


_CUSTOM = (
    ("scope", "_scope"),
    ("matchedRuleId", "_matchedRuleId"),
    ("continuedRuleIds", "_continuedRuleIds"),
    ("tags", "_tags"),
)


def _add_custom(entry: Record, exchange: _ExchangeRecords) -> None:
    last = exchange.end or exchange.request
    for key, name in _CUSTOM:
        source = last if key in last else exchange.request
        if source.get(key):
            entry[name] = source[key]
    operation = operation_of_record(exchange.request, None)
    if operation is not None and operation.names:
        entry["_operation"] = {"protocol": operation.protocol, "name": operation.name}
    if exchange.abort is not None and isinstance(exchange.abort.get("error"), dict):
        entry["_error"] = exchange.abort["error"]
    _add_list(entry, "_informational", [_information(record) for record in exchange.all("response-information")])
    _add_list(entry, "_ruleEvents", [_rule_event(record) for record in exchange.all("rule-event")])
    if exchange.websocket:
        messages = exchange.all("websocket-message-received", "websocket-message-sent")
        entry["_webSocketMessages"] = [_message(record, exchange.timing) for record in messages]
    for close in exchange.of.get("websocket-close", ()):
        entry["_webSocketClose"] = {
            "code": close.get("closeCode"),
            "reason": close.get("closeReason"),
            "timestamp": _seconds(close, exchange.timing, number(exchange.timing.get("wsClosedTimestamp"))),
        }


def _add_list(entry: Record, name: str, found: list[Record]) -> None:
    if found:
        entry[name] = found


def _information(record: Mapping[str, Any]) -> Record:
    return {
        "status": record.get("statusCode"),
        "statusText": record.get("statusMessage"),
        "headers": header_list(record.get("rawHeaders"), record.get("headers")),
        "time": record.get("eventTimestamp"),
    }


def _rule_event(record: Mapping[str, Any]) -> Record:
    return {key: record.get(key) for key in ("ruleId", "eventType", "eventData")}


def _message(record: Mapping[str, Any], timing: Mapping[str, Any]) -> Record:
    """Return a message as Chrome writes it. `send` is a message of the client: received by mockrec."""
    binary = record.get("isBinary") is True
    return {
        "type": "send" if record["type"] == "websocket-message-received" else "receive",
        "time": _seconds(record, timing, number(record.get("eventTimestamp"))),
        "opcode": 2 if binary else 1,
        "data": bodies.message_data(mapping(record.get("content")), binary),
    }


def _seconds(record: Mapping[str, Any], timing: Mapping[str, Any], moment: float | None) -> float:
    """Return a monotonic moment as seconds since the epoch."""
    start, base = number(timing.get("startTime")), number(timing.get("startTimestamp"))
    if moment is None or start is None or base is None:
        return 0
    seconds = (start + moment - base) / 1000
    return round(seconds, 6) if abs(seconds) < 2**53 else 0


def tls_error(record: Mapping[str, Any]) -> Record:
    """Return a `tls-client-error` in HTTP Toolkit's form."""
    timing, tls = mapping(record.get("timingEvents")), mapping(record.get("tlsMetadata"))
    made: Record = {
        "startedDateTime": fields.started(timing, record.get("timestamp")),
        "time": fields.span(timing, "connectTimestamp", "failureTimestamp"),
        "hostname": text(tls.get("sniHostname")) or text(mapping(record.get("destination")).get("hostname")),
        "cause": text(record.get("failureCause"), "unknown"),
        "tags": items(record.get("tags")),
        "clientIPAddress": record.get("remoteIpAddress"),
        "clientPort": record.get("remotePort"),
    }
    return {key: value for key, value in made.items() if value is not None}
