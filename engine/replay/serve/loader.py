"""Reading a session into what a cassette answers from: the store, the index, and what is nearest to a miss.

Remembers only what is open: an exchange is put away when it has ended, so a session may be larger than memory.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from mockrec.formats.sessions.session import Reading, open_session

_MOST_DECIDING = 64
"""Sets of fields that are looked up by their values; what is beyond them is judged one by one."""
_TALK = frozenset({"websocket-message-received", "websocket-message-sent", "websocket-close"})


@dataclass(slots=True, eq=False)
class RecordedExchange:
    """One recorded exchange."""

    id: str
    number: int
    """Its place in the session."""
    host: str = ""
    name: str = ""
    """`GET /path`, for people."""
    facts: Spot | None = None
    answer: Spot | None = None
    """What the request led to: `response`, `websocket-accepted`, or an `abort` that a rule or server has caused, or
    that ended a stream."""
    said: list[Spot] = field(default_factory=list)
    """Interim answers, messages and the close, in their order."""
    pieces: Spot | None = None
    """When each piece of the answer's body was sent (monotonic milliseconds), and its size, in turn."""
    variant: Variant = field(default_factory=Variant)

    def to_list(self) -> list[Any]:
        """As the store has it."""
        return [self.id, self.number, self.host, self.name, self.facts, self.answer, self.said, self.pieces,
                self.variant.to_list()]  # fmt: skip

    @classmethod
    def from_list(cls, told: list[Any]) -> RecordedExchange:
        """The other way."""
        identity, number, host, name, facts, answer, said, pieces, variant = told
        return cls(identity, number, host, name, facts, answer, said, pieces, Variant.from_list(variant))


@dataclass(slots=True)
class _Open:
    """An exchange whose end has not been read yet."""

    recording: RecordedExchange
    facts: MatchKey | None = None
    method: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    answer: Mapping[str, Any] | None = None
    """The head of the answer."""
    left: bool = False
    """Whether the client left an answer that is no stream by its type, so that a complete one comes first."""
    pieces: array[float] = field(default_factory=lambda: array("d"))


class Tape:
    """What was read. Raises SessionError."""

    def __init__(self, path: str, match: MatchOptions) -> None:
        self.store = Store()
        self.index = Index()
        self.nearest = Nearest()
        self.folder: Path | None = None
        self.unanswered = 0
        """Requests without an answer to give again: their clients had left."""
        self.layouts: dict[tuple[Any, Any], dict[Layout, None]] = {}
        """Method and path → where redaction marks are in such requests."""
        self.deciding: dict[tuple[str, ...], None] = {}
        """The sets of fields by which servers told requests apart (`Variant.deciding`)."""
        self.reading: Reading
        self._match = match
        self._open: dict[str, _Open] = {}
        try:
            self._read(path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the temporary files go."""
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
                        one = self._open[identity] = _Open(RecordedExchange(identity, begun))
                        begun += 1
                    if kind != "request-initiated":
                        self._take_request(one, record)
                elif one is not None:
                    self._take_answer(one, kind, record)
                if one is not None and kind in TERMINAL_TYPES and (one.facts is not None or kind == "abort"):
                    del self._open[identity]
                    self._put_away(one)
            self.reading = session.reading
        for one in self._open.values():
            self._put_away(one)
        self._open.clear()
        self.index.done()
        self.nearest.done()

    def _take_request(self, one: _Open, record: Mapping[str, Any]) -> None:
        try:
            draft = draft_of(record, self.folder)
        except SessionError:
            draft = EditableRequest("", "", [], b"", problem="its body cannot be read")
        view = recorded_view(record, draft)
        one.facts = match_key_of(view, self._match, cut=bool(draft.problem))
        one.method, one.fields = view.method, request_fields(view, self._match)
        one.recording.host = host_of(record)[0]
        one.recording.name = f"{view.method} {view.path}{view.query_string}"

    def _take_answer(self, one: _Open, kind: str, record: Mapping[str, Any]) -> None:
        recording = one.recording
        ended = kind == "abort" and recording.answer is None and (record.get("error") or is_open_stream(record))
        if kind in ("response", "websocket-accepted") or ended:
            recording.answer = self.store.keep(record)
            if kind == "response":
                one.answer = record
            elif ended and isinstance(record.get("response"), Mapping):
                one.answer = record["response"]
                one.left = not record.get("error") and not is_stream(one.answer)
        elif kind in _TALK or kind in ("response-information", "abort"):
            recording.said.append(self.store.keep(record))
        elif kind == "response-body-data":
            at, content = record.get("eventTimestamp"), record.get("content")
            size = content.get("size") if isinstance(content, Mapping) else None
            if isinstance(at, (int, float)) and isinstance(size, int) and size > 0:
                one.pieces.extend((at, size))

    def _put_away(self, one: _Open) -> None:
        recording, facts = one.recording, one.facts
        if recording.answer is None or facts is None:
            self.unanswered += 1
            return
        text = text_of(facts)
        recording.facts = self.store.keep(facts)  # in the order of the request, as people see it
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

    def _hash(self, facts: MatchKey, text: str) -> int:
        layout = layout_of(facts) if "redacted-" in text else ()
        if not layout:
            return _hashed(text)
        self.layouts.setdefault(bucket(facts), {})[layout] = None
        return hash_of(blanked(facts, layout) or facts)


def hash_of(facts: MatchKey) -> int:
    """Equal facts have equal hashes, of 64 bits."""
    return _hashed(text_of(facts))


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def bucket(facts: MatchKey) -> tuple[Any, Any]:
    """Where the layouts of recordings with marks are looked for: under their path, unless that has marks itself."""
    path = facts.get("path")
    return facts.get("method"), None if path is None or "redacted-" in path else path
