"""Records → digests, in one pass. In memory are the digests and the open exchanges; contents are in the spool."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from mockrec.formats.diff.compare.keys import host_of
from mockrec.formats.diff.contents import PlainKeys, body_hash, body_of, close_of, fields_of, key_of, text_hash
from mockrec.formats.diff.model.exchange import Digest
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.model.spool import ContentSpool
from mockrec.formats.diff.records import UNREADABLE, Initiated, PlainRequest, PlainResponse, decode, plain_decoder
from mockrec.formats.operations.readers import operation_of_record, parts_may_have_operation
from mockrec.formats.schema.assembler import Assembler
from mockrec.formats.schema.lenient import number_of, object_of, status_of, text_of
from mockrec.formats.schema.lifecycle import (
    CLOSED_TYPES,
    COMPLETE_TYPES,
    CONNECTION_TYPES,
    LIFECYCLE,
    MESSAGE_TYPES,
    OPENED_TYPES,
    TERMINAL_TYPES,
    Side,
)
from mockrec.formats.sessions.rows import place

if TYPE_CHECKING:
    from mockrec.formats.sessions.session import Session

Record = Mapping[str, Any]

_REPLAY = "replay-of:"
_FAULTS = {"client-error": "(client error)", "tls-client-error": "(TLS error)"}
"""What stands in place of the method."""


class _OpenDigest:
    """An exchange that has begun, and whose end or complete request is not read yet."""

    __slots__ = ("accepted", "digest", "interim", "request_seen")

    def __init__(self, digest: Digest) -> None:
        self.digest = digest
        self.accepted: Mapping[str, Any] | None = None
        """The head that accepted a WebSocket."""
        self.interim: list[Any] = []
        self.request_seen = False


class DigestBuilder:
    """One session's digests."""

    def __init__(self, spool: ContentSpool, options: DiffOptions) -> None:
        self._folder: Path | None = None
        """The bodies of the session in files of their own."""
        self._spool = spool
        self._options = options
        self._exchanges = Assembler[_OpenDigest | Digest | Initiated | Record]()
        """Open exchanges: a `request-initiated` undecoded until more of it is needed, a plain request as its digest."""
        self._open = self._exchanges.current
        # If header fields of requests are needed, requests are decoded as mappings.
        self._read_plain = None if options.pair_header else plain_decoder(requests=not options.requests)
        self._keys = PlainKeys(options.strict)
        self._ended: list[Digest] = []

    def of_session(self, session: Session) -> list[Digest]:
        """Return the digests of a session's exchanges, in the order of the ends; those without an end come last."""
        self._folder = session.bodies_folder
        for _, record in session.not_consumed(self._take, decode):
            self._ended.extend(self._read(record))
        self._ended.extend(self._rest())
        return self._ended

    def digests(self, records: Iterable[tuple[int, Record]]) -> Iterator[Digest]:
        """Yield the digests of records, each when its exchange ends."""
        for _, record in records:
            yield from self._read(record)
        yield from self._rest()

    def _take(self, lines: bytes) -> bool:
        """Read lines of plain records. Return False, and do nothing, if another record is among them."""
        if self._read_plain is None:
            return False
        try:
            records = self._read_plain(lines)
        except UNREADABLE:
            return False
        for record in records:
            if isinstance(record, PlainResponse):
                self._plain_response(record)
            elif isinstance(record, PlainRequest):
                self._plain_request(record)
            else:
                self._open.setdefault(record.id, record)
        return bool(records)

    def _plain_request(self, record: PlainRequest) -> None:
        entry, body = self._open.get(record.id), record.body
        if type(entry) in (_OpenDigest, Digest) or type(body.size) is not int:
            self._ended.extend(self._read(record.record()))
            return
        if entry is None and self._exchanges.is_late("request", record.id):
            return
        digest = _opened(record.id, record.method, record.url, record.tags, record.scope)
        if body.size:
            digest.request_body = text_hash(body.text)
        if parts_may_have_operation(record.url, bytes(record.headers), body.text):
            self._name(digest, record.record())
        self._open[record.id] = digest

    def _plain_response(self, record: PlainResponse) -> None:
        digest = self._open.get(record.id)
        status, body = record.statusCode, record.body
        if (
            type(digest) is not Digest
            or type(status) is not int
            or type(body.size) is not int
            or record.trailers is not UNSET
            or record.error is not UNSET
        ):
            self._ended.extend(self._read(record.record()))
            return
        fields, reason = record.headers, record.statusMessage or ""
        digest.kind = "response"
        digest.status = status
        digest.duration = record.duration
        times = record.timingEvents
        if times is not None and times.headersSentTimestamp is not None and times.startTimestamp is not None:
            digest.first_byte = times.headersSentTimestamp - times.startTimestamp
        key = self._keys.response(status, reason, fields, body.text)
        digest.response = self._spool.put_plain(key, body.size, fields)
        self._exchanges.hand_on(digest.id)
        self._ended.append(digest)

    def _read(self, record: Record) -> Iterator[Digest]:
        """Read a record; yield the exchange that is over with it."""
        kind = record["type"]
        if kind == "request-initiated":
            # The same head comes again with the request.
            self._open.setdefault(text_of(record.get("id")), record)
        elif kind in COMPLETE_TYPES:
            yield from self._complete(record, kind)
        elif kind in TERMINAL_TYPES:
            yield from self._end(record, kind)
        elif kind in CONNECTION_TYPES:
            yield self._fault(record, kind)
        else:
            self._other(record, kind)

    def _complete(self, record: Record, kind: str) -> Iterator[Digest]:
        identity = text_of(record.get("id"))
        entry = self._open.get(identity)
        if entry is None and self._exchanges.is_late(kind, identity):
            return
        found = (self._begun(identity) if type(entry) in (_OpenDigest, Digest) else None) or self._begin(record)
        self._request(found, record)
        if found.digest.kind != "open":  # its response was sent before its body was complete
            self._exchanges.hand_on(identity)
            yield found.digest

    def _rest(self) -> Iterator[Digest]:
        """Yield the exchanges that are not over, and the tunnels."""
        for identity in list(self._open):
            entry = self._begun(identity)
            assert entry is not None
            if entry.digest.response < 0:
                entry.digest.response = self._content({"k": entry.digest.kind})
            yield entry.digest
        self._exchanges.rest()

    def _begin(self, record: Record) -> _OpenDigest:
        entry = self._open[text_of(record.get("id"))] = _OpenDigest(self._start(record))
        return entry

    def _begun(self, identity: str) -> _OpenDigest | None:
        """Return the current exchange of that id, or None."""
        entry = self._open.get(identity)
        if entry is None or type(entry) is _OpenDigest:
            return entry
        if type(entry) is Digest:
            begun = _OpenDigest(entry)
            begun.request_seen = True
        elif type(entry) is Initiated:
            begun = _OpenDigest(_opened(entry.id, entry.method, entry.url, entry.tags, entry.scope))
        else:
            begun = _OpenDigest(self._start(entry))  # type: ignore[arg-type]
        self._open[identity] = begun
        return begun

    def _start(self, record: Record) -> Digest:
        digest = _opened(
            text_of(record.get("id")),
            text_of(record.get("method")),
            text_of(record.get("url")),
            _list(record.get("tags")),
            text_of(record.get("scope")),
        )
        if self._options.pair_header:
            digest.marker = text_of(fields_of(record.get("headers")).get(self._options.pair_header))
        return digest

    def _name(self, digest: Digest, record: Record) -> None:
        """Name the operation of a request, or the first that messages of a WebSocket start."""
        operation = None if digest.operation else operation_of_record(record, self._folder)
        if operation is not None:
            digest.operation = operation.name

    def _request(self, entry: _OpenDigest, record: Record) -> None:
        entry.request_seen = True
        body = body_of(record.get("body"))
        entry.digest.request_body = body_hash(body)
        self._name(entry.digest, record)
        if self._options.requests:
            content = {
                "h": fields_of(record.get("headers")),
                "b": body,
                "t": fields_of(record.get("trailers")),
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
                digest.request_body = body_hash(body_of(record.get("requestBody")))
        content: dict[str, Any] = {"k": kind}
        if entry.accepted is not None:
            content |= {"s": digest.status, "h": entry.accepted, "c": close_of(record)}
        else:
            digest.status = status_of(answer)
            content |= {
                "s": digest.status,
                "r": text_of(answer.get("statusMessage")),
                "h": fields_of(answer.get("headers")),
            }
            if "trailers" in answer:
                content["t"] = fields_of(answer["trailers"])
        if entry.interim:
            content["i"] = entry.interim
        error = record.get("error")
        if isinstance(error, Mapping):
            content["e"] = text_of(error.get("code") or error.get("name"))
        body = body_of(answer.get("body"))
        content["b"] = body
        digest.cut = bool(body.get("truncated"))
        timing = object_of(answer.get("timingEvents")) or object_of(record.get("timingEvents"))
        sent, start = number_of(timing.get("headersSentTimestamp")), number_of(timing.get("startTimestamp"))
        if sent is not None and start is not None:
            digest.first_byte = sent - start
        digest.response = self._content(content)
        if entry.request_seen:
            self._exchanges.hand_on(digest.id)
            yield digest

    def _other(self, record: Record, kind: str) -> None:
        if kind in OPENED_TYPES:
            digest = self._begin(record).digest
            digest.method = f"({LIFECYCLE[kind].unit})"
            digest.url = digest.host = place(record.get("destination"))
            digest.target = len(digest.url)
            return
        entry = self._begun(text_of(record.get("id")))
        if entry is None:
            return
        if kind == "response-information":
            entry.interim.append([record.get("statusCode"), fields_of(record.get("headers"))])
        elif kind == "websocket-accepted":
            entry.digest.status = status_of(record)
            entry.accepted = fields_of(record.get("headers"))
        elif kind in MESSAGE_TYPES:
            self._message(entry.digest, record, kind)
        elif kind in CLOSED_TYPES:
            entry.digest.kind = kind
            entry.digest.response = self._content({"k": kind})

    def _message(self, digest: Digest, record: Record, kind: str) -> None:
        body = body_of(record.get("content"))
        number = self._content({"b": body, "k": "binary" if record.get("isBinary") else "text"})
        if digest.messages is None:
            digest.messages = array("q")
        if kind == "websocket-message-received":
            self._name(digest, record)
        digest.messages.append(~number if LIFECYCLE[kind].side is Side.REQUEST else number)

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
        """Put a content into the spool, if no equal one is there, and return its number."""
        return self._spool.put(key_of(content, self._options.strict), content)


def _opened(identity: str, method: str, url: str, tags: Sequence[Any], scope: str) -> Digest:
    """Return the digest of an exchange that begins."""
    host, target = host_of(url)
    digest = Digest(identity, "open", intern(method) or "?", url, host, target)
    if scope:
        digest.scope = intern(scope)
    for tag in tags:
        if isinstance(tag, str) and tag.startswith(_REPLAY):
            digest.replay_of = tag[len(_REPLAY) :]
    return digest


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
