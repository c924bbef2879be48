"""Convert one entry of another tool to records, as if mockrec had recorded the exchange.

Ids are derived from the entry, so the same file always gives the same ids. Facts that a HAR lacks (the client's
address, its connection) are left out or, if a record requires them, made up: an entry without a connection gets one of
its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mockrec.formats.har import fields
from mockrec.formats.har.attached import Attached, Nowhere
from mockrec.formats.har.fields import items, mapping, number, text, whole
from mockrec.formats.har.imported_bodies import BodyReader, message_bytes
from mockrec.formats.har.imported_cookies import location_field, request_field, response_fields
from mockrec.formats.har.imported_fields import FieldReader
from mockrec.formats.har.imported_repairs import EntryRepairs
from mockrec.formats.har.imported_values import method_of, moment_of, number_of, status_of, url_of, version_of
from mockrec.formats.har.pages import PAGE_TAG
from mockrec.formats.schema.body import encode_body

Record = dict[str, Any]

_BEFORE_WAIT = ("blocked", "dns", "connect", "send")
_LONGEST_PAGE_ID = 100
"""Characters of a page's id, which every record of the exchange repeats in a tag."""
_LATEST_SECONDS = 100_000_000_000
_SCHEMES = ("http", "https", "ws", "wss")


class ImportedEntry:
    """Reads one entry; `records` returns its records."""

    def __init__(
        self,
        index: int,
        entry: Mapping[str, Any],
        repairs: EntryRepairs | None = None,
        attached: Attached | None = None,
        previous_start: float = 0.0,
    ) -> None:
        """`previous_start`: start of the entry before this one. Raises `ValueError` if it cannot become an exchange."""
        self._entry = entry
        self.repairs = repairs or EntryRepairs(f"entries[{index}]")
        request = _required(entry, "request", "")
        response = mapping(entry.get("response"))
        self._method = method_of(request, self.repairs)
        request_reader = FieldReader(self.repairs, "request", self._method)
        self._request_raw = request_reader.read(request.get("headers"), "request.headers")
        self._url, self._target = url_of(request, self.repairs, self._request_raw)
        self._where = fields.parts_of(self._url)
        if self._where.get("protocol") not in _SCHEMES or not self._where["destination"]["hostname"]:
            raise ValueError(f"request.url is no HTTP URL: {text(request.get('url'))[:60]!r}")
        self._start = previous_start
        if entry.get("startedDateTime") is None:
            self.repairs.add("no-date", "startedDateTime")
        else:
            self._start = moment_of(entry["startedDateTime"], self.repairs)
        self._id = made_up_id(self._start, f"{index} {self._method} {self._url}")
        connection = entry.get("_connectionId")
        named = f"connection {connection}" if isinstance(connection, (str, int)) else f"connection of {self._id}"
        self._connection = made_up_id(0.0 if connection else self._start, named)
        self._read_timings()
        self._read_messages(request, response, BodyReader(self.repairs, attached or Nowhere(), self._id))
        self._request, self._response = request, response

    def _read_timings(self) -> None:
        timings = mapping(self._entry.get("timings"))
        spans = {name: max(number_of(timings.get(name)) or 0, 0) for name in (*_BEFORE_WAIT, "wait", "receive")}
        self._sent = self._start + sum(spans[name] for name in _BEFORE_WAIT)
        self._responded = self._sent + spans["wait"]
        time = number_of(self._entry.get("time"))
        end = self._start + time if time is not None and time >= 0 else self._responded + spans["receive"]
        self._end = max(end, self._responded)

    def _read_messages(self, request: Mapping[str, Any], response: Mapping[str, Any], bodies: BodyReader) -> None:
        """Read everything that may need a repair, before the first record is made: the tags of records name repairs."""
        repairs = self.repairs
        raw = self._request_raw
        raw = [*raw, *request_field(request.get("cookies"), raw, repairs)]
        self._request_body, self._request_raw = bodies.request_body(request, raw)
        self._status, self._reason = status_of(response, repairs)
        self._version = version_of(request.get("httpVersion"), repairs)
        response_reader = FieldReader(repairs, "response")
        raw = response_reader.read(response.get("headers"), "response.headers", response.get("cookies"))
        raw = [*raw, *response_fields(response.get("cookies"), raw, repairs)]
        raw += location_field(response.get("redirectURL"), self._status, raw, repairs)
        self._response_body, self._response_raw = bodies.response_body(response, raw, self._method, self._status)
        self._trailers = {
            side: FieldReader(repairs, "trailers").read(message.get("_trailers"), f"{side}._trailers")
            for side, message in (("request", request), ("response", response))
        }
        self._messages = [
            (message, message_bytes(text(message.get("data")), binary=message.get("opcode") == 2, repairs=repairs))
            for message in self._listed_messages()
        ]
        own = [tag for tag in items(self._entry.get("_tags")) if isinstance(tag, str)]
        page = text(self._entry.get("pageref"))
        named = [*repairs.tags, *([f"{PAGE_TAG}{page}"] if page and len(page) <= _LONGEST_PAGE_ID else [])]
        self._tags = [*own, *(tag for tag in named if tag not in own)]

    def _listed_messages(self) -> list[Mapping[str, Any]]:
        listed = items(self._entry.get("_webSocketMessages"))
        for index, message in enumerate(listed):
            if not isinstance(message, dict):
                self.repairs.add_lost("message", f"_webSocketMessages[{index}]", f"{message!r:.60}")
        return [message for message in listed if isinstance(message, dict)]

    @property
    def start(self) -> float:
        """Start of the exchange in milliseconds since the epoch."""
        return self._start

    def records(self) -> list[tuple[float, Record]]:
        """Return the exchange's records, each with its time in milliseconds since the epoch."""
        websocket = self._entry.get("_resourceType") == "websocket" or "_webSocketMessages" in self._entry
        websocket = websocket or self._where["protocol"] in ("ws", "wss")
        if websocket and self._status in (101, 200):
            return self._websocket()
        made = [(self._start, self._head("request-initiated", self._timing()))]
        made.append((self._sent, self._request_record("request")))
        if self._status > 0:
            timing = self._timing(headersSentTimestamp=self._responded, responseSentTimestamp=self._end)
            response = self._response_record("response", timing) | self._ending(self._end)
            response |= {"body": self._response_body, **self._trailers_of("response")}
            made.append((self._end, response))
        else:
            made.append((self._end, self._abort()))
        return made

    # ── records ────────────────────────────────────────────────────────────────────────────────────

    def _envelope(self, kind: str) -> Record:
        scope = self._entry.get("_scope")
        named = {"scope": scope} if isinstance(scope, str) else {}
        return {"type": kind, "timestamp": "", "id": self._id, "connectionId": self._connection, **named}

    def _timing(self, **milestones: float) -> Record:
        timing = {"startTime": self._start, "startTimestamp": self._start}
        if milestones:
            timing["bodyReceivedTimestamp"] = self._sent
        return timing | milestones

    def _head(self, kind: str, timing: Record) -> Record:
        raw = self._request_raw
        table = fields.named_headers(raw)
        return {
            **self._envelope(kind),
            "protocol": self._where["protocol"],
            "httpVersion": self._version,
            "method": self._method,
            "url": self._url,
            "path": self._target,
            "destination": self._where["destination"],
            **({"headers": table} if table else {}),
            "rawHeaders": raw,
            **client_of(self._entry),
            "timingEvents": timing,
            "tags": self._tags,
            **self._rule(),
        }

    def _rule(self) -> Record:
        rule = self._entry.get("_matchedRuleId")
        continued = [one for one in items(self._entry.get("_continuedRuleIds")) if isinstance(one, str)]
        return {
            **({"matchedRuleId": rule} if isinstance(rule, str) else {}),
            **({"continuedRuleIds": continued} if continued else {}),
        }

    def _request_record(self, kind: str) -> Record:
        head = self._head(kind, self._timing(bodyReceivedTimestamp=self._sent))
        return {**head, "body": self._request_body, **self._trailers_of("request")}

    def _response_record(self, kind: str, timing: Record) -> Record:
        raw = self._response_raw
        table = fields.named_headers(raw)
        return {
            **self._envelope(kind),
            "statusCode": self._status,
            "statusMessage": self._reason,
            **({"headers": table} if table else {}),
            "rawHeaders": raw,
            "timingEvents": timing,
            "tags": self._tags,
        }

    def _ending(self, end: float) -> Record:
        duration = round(end - self._start, 4)
        ending = {"method": self._method, "url": self._url, "host": self._where["host"]}
        return {**ending, **self._rule(), "duration": duration}

    def _trailers_of(self, side: str) -> Record:
        raw = self._trailers[side]
        return {"trailers": fields.named_headers(raw), "rawTrailers": raw} if raw else {}

    def _abort(self) -> Record:
        given = self._response.get("_error") or self._response.get("_failureText") or self._entry.get("_error")
        message = text(given) or text(mapping(given).get("message")) or "the HAR has no answer"
        code = text(mapping(given).get("code"))
        error = {**({"code": code} if code else {}), "message": message}
        record = self._head("abort", self._timing(abortedTimestamp=self._end))
        ending = self._ending(self._end)
        return record | {"host": ending["host"], "duration": ending["duration"], "error": error}

    # ── WebSockets ─────────────────────────────────────────────────────────────────────────────────

    def _websocket(self) -> list[tuple[float, Record]]:
        accepted = self._timing(wsAcceptedTimestamp=self._responded)
        made = [(self._start, self._request_record("websocket-request"))]
        made.append((self._responded, self._response_record("websocket-accepted", accepted)))
        latest = self._responded
        for message, data in self._messages:
            latest = max(latest, _milliseconds(message.get("time")))
            made.append((latest, self._message(message, data, latest, accepted)))
        closed = mapping(self._entry.get("_webSocketClose"))
        end = max(self._end, latest, _milliseconds(closed.get("timestamp")))
        close = {**self._envelope("websocket-close"), "streamId": self._id}
        if whole(closed.get("code")) >= 0:
            close["closeCode"] = closed["code"]
        close |= {"closeReason": text(closed.get("reason")), "timingEvents": {**accepted, "wsClosedTimestamp": end}}
        made.append((end, {**close, "tags": self._tags, **self._ending(end)}))
        return made

    def _message(self, message: Mapping[str, Any], data: bytes, moment: float, timing: Record) -> Record:
        direction = "received" if message.get("type") in ("send", "request") else "sent"
        return {
            **self._envelope(f"websocket-message-{direction}"),
            "streamId": self._id,
            "direction": direction,
            "content": encode_body(data),
            "isBinary": message.get("opcode") == 2,
            "eventTimestamp": moment,
            "timingEvents": timing,
            "tags": [],
        }


# ── values ─────────────────────────────────────────────────────────────────────────────────────────


def _required(owner: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = owner.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{where}{key} is {'no object' if key in owner else 'missing'}")
    return value


def _milliseconds(value: Any) -> float:
    """Convert a time since the epoch to milliseconds: browsers write seconds, Playwright milliseconds."""
    time = number(value) or 0
    return time if time > _LATEST_SECONDS else time * 1000


def client_of(owner: Mapping[str, Any]) -> Record:
    """Return `remoteIpAddress` and `remotePort` of the client, if the entry has them."""
    address, port = owner.get("_clientIPAddress", owner.get("clientIPAddress")), owner.get("_clientPort")
    port = owner.get("clientPort") if port is None else port
    client: Record = {"remoteIpAddress": address} if isinstance(address, str) else {}
    return client | ({"remotePort": port} if type(port) is int else {})


def made_up_id(milliseconds: float, seed: str) -> str:
    """Return a UUID of version 7 with this time, always the same for the same seed."""
    digest = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest()[:10])
    value = int(min(max(milliseconds, 0), 2**48 - 1)) << 80 | digest
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    plain = f"{value:032x}"
    return f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"
