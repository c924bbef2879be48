"""Records → digests, in one pass. What is still open is remembered, everything else waits in the spool."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mockrec.formats.deep import dump
from mockrec.formats.diff import headers
from mockrec.formats.diff.keys import host_of
from mockrec.formats.diff.model import Digest, Options
from mockrec.formats.diff.records import whole_head
from mockrec.formats.diff.spool import Spool
from mockrec.formats.exchanges import place
from mockrec.formats.lenient import number_of, object_of, status_of, text_of

Record = Mapping[str, Any]

_NOTHING: Mapping[str, Any] = {}
_REPLAY = "replay-of:"
_EXACT = ("base64", "file", "sha256")
_UNKEYED = frozenset({"size", "encodedSize", "raw", "contentEncoding", *_EXACT})
"""Of a body: what says how it travelled, and its size, where the whole of it is there to be compared."""
_TEXTS = frozenset({"text", "base64", "file", "sha256", "charset"})
"""Of a body, what has to be a text."""
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
        self._open: dict[str, _Open | Record] = {}
        """By id; a `request-initiated` of which nothing more was needed yet stands there as it is."""

    def digests(self, records: Iterable[tuple[int, Record]]) -> Iterator[Digest]:
        """In the order of the ends; what never ended comes last."""
        waiting = self._open
        for _, record in records:
            kind = record["type"]
            if kind == "request-initiated":
                # The same head comes again with the request.
                waiting.setdefault(text_of(record.get("id")), record)
            elif kind in ("request", "websocket-request"):
                entry = waiting.get(text_of(record.get("id")))
                found = entry if type(entry) is _Open else self._begin(record)
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
        for identity in list(waiting):
            entry = self._begun(identity)
            assert entry is not None
            if entry.digest.response < 0:
                entry.digest.response = self._content({"k": entry.digest.kind})
            yield entry.digest
        waiting.clear()

    def _begin(self, record: Record) -> _Open:
        entry = self._open[text_of(record.get("id"))] = _Open(self._start(record))
        return entry

    def _begun(self, identity: str) -> _Open | None:
        """The exchange of that id, if it has begun and not ended."""
        entry = self._open.get(identity)
        if entry is None or type(entry) is _Open:
            return entry
        entry = self._open[identity] = _Open(self._start(whole_head(entry)))  # type: ignore[arg-type]
        return entry

    def _start(self, record: Record) -> Digest:
        digest = Digest(
            text_of(record.get("id")), "open", text_of(record.get("method")) or "?", text_of(record.get("url"))
        )
        digest.host, digest.target = host_of(digest.url)
        for tag in _list(record.get("tags")):
            if isinstance(tag, str) and tag.startswith(_REPLAY):
                digest.replay_of = tag[len(_REPLAY) :]
        if self._options.pair_header:
            digest.marker = text_of(_fields(record.get("headers")).get(self._options.pair_header))
        return digest

    def _request(self, entry: _Open, record: Record) -> None:
        entry.request_seen = True
        body = _body(record.get("body"))
        entry.digest.request_body = _body_hash(body)
        if self._options.requests:
            content = {
                "h": _fields(record.get("headers")),
                "b": body,
                "t": _fields(record.get("trailers")),
                "k": "request",
            }
            entry.digest.request = self._content(content)

    def _end(self, record: Record, kind: str) -> Iterator[Digest]:
        entry = self._begun(text_of(record.get("id"))) or self._begin(record)
        digest = entry.digest
        digest.kind = kind
        digest.duration = number_of(record.get("duration"))
        answer = record
        if kind == "abort":
            answer = object_of(record.get("response"))
            if not entry.request_seen:
                entry.request_seen = True
                digest.request_body = _body_hash(_body(record.get("requestBody")))
        content: dict[str, Any] = {"k": kind}
        if entry.accepted is not None:
            content |= {"s": digest.status, "h": entry.accepted, "c": _close(record)}
        else:
            digest.status = status_of(answer)
            content |= {
                "s": digest.status,
                "r": text_of(answer.get("statusMessage")),
                "h": _fields(answer.get("headers")),
            }
            if "trailers" in answer:
                content["t"] = _fields(answer["trailers"])
        if entry.interim:
            content["i"] = entry.interim
        error = record.get("error")
        if isinstance(error, Mapping):
            content["e"] = text_of(error.get("code") or error.get("name"))
        body = _body(answer.get("body"))
        content["b"] = body
        digest.cut = bool(body.get("truncated"))
        timing = object_of(answer.get("timingEvents")) or object_of(record.get("timingEvents"))
        sent, start = number_of(timing.get("headersSentTimestamp")), number_of(timing.get("startTimestamp"))
        if sent is not None and start is not None:
            digest.first_byte = sent - start
        digest.response = self._content(content)
        if entry.request_seen:
            del self._open[digest.id]
            yield digest

    def _other(self, record: Record, kind: str) -> None:
        if kind in _TUNNELS:
            digest = self._begin(record).digest
            digest.method = _TUNNELS[kind]
            digest.url = digest.host = place(record.get("destination"))
            digest.target = len(digest.url)
            return
        entry = self._begun(text_of(record.get("id")))
        if entry is None:
            return
        if kind == "response-information":
            entry.interim.append([record.get("statusCode"), _fields(record.get("headers"))])
        elif kind == "websocket-accepted":
            entry.digest.status = status_of(record)
            entry.accepted = _fields(record.get("headers"))
        elif kind in ("websocket-message-sent", "websocket-message-received"):
            self._message(entry.digest, record, kind)
        elif kind in ("tls-passthrough-closed", "raw-passthrough-closed"):
            entry.digest.kind = kind
            entry.digest.response = self._content({"k": kind})

    def _message(self, digest: Digest, record: Record, kind: str) -> None:
        body = _body(record.get("content"))
        number = self._content({"b": body, "k": "binary" if record.get("isBinary") else "text"})
        if digest.messages is None:
            digest.messages = array("q")
        digest.messages.append(number if kind == "websocket-message-sent" else ~number)

    def _fault(self, record: Record, kind: str) -> Digest:
        request, answer = object_of(record.get("request")), object_of(record.get("response"))
        digest = Digest(text_of(record.get("id")), kind, _FAULTS[kind], text_of(request.get("url")))
        error = record.get("errorCode")
        if kind == "tls-client-error":
            error = record.get("failureCause")
            tls = object_of(record.get("tlsMetadata"))
            digest.url = text_of(tls.get("sniHostname")) or place(record.get("destination"))
        digest.host, digest.target = host_of(digest.url)
        digest.status = status_of(answer)
        digest.response = self._content({"k": kind, "s": digest.status, "e": text_of(error)})
        return digest

    def _content(self, content: dict[str, Any]) -> int:
        """The number of a content in the spool."""
        return self._spool.put(key_of(content, self._options.strict), content)


def key_of(content: dict[str, Any], strict: bool) -> bytes:
    """What makes a content different from others at first sight: volatile headers and the like do not.

    Three lines of JSON: the header fields, which are the same in many messages; all else that may change by nature; and
    what does not, whatever it looks like: base64 and hashes.
    """
    head = dump(headers.for_key(content["h"], strict), sort=True) if "h" in content else b""
    rest = {name: value for name, value in content.items() if name != "h"}
    exact = ""
    body = content.get("b")
    if body:
        left_out = _EXACT if body.get("truncated") or body.get("incomplete") else _UNKEYED
        rest["b"] = {name: value for name, value in body.items() if name not in left_out}
        for name in _EXACT:
            if name in body:
                exact += f"{name}={body[name]};"
    return b"%b\n%b\n%b" % (head, dump(rest, sort=True), exact.encode())


def _body_hash(body: Mapping[str, Any]) -> int:
    """Equal for equal bodies within this process, which is all that pairing needs."""
    if not body.get("size"):
        return 0
    for name in ("text", "base64", "sha256", "file"):
        found = body.get(name)
        if isinstance(found, str):
            return hash(found) or 1
    return int(body["size"])


def _close(record: Record) -> Any:
    """The code of a close, with its reason where it has one."""
    code, reason = record.get("closeCode"), text_of(record.get("closeReason"))
    return f"{code} {reason}" if reason else code


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _fields(value: Any) -> Mapping[str, Any]:
    """Header fields: each a text, `set-cookie` a list of texts."""
    found = object_of(value)
    for name, field in found.items():
        if type(field) is not str and name != "set-cookie":
            return {key: field if key == "set-cookie" else text_of(field) for key, field in found.items()}
    return found


def _body(value: Any) -> Mapping[str, Any]:
    found = object_of(value)
    if type(found.get("size")) is not int:
        return _NOTHING
    for name, kept in found.items():
        if type(kept) is not str and name in _TEXTS:
            return _NOTHING
    return found
