"""Records → digests, in one pass. What is still open is remembered, everything else waits in the spool."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from mockrec.formats.diff import headers
from mockrec.formats.diff.model import Digest, Options
from mockrec.formats.diff.spool import Spool
from mockrec.formats.exchanges import place

Record = Mapping[str, Any]

_NOTHING: Mapping[str, Any] = {}
_REPLAY = "replay-of:"
_UNKEYED = frozenset({"size", "encodedSize", "raw", "contentEncoding"})
"""Of a body: what says how it travelled, and its size, where the whole of it is there to be compared."""
_ENDS = frozenset({"response", "abort", "websocket-close"})
_FAULTS = {"client-error": "(client error)", "tls-client-error": "(TLS error)"}
_TUNNELS = {"tls-passthrough-opened": "(TLS tunnel)", "raw-passthrough-opened": "(tunnel)"}


class _Open:
    """An exchange whose end was not read yet."""

    __slots__ = ("accepted", "digest", "interim", "request_seen")

    def __init__(self, digest: Digest) -> None:
        self.digest = digest
        self.accepted: Mapping[str, Any] | None = None
        """The head that accepted a WebSocket."""
        self.interim: list[Any] = []
        self.request_seen = False


class Fold:
    """One session's digests."""

    def __init__(self, spool: Spool, options: Options) -> None:
        self._spool = spool
        self._options = options
        self._open: dict[str, _Open] = {}

    def digests(self, records: Iterable[tuple[int, Record]]) -> Iterator[Digest]:
        """In the order of the ends; what never ended comes last."""
        waiting = self._open
        for _, record in records:
            kind = record["type"]
            if kind == "request-initiated":
                # The same head comes again with the request, or with the abort.
                waiting.setdefault(record.get("id", ""), _Open(self._start(record)))
            elif kind in ("request", "websocket-request"):
                found = waiting.get(record.get("id", "")) or self._begin(record)
                self._request(found, record)
                if found.digest.kind != "open":  # its answer came before its body was complete
                    del waiting[found.digest.id]
                    yield found.digest
            elif kind in _ENDS:
                yield from self._end(record, kind)
            elif kind in _FAULTS:
                yield self._fault(record, kind)
            else:
                self._other(record, kind)
        for entry in waiting.values():
            if entry.digest.response < 0:
                entry.digest.response = self._content({"k": entry.digest.kind})
            yield entry.digest
        waiting.clear()

    def _begin(self, record: Record) -> _Open:
        entry = self._open[record.get("id", "")] = _Open(self._start(record))
        return entry

    def _start(self, record: Record) -> Digest:
        digest = Digest(_text(record.get("id")), "open", _text(record.get("method")) or "?", _text(record.get("url")))
        for tag in record.get("tags", ()):
            if isinstance(tag, str) and tag.startswith(_REPLAY):
                digest.replay_of = tag[len(_REPLAY) :]
        if self._options.pair_header:
            digest.marker = _text(record.get("headers", _NOTHING).get(self._options.pair_header))
        return digest

    def _request(self, entry: _Open, record: Record) -> None:
        entry.request_seen = True
        body = record.get("body") or _NOTHING
        entry.digest.request_body = _body_hash(body)
        if self._options.requests:
            content = {"h": record.get("headers", {}), "b": body, "t": record.get("trailers", {}), "k": "request"}
            entry.digest.request = self._content(content)

    def _end(self, record: Record, kind: str) -> Iterator[Digest]:
        entry = self._open.get(record.get("id", "")) or self._begin(record)
        digest = entry.digest
        digest.kind = kind
        digest.duration = _number(record.get("duration"))
        answer = record
        if kind == "abort":
            answer = record.get("response") or _NOTHING
            if not entry.request_seen:
                entry.request_seen = True
                digest.request_body = _body_hash(record.get("requestBody") or _NOTHING)
        content: dict[str, Any] = {"k": kind}
        if entry.accepted is not None:
            content |= {"s": digest.status, "h": entry.accepted, "c": record.get("closeCode")}
        else:
            digest.status = _status(answer)
            content |= {"s": digest.status, "r": answer.get("statusMessage", ""), "h": answer.get("headers", {})}
            if "trailers" in answer:
                content["t"] = answer["trailers"]
        if entry.interim:
            content["i"] = entry.interim
        error = record.get("error")
        if isinstance(error, Mapping):
            content["e"] = _text(error.get("code") or error.get("name"))
        body = answer.get("body") or _NOTHING
        content["b"] = body
        timing = answer.get("timingEvents") or record.get("timingEvents") or _NOTHING
        sent, start = _number(timing.get("headersSentTimestamp")), _number(timing.get("startTimestamp"))
        if sent is not None and start is not None:
            digest.first_byte = sent - start
        digest.response = self._content(content)
        if entry.request_seen:
            del self._open[digest.id]
            yield digest

    def _other(self, record: Record, kind: str) -> None:
        entry = self._open.get(record.get("id", ""))
        if kind in _TUNNELS:
            self._begin(record).digest.method = _TUNNELS[kind]
            self._open[record.get("id", "")].digest.url = place(record.get("destination"))
        elif entry is None:
            return
        elif kind == "response-information":
            entry.interim.append([record.get("statusCode"), record.get("headers", {})])
        elif kind == "websocket-accepted":
            entry.digest.status = _status(record)
            entry.accepted = record.get("headers", {})
        elif kind in ("websocket-message-sent", "websocket-message-received"):
            self._message(entry.digest, record, kind)
        elif kind in ("tls-passthrough-closed", "raw-passthrough-closed"):
            entry.digest.kind = kind
            entry.digest.response = self._content({"k": kind})

    def _message(self, digest: Digest, record: Record, kind: str) -> None:
        body = record.get("content") or _NOTHING
        number = self._content({"b": body, "k": "binary" if record.get("isBinary") else "text"})
        if digest.messages is None:
            digest.messages = array("q")
        digest.messages.append(number if kind == "websocket-message-sent" else ~number)

    def _fault(self, record: Record, kind: str) -> Digest:
        request = record.get("request") or _NOTHING
        answer = record.get("response") or _NOTHING
        digest = Digest(_text(record.get("id")), kind, _FAULTS[kind], _text(request.get("url")))
        error = record.get("errorCode")
        if kind == "tls-client-error":
            error = record.get("failureCause")
            tls = record.get("tlsMetadata") or _NOTHING
            digest.url = _text(tls.get("sniHostname")) or place(record.get("destination"))
        digest.status = _status(answer)
        digest.response = self._content({"k": kind, "s": digest.status, "e": _text(error)})
        return digest

    def _content(self, content: dict[str, Any]) -> int:
        """The number of a content in the spool."""
        return self._spool.put(key_of(content, self._options.strict), content)


def key_of(content: dict[str, Any], strict: bool) -> bytes:
    """What makes a content different from others at first sight: volatile headers and the like do not."""
    key = content
    if "h" in content:
        key = {**content, "h": headers.for_key(content["h"], strict)}
    body = content.get("b")
    if body and not (body.get("truncated") or body.get("incomplete")):
        key = {**key, "b": {name: value for name, value in body.items() if name not in _UNKEYED}}
    return orjson.dumps(key, None, orjson.OPT_SORT_KEYS)


def _body_hash(body: Mapping[str, Any]) -> int:
    """Equal for equal bodies within this process, which is all that pairing needs."""
    if not body.get("size"):
        return 0
    for name in ("text", "base64", "sha256", "file"):
        found = body.get(name)
        if isinstance(found, str):
            return hash(found) or 1
    return int(body["size"])


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) else None


def _status(record: Mapping[str, Any]) -> int | None:
    value = record.get("statusCode")
    return value if type(value) is int else None
