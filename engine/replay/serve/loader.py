"""Read a session into the parts of a cassette: the store, the index, and the index of nearest recordings.

Only open exchanges are in memory. An exchange is moved to the store when it ends, so a session may be larger than
memory.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mockrec.engine.replay.serve.grpc_tape import GrpcCourse, is_waiting_call, without_request
from mockrec.engine.replay.serve.index import Index
from mockrec.engine.replay.serve.nearest import Nearest
from mockrec.engine.replay.serve.redacted_facts import Layout, blanked, layout_of
from mockrec.engine.replay.serve.store import Spot, Store
from mockrec.engine.replay.serve.variants import Variant, decided, range_digest, request_fields, variant_of
from mockrec.engine.replay.session.editable import EditableRequest, draft_of
from mockrec.engine.replay.session.fingerprint import MatchKey, MatchOptions, match_key_of, text_of
from mockrec.engine.replay.session.origin import host_of
from mockrec.engine.replay.session.recorded import is_open_stream, is_stream, recorded_view
from mockrec.engine.replay.session.volatile import loosened
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.schema.events import FIRST_TYPES, TERMINAL_TYPES
from mockrec.formats.schema.lenient import object_of
from mockrec.formats.sessions.session import Reading, open_session

_MOST_DECIDING = 64
"""At most this many sets of fields are indexed by value; recordings with further sets are judged one by one."""
_MOST_COUNTS = 20
"""Numbers of messages after which conversations of a path are looked for; each looks at the messages so far."""
_GRPC_TYPES = frozenset({"grpc-message-received", "grpc-message-sent"})
_WEBSOCKET_TYPES = frozenset({"websocket-message-received", "websocket-message-sent", "websocket-close"})


@dataclass(slots=True, eq=False)
class RecordedExchange:
    """One recorded exchange."""

    id: str
    number: int
    """The exchange's number in the session, in the order of the first records."""
    host: str = ""
    name: str = ""
    """`GET /path`, for messages."""
    facts: Spot | None = None
    answer: Spot | None = None
    """The record that is served: a `response`, a `websocket-accepted`, an `abort` with an error (caused by a rule or
    the server), or the `abort` of an event stream that was still open."""
    said: list[Spot] = field(default_factory=list)
    """Records of interim responses, aborts, WebSocket messages and the WebSocket's close, in order."""
    pieces: Spot | None = None
    """For each chunk of the response's body the time at which it was sent (monotonic milliseconds) and its size."""
    variant: Variant = field(default_factory=Variant)
    course: Spot | None = None
    """Of a gRPC conversation: its `script` and the client's `messages`; see `serve/grpc.py`."""

    def to_list(self) -> list[Any]:
        """Return the form that the store holds."""
        return [self.id, self.number, self.host, self.name, self.facts, self.answer, self.said, self.pieces,
                self.variant.to_list(), self.course]  # fmt: skip

    @classmethod
    def from_list(cls, stored: list[Any]) -> RecordedExchange:
        """Build a recording from its stored form."""
        identity, number, host, name, facts, answer, said, pieces, variant, course = stored
        return cls(identity, number, host, name, facts, answer, said, pieces, Variant.from_list(variant), course)


@dataclass(slots=True)
class _OpenRecording:
    """An exchange whose end has not been read yet."""

    recording: RecordedExchange
    facts: MatchKey | None = None
    method: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    answer: Mapping[str, Any] | None = None
    """The `response` record, or the incomplete response of an `abort`."""
    left: bool = False
    """Whether the client disconnected during a response that is not an event stream; a complete one is preferred."""
    pieces: array[float] = field(default_factory=lambda: array("d"))
    course: GrpcCourse | None = None
    waits: bool = True
    """Whether the request was complete before the response was."""


class Tape:
    """A session that was read. Raises SessionError."""

    def __init__(self, path: str, match: MatchOptions) -> None:
        self.store = Store()
        self.index = Index()
        self.nearest = Nearest()
        self.folder: Path | None = None
        self.unanswered = 0
        """Requests without a response to serve, because their clients had disconnected."""
        self.layouts: dict[tuple[Any, Any], dict[Layout, None]] = {}
        """Method and path (`bucket`) → layouts of the redaction marks in such requests."""
        self.deciding: dict[tuple[str, ...], None] = {}
        """The sets of header fields that selected a response (`Variant.deciding`)."""
        self.conversations: dict[str, set[int]] = {}
        """Paths of gRPC conversations → the numbers of the client's messages before the first answer."""
        self.reading: Reading
        self._match = match
        self._open: dict[str, _OpenRecording] = {}
        try:
            self._read(path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Delete the temporary files."""
        self.store.close()
        self.nearest.close()

    def _read(self, path: str) -> None:
        begun = 0
        with open_session(path) as session:
            self.folder = session.bodies_folder
            for _, record in session:
                kind, identity = record["type"], str(record.get("id") or "")
                one = self._open.get(identity)
                if kind in FIRST_TYPES or kind == "request":
                    if one is None:
                        one = self._open[identity] = _OpenRecording(RecordedExchange(identity, begun))
                        begun += 1
                    if kind != "request-initiated":
                        self._take_request(one, record)
                elif one is not None:
                    if kind == "abort" and one.facts is None and one.course is not None:
                        self._take_request(one, without_request(record))
                    self._take_response(one, kind, record)
                if one is not None and kind in TERMINAL_TYPES and (one.facts is not None or kind == "abort"):
                    del self._open[identity]
                    self._store(one)
            self.reading = session.reading
        for one in self._open.values():
            self._store(one)
        self._open.clear()
        self.index.done()
        self.nearest.done()

    def _take_request(self, one: _OpenRecording, record: Mapping[str, Any]) -> None:
        try:
            draft = draft_of(record, self.folder)
        except SessionError:
            draft = EditableRequest("", "", [], b"", problem="its body cannot be read")
        view = recorded_view(record, draft)
        one.facts = match_key_of(view, self._match, cut=bool(draft.problem))
        one.method, one.fields = view.method, request_fields(view, self._match)
        one.recording.host = host_of(record)[0]
        one.recording.name = f"{view.method} {view.path}{view.query_string}"

    def _take_response(self, one: _OpenRecording, kind: str, record: Mapping[str, Any]) -> None:
        recording = one.recording
        if kind in _GRPC_TYPES:
            one.course = one.course or GrpcCourse()
            one.course.take(record)
            return
        ended = kind == "abort" and recording.answer is None
        ended = ended and bool(record.get("error") or is_open_stream(record) or is_waiting_call(record))
        if kind in ("response", "websocket-accepted") or ended:
            recording.answer = self.store.keep(record)
            if kind == "response":
                one.answer = record
                one.waits = "bodyReceivedTimestamp" in object_of(record.get("timingEvents"))
            elif ended and isinstance(record.get("response"), Mapping):
                one.answer = record["response"]
                one.left = not record.get("error") and not is_stream(one.answer)
            else:
                one.left = not record.get("error")
        elif kind in _WEBSOCKET_TYPES or kind in ("response-information", "abort"):
            recording.said.append(self.store.keep(record))
        elif kind == "response-body-data":
            at, content = record.get("eventTimestamp"), record.get("content")
            size = content.get("size") if isinstance(content, Mapping) else None
            if isinstance(at, (int, float)) and isinstance(size, int) and size > 0:
                one.pieces.extend((at, size))

    def _store(self, one: _OpenRecording) -> None:
        recording, facts = one.recording, one.facts
        if recording.answer is None or facts is None:
            self.unanswered += 1
            return
        if one.course is not None:
            self._take_course(one, one.course, facts)
        text = text_of(facts)
        recording.facts = self.store.keep(facts)  # in the order of the request, for messages
        if one.pieces:
            recording.pieces = self.store.keep([*one.pieces])
        recording.variant = variant_of(
            recording.host, one.method, one.fields, one.answer, left=one.left, strict=self._match.strict
        )
        exact_hash = self._hash(facts, text)
        loose = facts if self._match.strict else loosened(facts)
        loose_hash = exact_hash if loose is facts else self._hash(loose, text_of(loose))
        place = len(self.index)
        card = self.store.keep(recording.to_list())
        names = recording.variant.deciding
        if names not in self.deciding and len(self.deciding) < _MOST_DECIDING:
            self.deciding[names] = None
        deciding = decided(names, one.fields) if names in self.deciding else 0
        variant = recording.variant
        asked = variant.fields.get("range", "") if variant.status == 206 else ""
        self.index.add(
            recording.number, exact_hash, loose_hash, variant.digest(), deciding, card, part=range_digest(asked)
        )
        self.nearest.add(place, facts)

    def _take_course(self, one: _OpenRecording, course: GrpcCourse, facts: MatchKey) -> None:
        """Take the times of the messages of a gRPC call. A conversation is found by its first messages."""
        if course.has_sizes and not one.pieces:
            one.pieces.extend(course.pieces)
        body, count = facts.get("body"), course.before_answer
        if count is None or not isinstance(body, dict) or "grpc" not in body:
            return
        messages = body["grpc"]
        counts = self.conversations.setdefault(str(facts.get("path")), set())
        if count not in counts and len(counts) >= _MOST_COUNTS:
            return  # found by the whole request
        counts.add(count)
        facts["body"] = {"grpc": messages[:count]}
        script = {"script": course.script, "messages": messages, "at": course.script[0][2], "waits": one.waits}
        one.recording.course = self.store.keep(script)

    def _hash(self, facts: MatchKey, text: str) -> int:
        layout = layout_of(facts) if "redacted-" in text else ()
        if not layout:
            return _hashed(text)
        self.layouts.setdefault(bucket(facts), {})[layout] = None
        return hash_of(blanked(facts, layout) or facts)


def hash_of(facts: MatchKey) -> int:
    """Return a 64-bit hash; equal keys have equal hashes."""
    return _hashed(text_of(facts))


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def bucket(facts: MatchKey) -> tuple[Any, Any]:
    """Return the key under which layouts are kept: method and path, or method and None if the path itself has marks."""
    path = facts.get("path")
    return facts.get("method"), None if path is None or "redacted-" in path else path
