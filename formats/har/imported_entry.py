"""One entry of another tool → records, as if the exchange had been recorded.

Ids are made from the entry, so that the same file always gives the same ones. What a HAR does not tell (the client's
address, its connection) is left out or, where a record must have it, made up: a connection for each entry that names
none.
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
from mockrec.formats.har.imported_repairs import EntryNotes
from mockrec.formats.har.imported_values import method_of, moment_of, number_of, status_of, url_of, version_of
from mockrec.formats.har.pages import PAGE_TAG
from mockrec.formats.schema.body import encode_body

Record = dict[str, Any]

_BEFORE_WAIT = ("blocked", "dns", "connect", "send")
_LONGEST_PAGE_ID = 100
"""It stands in each record of the exchange."""
_LATEST_SECONDS = 100_000_000_000
_SCHEMES = ("http", "https", "ws", "wss")


class ForeignEntry:
    """One entry on its way to records."""

    def __init__(
        self,
        index: int,
        entry: Mapping[str, Any],
        notes: EntryNotes | None = None,
        attached: Attached | None = None,
        before: float = 0.0,
    ) -> None:
        """`before`: when the entry before it began. `ValueError` says why it cannot be one."""
        self._entry = entry
        self.notes = notes or EntryNotes(f"entries[{index}]")
        request = _wanted(entry, "request", "")
        response = mapping(entry.get("response"))
        self._method = method_of(request, self.notes)
        asked = FieldReader(self.notes, "request", self._method)
        self._request_raw = asked.read(request.get("headers"), "request.headers")
        self._url, self._target = url_of(request, self.notes, self._request_raw)
        self._where = fields.parts_of(self._url)
        if self._where.get("protocol") not in _SCHEMES or not self._where["destination"]["hostname"]:
            raise ValueError(f"request.url is no HTTP URL: {text(request.get('url'))[:60]!r}")
        self._start = before
        if entry.get("startedDateTime") is None:
            self.notes.repaired("no-date", "startedDateTime")
        else:
            self._start = moment_of(entry["startedDateTime"], self.notes)
        self._id = made_up_id(self._start, f"{index} {self._method} {self._url}")
        connection = entry.get("_connectionId")
        named = f"connection {connection}" if isinstance(connection, (str, int)) else f"connection of {self._id}"
        self._connection = made_up_id(0.0 if connection else self._start, named)
        self._read_timings()
        self._read_messages(request, response, BodyReader(self.notes, attached or Nowhere(), self._id))
        self._request, self._response = request, response

    def _read_timings(self) -> None:
        timings = mapping(self._entry.get("timings"))
        spans = {name: max(number_of(timings.get(name)) or 0, 0) for name in (*_BEFORE_WAIT, "wait", "receive")}
        self._sent = self._start + sum(spans[name] for name in _BEFORE_WAIT)
        self._answered = self._sent + spans["wait"]
        time = number_of(self._entry.get("time"))
        end = self._start + time if time is not None and time >= 0 else self._answered + spans["receive"]
        self._end = max(end, self._answered)

    def _read_messages(self, request: Mapping[str, Any], response: Mapping[str, Any], bodies: BodyReader) -> None:
        """Everything that may be odd, before the first record is made: their tags say so."""
        notes = self.notes
        raw = self._request_raw
        raw = [*raw, *request_field(request.get("cookies"), raw, notes)]
        self._request_body, self._request_raw = bodies.posted(request, raw)
        self._status, self._reason = status_of(response, notes)
        self._version = version_of(request.get("httpVersion"), notes)
        answered = FieldReader(notes, "response")
        raw = answered.read(response.get("headers"), "response.headers", response.get("cookies"))
        raw = [*raw, *response_fields(response.get("cookies"), raw, notes)]
        raw += location_field(response.get("redirectURL"), self._status, raw, notes)
        self._response_body, self._response_raw = bodies.answered(response, raw, self._method, self._status)
        self._trailers = {
            side: FieldReader(notes, "trailers").read(message.get("_trailers"), f"{side}._trailers")
            for side, message in (("request", request), ("response", response))
        }
        self._messages = [
            (message, message_bytes(text(message.get("data")), binary=message.get("opcode") == 2, notes=notes))
            for message in self._told_messages()
        ]
        own = [tag for tag in items(self._entry.get("_tags")) if isinstance(tag, str)]
        page = text(self._entry.get("pageref"))
        named = [*notes.tags, *([f"{PAGE_TAG}{page}"] if page and len(page) <= _LONGEST_PAGE_ID else [])]
        self._tags = [*own, *(tag for tag in named if tag not in own)]

    def _told_messages(self) -> list[Mapping[str, Any]]:
        told = items(self._entry.get("_webSocketMessages"))
        for index, message in enumerate(told):
            if not isinstance(message, dict):
                self.notes.lost("message", f"_webSocketMessages[{index}]", f"{message!r:.60}")
        return [message for message in told if isinstance(message, dict)]

    @property
    def start(self) -> float:
        """When it began."""
        return self._start

    def records(self) -> list[tuple[float, Record]]:
        """The exchange's records with their moments."""
        websocket = self._entry.get("_resourceType") == "websocket" or "_webSocketMessages" in self._entry
        websocket = websocket or self._where["protocol"] in ("ws", "wss")
        if websocket and self._status in (101, 200):
            return self._websocket()
        made = [(self._start, self._head("request-initiated", self._timing()))]
        made.append((self._sent, self._complete("request")))
        if self._status > 0:
            timing = self._timing(headersSentTimestamp=self._answered, responseSentTimestamp=self._end)
            response = self._answer("response", timing) | self._ending(self._end)
            response |= {"body": self._response_body, **self._trailers_of("response")}
            made.append((self._end, response))
        else:
            made.append((self._end, self._abort()))
        return made

    # ── records ────────────────────────────────────────────────────────────────────────────────────

    def _envelope(self, kind: str) -> Record:
        return {"type": kind, "timestamp": "", "id": self._id, "connectionId": self._connection}

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

    def _complete(self, kind: str) -> Record:
        head = self._head(kind, self._timing(bodyReceivedTimestamp=self._sent))
        return {**head, "body": self._request_body, **self._trailers_of("request")}

    def _answer(self, kind: str, timing: Record) -> Record:
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
        told = self._response.get("_error") or self._response.get("_failureText") or self._entry.get("_error")
        message = text(told) or text(mapping(told).get("message")) or "the HAR has no answer"
        code = text(mapping(told).get("code"))
        error = {**({"code": code} if code else {}), "message": message}
        record = self._head("abort", self._timing(abortedTimestamp=self._end))
        ending = self._ending(self._end)
        return record | {"host": ending["host"], "duration": ending["duration"], "error": error}

    # ── WebSockets ─────────────────────────────────────────────────────────────────────────────────

    def _websocket(self) -> list[tuple[float, Record]]:
        accepted = self._timing(wsAcceptedTimestamp=self._answered)
        made = [(self._start, self._complete("websocket-request"))]
        made.append((self._answered, self._answer("websocket-accepted", accepted)))
        latest = self._answered
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


def _wanted(owner: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = owner.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{where}{key} is {'no object' if key in owner else 'missing'}")
    return value


def _milliseconds(value: Any) -> float:
    """A moment since the epoch: browsers write seconds, Playwright milliseconds."""
    told = number(value) or 0
    return told if told > _LATEST_SECONDS else told * 1000


def client_of(owner: Mapping[str, Any]) -> Record:
    """The client's address, where it is told."""
    address, port = owner.get("_clientIPAddress", owner.get("clientIPAddress")), owner.get("_clientPort")
    port = owner.get("clientPort") if port is None else port
    client: Record = {"remoteIpAddress": address} if isinstance(address, str) else {}
    return client | ({"remotePort": port} if type(port) is int else {})


def made_up_id(milliseconds: float, seed: str) -> str:
    """A UUID of version 7 that is always the same for the same seed."""
    digest = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest()[:10])
    value = int(min(max(milliseconds, 0), 2**48 - 1)) << 80 | digest
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    plain = f"{value:032x}"
    return f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"
