"""An exchange, a tunnel or a fault, assembled from its records: what the table shows of it, and all else as JSON.

Values may have any type, because a session can be edited by hand: what is no text, number or list where one is expected
is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mockrec.formats.report.bodies import Bodies
from mockrec.formats.report.extras import endpoint_of, operations_of, scope_of
from mockrec.formats.schema.lenient import number_of, object_of, status_of, text_of
from mockrec.formats.schema.lifecycle import CLOSED_TYPES, LIFECYCLE, MESSAGE_TYPES, Unit
from mockrec.formats.schema.upstream_failures import failure_code, failure_kind

Record = Mapping[str, Any]

MOST_TICKS = 500
"""Messages and chunks of one exchange that the waterfall marks."""
MOST_MESSAGES = 2_000
"""Messages of one WebSocket that the page shows; more are counted."""
_MOST_EVENTS = 500
_LONGEST_DATA = 50_000
"""Characters of the data of one rule-event."""
_STEPS = ("dns", "connect", "tls")
"""The way to a server."""
_CHUNKS = ("request-body-data", "response-body-data")


class ReportExchange:
    """Takes the records of one exchange with `add`, in their order."""

    __slots__ = (
        "_bodies",
        "_folder",
        "body_numbers",
        "connection",
        "continued",
        "destination",
        "detail",
        "duration",
        "ended",
        "endpoint",
        "errors",
        "first",
        "id",
        "ip",
        "kind",
        "last",
        "messages",
        "method",
        "operations",
        "protocol",
        "request_size",
        "response_size",
        "rules",
        "scope",
        "source",
        "status",
        "tags",
        "ticks",
        "types",
        "url",
        "version",
    )

    def __init__(self, identity: str, bodies: Bodies, folder: Path | None, source: int = 0) -> None:
        self._bodies, self._folder = bodies, folder
        self.source = source
        """The number of its session."""
        self.id = identity
        self.kind = "exchange"
        """`exchange`, `websocket`, `tunnel` or `fault`."""
        self.connection = self.method = self.url = self.destination = self.endpoint = self.scope = ""
        self.protocol = self.version = self.ip = ""
        self.status = 0
        self.duration: float | None = None
        self.request_size: int | None = None
        self.response_size: int | None = None
        self.rules: dict[str, None] = {}
        self.continued: dict[str, None] = {}
        self.tags: dict[str, None] = {}
        self.types: dict[str, None] = {}
        self.operations: dict[str, None] = {}
        self.errors: dict[str, None] = {}
        """Code, name, message: what the field `error` compares."""
        self.first = self.last = 0
        """Timestamps of the first and the last record, in microseconds since the Unix epoch."""
        self.ended = ""
        """The type of the record that ended it; empty without one."""
        self.messages = 0
        self.ticks: list[float] = []
        """Milliseconds from the start, below zero (-1 - t) for what the client sent."""
        self.body_numbers: list[int] = []
        self.detail: dict[str, Any] = {}

    @property
    def failed(self) -> bool:
        """Whether it broke off, has no end, or was answered 5xx."""
        return self.kind == "fault" or self.status >= 500 or self.ended in ("", "abort") or bool(self.errors)

    def add(self, record: Record) -> None:
        """Take the next record."""
        kind = text_of(record.get("type"))
        self.types[kind] = None
        self._note_common(record)
        if not self.operations:
            self.operations.update(dict.fromkeys(operations_of(record, self._folder)))
        row = LIFECYCLE.get(kind)
        if row is not None and (row.ends or row.unit is Unit.CONNECTION):
            self.ended = kind
        if kind == "rule-event":
            self._rule_event(record)
        elif kind in MESSAGE_TYPES:
            self._message(record)
        elif kind in _CHUNKS:
            self._chunk(record, kind)
        elif kind == "client-error":
            self._client_error(record)
        elif kind == "abort":
            self._abort(record)
        elif kind == "websocket-close":
            self._close(record)
        elif row is not None and row.is_tunnel:
            self._tunnel(record, kind)
        elif kind == "tls-client-error":
            self.kind = "fault"
            self._place(record)
            self._error(text_of(record.get("failureCause")))
        elif kind == "response-information":
            self.detail.setdefault("interim", []).append(self._head(record))
        elif row is not None and row.has_request:
            self._request(record)
            if row.websocket:
                self.kind = "websocket"
        elif row is not None and row.responds:
            self._response(record)

    # ── what every record may have ──────────────────────────────────────────────────────────────────

    def _note_common(self, record: Record) -> None:
        moment = micros(record.get("timestamp"))
        if moment:
            self.first = self.first or moment
            self.last = max(self.last, moment)
        self.connection = self.connection or text_of(record.get("connectionId"))
        self.scope = self.scope or scope_of(record)
        self.endpoint = self.endpoint or endpoint_of(record)
        for key, values in (("matchedRuleId", self.rules), ("ruleId", self.rules)):
            if name := text_of(record.get(key)):
                values[name] = None
        for key, values in (("continuedRuleIds", self.continued), ("tags", self.tags)):
            found = record.get(key)
            if isinstance(found, list):
                values.update(dict.fromkeys(map(text_of, found)))
        if (duration := number_of(record.get("duration"))) is not None:
            self.duration = duration
        timing = record.get("timingEvents")
        if isinstance(timing, Mapping):
            self.detail["timing"] = timing

    def _place(self, record: Record) -> None:
        destination = object_of(record.get("destination"))
        if destination:
            self.destination = f"{text_of(destination.get('hostname')).lower()}:{text_of(destination.get('port'))}"
        self.ip = self.ip or text_of(record.get("remoteIpAddress"))
        if self.ip:
            self.detail["client"] = f"{self.ip}:{text_of(record.get('remotePort'))}"
        if tls := object_of(record.get("tlsMetadata")):
            self.detail["tls"] = tls

    # ── heads ───────────────────────────────────────────────────────────────────────────────────────

    def _request(self, record: Record, body_key: str = "body") -> None:
        self.method = text_of(record.get("method")) or self.method
        self.url = text_of(record.get("url")) or self.url
        self.protocol = text_of(record.get("protocol")) or self.protocol
        self.version = text_of(record.get("httpVersion")) or self.version
        self._place(record)
        head = self.detail.setdefault("request", {})
        head.update(self._fields(record))
        if body := self._body(record.get(body_key)):
            head["body"] = body
            self.request_size = body["size"]

    def _response(self, record: Record) -> None:
        head = self._head(record)
        if not head:
            return
        self.status = head.get("status") or self.status
        if body := self._body(record.get("body")):
            head["body"] = body
            self.response_size = body["size"]
        self.detail["response"] = self.detail.get("response", {}) | head

    def _head(self, record: Record) -> dict[str, Any]:
        status = status_of(record)
        if status is None:
            return {}
        return {"status": status, "reason": text_of(record.get("statusMessage")), **self._fields(record)}

    def _fields(self, record: Record) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, raw, plain in (("fields", "rawHeaders", "headers"), ("trailers", "rawTrailers", "trailers")):
            pairs = pairs_of(record.get(raw)) or pairs_of(record.get(plain))
            if pairs:
                found[name] = pairs
        return found

    def _body(self, record: Any) -> dict[str, Any] | None:
        known = self._bodies.add(record, self._folder)
        if known is not None and "n" in known:
            self.body_numbers.append(known["n"])
        return known

    # ── ends ────────────────────────────────────────────────────────────────────────────────────────

    def _abort(self, record: Record) -> None:
        self._request(record, "requestBody")
        self._response(object_of(record.get("response")))
        error = object_of(record.get("error"))
        if error:
            self.detail["error"] = error
        self._error(*(text_of(error.get(key)) for key in ("code", "name", "message")))

    def _client_error(self, record: Record) -> None:
        self.kind = "fault"
        request = object_of(record.get("request"))
        self._note_common({**request, "timestamp": None})
        self._request(request)
        if raw := self._body(request.get("rawHead")):
            self.detail["request"]["rawHead"] = raw
        self._response(object_of(record.get("response")))
        code, message = text_of(record.get("errorCode")), text_of(record.get("errorMessage"))
        self.detail["error"] = {"code": code, "message": message}
        self._error(code, message)

    def _close(self, record: Record) -> None:
        keys = ("closeCode", "closeReason", "initiator", "serverCloseCode", "serverCloseReason")
        self.detail["close"] = {key: record[key] for key in keys if record.get(key) not in (None, "")}

    def _tunnel(self, record: Record, kind: str) -> None:
        self.kind = "tunnel"
        self._place(record)
        if kind == "raw-passthrough-data":
            self._message(record)
        if kind in CLOSED_TYPES:
            sizes = [number_of(record.get(key)) for key in ("bytesReceived", "bytesSent")]
            self.request_size, self.response_size = (None if size is None else int(size) for size in sizes)
            timing = object_of(record.get("timingEvents"))
            start, end = number_of(timing.get("connectTimestamp")), number_of(timing.get("disconnectTimestamp"))
            if start is not None and end is not None:
                self.duration = end - start

    def _error(self, *texts: str) -> None:
        self.errors.update(dict.fromkeys(text for text in texts if text))
        if self.ended and not self.errors:
            self.errors["aborted"] = None

    # ── messages and events ─────────────────────────────────────────────────────────────────────────

    def _message(self, record: Record) -> None:
        received = record.get("direction") == "received"
        self.messages += self.kind == "websocket"
        moment = self._tick(record, received)
        messages = self.detail.setdefault("messages", [])
        if len(messages) < MOST_MESSAGES:
            messages.append(
                [moment, int(received), int(record.get("isBinary") is True), self._body(record.get("content"))]
            )
        else:
            self.detail["moreMessages"] = self.detail.get("moreMessages", 0) + 1

    def _chunk(self, record: Record, kind: str) -> None:
        self._tick(record, kind == "request-body-data")

    def _tick(self, record: Record, received: bool) -> float | None:
        """Mark the moment of a record in the waterfall, and return it in milliseconds from the start."""
        start = number_of(object_of(self.detail.get("timing")).get("startTimestamp"))
        moment = number_of(record.get("eventTimestamp"))
        if start is None or moment is None:
            return None
        found = round(max(0.0, moment - start), 2)
        if len(self.ticks) < MOST_TICKS:
            self.ticks.append(-1 - found if received else found)
        return found

    def _rule_event(self, record: Record) -> None:
        data = object_of(record.get("eventData"))
        kind = text_of(record.get("eventType"))
        events = self.detail.setdefault("events", [])
        if len(events) >= _MOST_EVENTS:
            self.detail["moreEvents"] = self.detail.get("moreEvents", 0) + 1
            return
        shown = {key: self._body(value) if key == "rawBody" else value for key, value in data.items()}
        if len(str(shown)) > _LONGEST_DATA:
            shown = {"leftOut": f"{len(str(shown))} characters; `mockrec show` prints them"}
        moment = micros(record.get("timestamp"))
        events.append([round((moment - self.first) / 1000, 2), kind, text_of(record.get("ruleId")), shown])
        timings = object_of(data.get("timings"))
        if kind == "passthrough-response-head" and timings:
            self.detail["upstream"] = timings

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────

    def finish(self) -> None:
        """Compute the phases, after the last record: request body, dns, connect, tls, first byte, response."""
        timing, upstream = object_of(self.detail.pop("timing", None)), object_of(self.detail.get("upstream"))
        start = number_of(timing.get("startTimestamp"))
        if self.kind == "exchange" and not self._is_event_stream():
            self.ticks = []  # chunks that are no events
        if start is None:
            return
        head = number_of(timing.get("headersSentTimestamp")) or number_of(timing.get("wsAcceptedTimestamp"))
        received = number_of(timing.get("bodyReceivedTimestamp"))
        total = self.duration if self.duration is not None else max(0.0, (self.last - self.first) / 1000)
        steps = [number_of(upstream.get(key)) or 0.0 for key in _STEPS]
        until_head = total if head is None else max(0.0, head - start)
        request = min(max(0.0, received - start), until_head) if received is not None else 0.0
        wait = max(0.0, until_head - request - sum(steps))
        if (failed := failure_kind(failure_code(self.tags))) in _STEPS and not any(steps):
            steps[_STEPS.index(failed)], wait = wait, 0.0  # all the time went into the step that failed
        phases = [request, *steps, wait, max(0.0, total - until_head)]
        self.detail["phases"] = [round(phase, 2) for phase in phases]

    def _is_event_stream(self) -> bool:
        fields = object_of(self.detail.get("response")).get("fields") or ()
        return any(name.lower() == "content-type" and "event-stream" in value for name, value in fields)


def pairs_of(value: Any) -> list[list[str]]:
    """Return header fields as pairs of texts: of a list of pairs, or of an object."""
    if isinstance(value, Mapping):
        return [
            [text_of(name), text_of(each)]
            for name, one in value.items()
            for each in (one if isinstance(one, list) else (one,))
        ]
    if not isinstance(value, list):
        return []
    return [[text_of(pair[0]), text_of(pair[1])] for pair in value if isinstance(pair, list) and len(pair) == 2]


def micros(timestamp: Any) -> int:
    """Return a timestamp of the log in microseconds since the Unix epoch; 0 for anything else."""
    if type(timestamp) is not str:
        return 0
    try:
        moment = datetime.fromisoformat(timestamp)
        return int(moment.timestamp()) * 1_000_000 + moment.microsecond if moment.tzinfo is not None else 0
    except (ValueError, OverflowError):
        return 0
