"""One entry of another tool → records, as if the exchange had been recorded.

Ids are made from the entry, so that the same file always gives the same ones. What a HAR does not tell (the client's
address, its connection) is left out or, where a record must have it, made up: a connection for each entry that names
none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from mockrec.formats.body import encode_body
from mockrec.formats.har import fields
from mockrec.formats.har.fields import items, mapping, number, text, whole

Record = dict[str, Any]

_VERSION = re.compile(r"(?:http/|h)?([0-3](?:\.[0-9])?)", re.IGNORECASE)
_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]+)""", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
_BEFORE_WAIT = ("blocked", "dns", "connect", "send")
_LATEST_SECONDS = 100_000_000_000
_SCHEMES = ("http", "https", "ws", "wss")


class ForeignEntry:
    """One entry on its way to records."""

    def __init__(self, index: int, entry: Mapping[str, Any]) -> None:
        """`ValueError` says why it cannot be one."""
        self._entry = entry
        self._request = _wanted(entry, "request", "")
        self._response = mapping(entry.get("response"))
        self._url = text(self._request.get("url"))
        if not self._url or not text(self._request.get("method")):
            raise ValueError("request.method or request.url is missing")
        self._where = fields.parts_of(self._url.partition("#")[0])
        if self._where.get("protocol") not in _SCHEMES or not self._where["destination"]["hostname"]:
            raise ValueError(f"request.url is no HTTP URL: {self._url[:60]!r}")
        self._start = moment_of(entry.get("startedDateTime"))
        self._id = made_up_id(self._start, f"{index} {self._request['method']} {self._url}")
        connection = entry.get("_connectionId")
        named = f"connection {connection}" if isinstance(connection, (str, int)) else f"connection of {self._id}"
        self._connection = made_up_id(0.0 if connection else self._start, named)
        self._read_timings()

    def _read_timings(self) -> None:
        timings = mapping(self._entry.get("timings"))
        spans = {name: max(number(timings.get(name)) or 0, 0) for name in (*_BEFORE_WAIT, "wait", "receive")}
        self._sent = self._start + sum(spans[name] for name in _BEFORE_WAIT)
        self._answered = self._sent + spans["wait"]
        time = number(self._entry.get("time"))
        end = self._start + time if time is not None and time >= 0 else self._answered + spans["receive"]
        self._end = max(end, self._answered)

    def records(self) -> list[tuple[float, Record]]:
        """The exchange's records with their moments."""
        websocket = self._entry.get("_resourceType") == "websocket" or "_webSocketMessages" in self._entry
        websocket = websocket or self._where["protocol"] in ("ws", "wss")
        if websocket and self._response.get("status") in (101, 200):
            return self._websocket()
        made = [(self._start, self._head("request-initiated", self._timing()))]
        made.append((self._sent, self._complete("request")))
        if whole(self._response.get("status"), 0) > 0:
            timing = self._timing(headersSentTimestamp=self._answered, responseSentTimestamp=self._end)
            response = self._answer("response", timing) | self._ending(self._end)
            response |= {"body": _content(self._response), **_trailers(self._response)}
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
        raw = fields.raw_headers(self._request.get("headers"))
        match = _VERSION.fullmatch(text(self._request.get("httpVersion")))
        version = match[1] if match else "1.1"
        table = fields.header_table(raw)
        return {
            **self._envelope(kind),
            "protocol": self._where["protocol"],
            "httpVersion": version if "." in version else f"{version}.{1 if version == '1' else 0}",
            "method": self._request["method"],
            "url": self._url.partition("#")[0],
            "path": self._where["path"],
            "destination": self._where["destination"],
            **({"headers": table} if table else {}),
            "rawHeaders": raw,
            **client_of(self._entry),
            "timingEvents": timing,
            "tags": self._tags(),
            **self._rule(),
        }

    def _tags(self) -> list[str]:
        return [tag for tag in items(self._entry.get("_tags")) if isinstance(tag, str)]

    def _rule(self) -> Record:
        rule = self._entry.get("_matchedRuleId")
        continued = [one for one in items(self._entry.get("_continuedRuleIds")) if isinstance(one, str)]
        return {
            **({"matchedRuleId": rule} if isinstance(rule, str) else {}),
            **({"continuedRuleIds": continued} if continued else {}),
        }

    def _complete(self, kind: str) -> Record:
        head = self._head(kind, self._timing(bodyReceivedTimestamp=self._sent))
        return {**head, "body": _posted(self._request), **_trailers(self._request)}

    def _answer(self, kind: str, timing: Record) -> Record:
        raw = fields.raw_headers(self._response.get("headers"))
        table = fields.header_table(raw)
        return {
            **self._envelope(kind),
            "statusCode": self._response["status"],
            "statusMessage": text(self._response.get("statusText")),
            **({"headers": table} if table else {}),
            "rawHeaders": raw,
            "timingEvents": timing,
            "tags": self._tags(),
        }

    def _ending(self, end: float) -> Record:
        method, url, host = self._request["method"], self._url.partition("#")[0], self._where["host"]
        duration = round(end - self._start, 4)
        return {"method": method, "url": url, "host": host, **self._rule(), "duration": duration}

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
        for message in items(self._entry.get("_webSocketMessages")):
            if isinstance(message, dict):
                latest = max(latest, _milliseconds(message.get("time")))
                made.append((latest, self._message(message, latest, accepted)))
        closed = mapping(self._entry.get("_webSocketClose"))
        end = max(self._end, latest, _milliseconds(closed.get("timestamp")))
        close = {**self._envelope("websocket-close"), "streamId": self._id}
        if whole(closed.get("code")) >= 0:
            close["closeCode"] = closed["code"]
        close |= {"closeReason": text(closed.get("reason")), "timingEvents": {**accepted, "wsClosedTimestamp": end}}
        made.append((end, {**close, "tags": self._tags(), **self._ending(end)}))
        return made

    def _message(self, message: Mapping[str, Any], moment: float, timing: Record) -> Record:
        direction = "received" if message.get("type") in ("send", "request") else "sent"
        data, binary = text(message.get("data")), message.get("opcode") == 2
        return {
            **self._envelope(f"websocket-message-{direction}"),
            "streamId": self._id,
            "direction": direction,
            "content": encode_body(_decoded(data) if binary else _utf8(data)),
            "isBinary": binary,
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


def moment_of(value: Any) -> float:
    """ISO 8601 → milliseconds since the epoch."""
    try:
        moment = datetime.fromisoformat(value)
        return round((moment if moment.tzinfo else moment.astimezone()).timestamp() * 1000, 3)
    except (ValueError, TypeError, OverflowError, OSError):
        raise ValueError(f"startedDateTime is no date: {value!r:.60}") from None


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


def _posted(request: Mapping[str, Any]) -> Record:
    """The request's body: `_content` (HTTP Toolkit), `text`, or what `params` say."""
    if isinstance(request.get("_content"), dict):
        return _body(request, request["_content"])
    posted = mapping(request.get("postData"))
    if not text(posted.get("text")) and items(posted.get("params")):
        pairs = [(text(mapping(one).get("name")), text(mapping(one).get("value"))) for one in posted["params"]]
        return encode_body(urlencode(pairs).encode())
    return _body(request, {"size": request.get("bodySize"), **posted})


def _content(response: Mapping[str, Any]) -> Record:
    return _body(response, mapping(response.get("content")))


def _body(message: Mapping[str, Any], content: Mapping[str, Any]) -> Record:
    """Its text, or how large it was where the file does not have it.

    HAR keeps bodies without their content-encoding and charset; what the message's fields name is what they had.
    """
    kept = text(content.get("text"))
    size = whole(content.get("size"), 0)
    if not kept and size > 0:
        return {"size": size, "text": "", "truncated": True}
    table = fields.header_table(fields.raw_headers(message.get("headers")))
    is_base64 = content.get("encoding") == "base64"
    body = encode_body(_decoded(kept)) if is_base64 else _of_text(kept, text(table.get("content-type")))
    coding = text(table.get("content-encoding")).strip().lower()
    # Some tools keep the bytes of the wire all the same.
    if kept and coding not in ("", "identity") and not (is_base64 and _decoded(kept).startswith(_GZIP)):
        body["contentEncoding"] = coding
    return body


def _of_text(kept: str, content_type: str) -> Record:
    """A text in the charset that its type names."""
    found = _CHARSET.search(content_type)
    try:
        data = kept.encode(found[1]) if found else _utf8(kept)
    except (LookupError, ValueError):
        data = _utf8(kept)
    utf8 = _utf8(kept)
    if found is None or data == utf8:
        return encode_body(utf8)
    return {"size": len(data), "text": kept, "charset": found[1].lower()}


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return _utf8(data)


def _utf8(data: str) -> bytes:
    return data.encode("utf-8", "replace")


def _trailers(message: Mapping[str, Any]) -> Record:
    raw = fields.raw_headers(message.get("_trailers"))
    return {"trailers": fields.header_table(raw), "rawTrailers": raw} if raw else {}


def made_up_id(milliseconds: float, seed: str) -> str:
    """A UUID of version 7 that is always the same for the same seed."""
    digest = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest()[:10])
    value = int(min(max(milliseconds, 0), 2**48 - 1)) << 80 | digest
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    plain = f"{value:032x}"
    return f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"
