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
from mockrec.engine.replay.session.only import EveryExchange, ExchangeFilter
from mockrec.engine.replay.session.origin import host_of
from mockrec.engine.replay.session.recorded import is_open_stream, is_stream, recorded_view
from mockrec.engine.replay.session.requests import time_of
from mockrec.engine.replay.session.volatile import loosened
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.schema.lenient import object_of
from mockrec.formats.schema.lifecycle import FIRST_TYPES, TERMINAL_TYPES
from mockrec.formats.sessions.session import Reading, open_session

_MOST_DECIDING = 64
"""At most this many sets of fields are indexed by value; recordings with further sets are judged one by one."""
_MOST_COUNTS = 20
"""Numbers of messages after which conversations of a path are looked for; each looks at the messages so far."""
_GRPC_TYPES = frozenset({"grpc-message-received", "grpc-message-sent"})
REPLACES = "replaces:"
"""The beginning of the tag of a recording that was made in place of another one, whose id follows."""
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
    began: float = 0.0
    """When the request was recorded, in seconds since the epoch; 0 if the recording has no time."""

    def to_list(self) -> list[Any]:
        """Return the form that the store holds."""
        return [self.id, self.number, self.host, self.name, self.facts, self.answer, self.said, self.pieces,
                self.variant.to_list(), self.course, self.began]  # fmt: skip

    @classmethod
    def from_list(cls, stored: list[Any]) -> RecordedExchange:
        """Build a recording from its stored form."""
        identity, number, host, name, facts, answer, said, pieces, variant, course, began = stored
        return cls(identity, number, host, name, facts, answer, said, pieces, Variant.from_list(variant), course, began)


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
    replaces: str = ""
    """The id of the recording that it was made in place of."""
    refreshed: bool = False
    """Whether it is to be recorded again."""


class Tape:
    """A session that was read. Raises SessionError."""

    def __init__(
        self,
        path: str | None,
        match: MatchOptions,
        *,
        oldest: float = 0.0,
        refresh: ExchangeFilter | EveryExchange | None = None,
    ) -> None:
        """`path`: None for a session that is yet to be recorded. `oldest`: recordings made before this time, in seconds
        since the epoch, are stale; `refresh`: so are these."""
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
        self.reading: Reading | None = None
        """A summary of the session; None before it is read."""
        self.stale: dict[int, str] = {}
        """The places of recordings that are not served → why: `expired` or `refresh`."""
        self.replaced: frozenset[int] = frozenset()
        """The places of recordings that were replaced by later ones of the session."""
        self._match = match
        self._oldest = oldest
        self._refresh = refresh
        self._replacing: dict[int, str] = {}
        """Place → the id of the recording that it replaces."""
        self._open: dict[str, _OpenRecording] = {}
        try:
            if path is not None:
                self._read(path)
            self._replace()
            self.index.done(self.replaced)
            self.nearest.done()
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
            for number, (_, record) in enumerate(session):
                kind, identity = record["type"], str(record.get("id") or "")
                one = self._open.get(identity)
                if kind in FIRST_TYPES or kind == "request":
                    if one is None:
                        one = self._open[identity] = _OpenRecording(RecordedExchange(identity, begun))
                        one.recording.began = time_of(record) if self._oldest else 0.0
                        one.refreshed = self._refresh is not None and self._refresh.has(number)
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

    def _replace(self) -> None:
        """Put each recording that replaces another one in its place, in order; the other one is not served any more."""
        if not self._replacing:
            return
        numbers, replaced = self.index.numbers, set()
        places = {self.store.read(self.index.card(place))[0]: place for place in range(len(self.index))}
        for place, identity in self._replacing.items():
            other = places.get(identity)
            if other is not None and other != place:
                numbers[place] = numbers[other]
                replaced.add(other)
                self.stale.pop(other, None)
        self.replaced = frozenset(replaced)

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
        if kind in TERMINAL_TYPES:
            one.replaces = _replaced_by(record)
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
        if one.replaces:
            self._replacing[place] = one.replaces
        if one.refreshed:
            self.stale[place] = "refresh"
        elif recording.began < self._oldest:
            self.stale[place] = "expired"
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


def _replaced_by(record: Mapping[str, Any]) -> str:
    """Return the id of the recording in whose place an exchange was recorded; empty for any other exchange."""
    tags = record.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith(REPLACES):
            return tag.removeprefix(REPLACES)
    return ""


def hash_of(facts: MatchKey) -> int:
    """Return a 64-bit hash; equal keys have equal hashes."""
    return _hashed(text_of(facts))


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def bucket(facts: MatchKey) -> tuple[Any, Any]:
    """Return the key under which layouts are kept: method and path, or method and None if the path itself has marks."""
    path = facts.get("path")
    return facts.get("method"), None if path is None or "redacted-" in path else path
