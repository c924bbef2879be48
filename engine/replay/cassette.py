"""A recorded session that answers: which recording a request gets, in which order, and what is nearest to a miss.

Only keys stay in memory. What was said is kept in a temporary file that has no name, so that a session may be larger
than memory, and of any format.
"""

from __future__ import annotations

import json
import tempfile
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mockrec.engine.replay.draft import Draft, draft_of
from mockrec.engine.replay.facts import Facts, Match, differences, facts_of, fits, has_marks, key_of
from mockrec.engine.replay.recorded import is_open_stream, recorded_view
from mockrec.engine.replay.target import host_of
from mockrec.engine.rules.request import RequestView
from mockrec.formats.errors import SessionError
from mockrec.formats.session import Reading, open_session

_MOST_NEAR = 50
"""Recordings that are looked at for what is nearest to a miss."""
_MOST_MISSES = 1000
_FIRST = frozenset({"request-initiated", "websocket-request"})
_TALK = frozenset({"websocket-message-received", "websocket-message-sent", "websocket-close"})

Spot = tuple[int, int]
"""Where something is in the temporary file: offset and length."""


@dataclass(slots=True, eq=False)
class Recording:
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
    that ended a stream of events."""
    said: list[Spot] = field(default_factory=list)
    """Interim answers, messages and the close, in their order."""
    pieces: array[float] = field(default_factory=lambda: array("d"))
    """When each piece of the answer's body was sent (monotonic milliseconds), and its size, in turn."""
    used: int = 0


@dataclass(slots=True, eq=False)
class _Track:
    """Recordings of the same request, in their order."""

    recordings: list[Recording] = field(default_factory=list)
    next: int = 0
    facts: Facts | None = None
    """With marks, where there are any."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What of a request stays in memory."""

    key: bytes
    path: Any
    marked: Facts | None
    """Its facts, if they have marks."""


@dataclass(slots=True)
class Miss:
    """No recording answers."""

    nearest: Recording | None = None
    differs: list[tuple[str, Any, Any]] = field(default_factory=list)
    """Places, recorded values, and those that were asked for."""
    used_up: bool = False


class Cassette:
    """The recordings of a session. Raises SessionError."""

    def __init__(self, path: str, match: Match, *, repeat: bool = True) -> None:
        """`repeat`: the last recording of a request goes on answering it."""
        self.path = path
        self.match = match
        self.folder: Path | None = None
        self.recordings: list[Recording] = []
        self.unanswered = 0
        """Requests without an answer to give again: their clients had left."""
        self.misses: Counter[str] = Counter()
        """Requests that no recording has answered → how often."""
        self.missed = 0
        self.reading: Reading
        """How the session was read: what was left out, and whether it was cut off."""
        self._repeat = repeat
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the run
        self._size = 0
        self._tracks: dict[bytes, dict[str, _Track]] = {}
        self._marked: dict[tuple[Any, Any], list[_Track]] = {}
        self._by_path: dict[Any, list[Recording]] = {}
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the temporary file go."""
        self._file.close()

    # ── reading the session ────────────────────────────────────────────────────────────────────────

    def _load(self) -> None:
        begun: dict[str, Recording] = {}
        asked: dict[str, _Asked] = {}
        with open_session(self.path) as session:
            self.folder = session.bodies_folder
            for _, record in session:
                kind, identity = record["type"], str(record.get("id") or "")
                if kind in _FIRST or kind == "request":
                    recording = begun.get(identity)
                    if recording is None:
                        recording = begun[identity] = Recording(identity, len(begun) + self.unanswered)
                    if kind != "request-initiated":
                        asked[identity] = self._take_request(recording, record)
                elif (recording := begun.get(identity)) is not None:
                    self._take_answer(recording, kind, record)
                    if kind == "abort" and recording.answer is None:
                        del begun[identity]  # the client had left
                        self.unanswered += 1
            self.reading = session.reading
        for identity, recording in begun.items():
            if recording.answer is None or recording.facts is None:
                self.unanswered += 1
            else:
                self._index(recording, asked[identity])

    def _take_request(self, recording: Recording, record: Mapping[str, Any]) -> _Asked:
        try:
            draft = draft_of(record, self.folder)
        except SessionError:
            draft = Draft("", "", [], b"", problem="its body cannot be read")
        view = recorded_view(record, draft)
        facts = facts_of(view, self.match, cut=bool(draft.problem))
        recording.host = host_of(record)[0]
        recording.name = f"{view.method} {view.path}{view.query_string}"
        recording.facts = self._keep_bytes(json.dumps(facts).encode())  # orjson has no large numbers
        return _Asked(key_of(facts), facts.get("path"), facts if has_marks(facts) else None)

    def _take_answer(self, recording: Recording, kind: str, record: Mapping[str, Any]) -> None:
        ended = kind == "abort" and recording.answer is None and (record.get("error") or is_open_stream(record))
        if kind in ("response", "websocket-accepted") or ended:
            recording.answer = self._keep(record)
        elif kind in _TALK or kind in ("response-information", "abort"):
            recording.said.append(self._keep(record))
        elif kind == "response-body-data":
            at, content = record.get("eventTimestamp"), record.get("content")
            size = content.get("size") if isinstance(content, Mapping) else None
            if isinstance(at, (int, float)) and isinstance(size, int) and size > 0:
                recording.pieces.extend((at, size))

    def _keep(self, value: Any) -> Spot:
        return self._keep_bytes(orjson.dumps(value))

    def _keep_bytes(self, data: bytes) -> Spot:
        self._file.write(data)
        spot = self._size, len(data)
        self._size += len(data)
        return spot

    def read(self, spot: Spot) -> Any:
        """What was kept there."""
        self._file.seek(spot[0])
        return json.loads(self._file.read(spot[1]))

    def _index(self, recording: Recording, asked: _Asked) -> None:
        self.recordings.append(recording)
        self._by_path.setdefault(asked.path, []).append(recording)
        tracks = self._tracks.setdefault(asked.key, {})
        track = tracks.get(recording.host)
        if track is None:
            track = tracks[recording.host] = _Track()
            if asked.marked is not None:
                track.facts = asked.marked
                self._marked.setdefault(_bucket(asked.marked), []).append(track)
        track.recordings.append(recording)

    # ── answering ──────────────────────────────────────────────────────────────────────────────────

    def find(self, request: RequestView, host: str | None) -> Recording | Miss:
        """The recording that answers a request now, and counts as used; `host`: it is for this one alone."""
        facts = facts_of(request, self.match)
        tracks = [*self._tracks.get(key_of(facts), {}).values()]
        for bucket in {_bucket(facts), (facts.get("method"), None)}:
            tracks += [track for track in self._marked.get(bucket, ()) if track.facts and fits(track.facts, facts)]
        if host is not None:
            tracks = [track for track in tracks if track.recordings[0].host == host]
        found = self._next(tracks)
        if found is not None:
            found.used += 1
            return found
        return self._missed(request, facts, host, tracks)

    def _next(self, tracks: list[_Track]) -> Recording | None:
        fresh = [track for track in tracks if track.next < len(track.recordings)]
        if fresh:
            track = min(fresh, key=lambda one: one.recordings[one.next].number)
            track.next += 1
            return track.recordings[track.next - 1]
        if tracks and self._repeat:
            return max((track.recordings[-1] for track in tracks), key=lambda one: one.number)
        return None

    def _missed(self, request: RequestView, facts: Facts, host: str | None, tracks: list[_Track]) -> Miss:
        self.missed += 1
        name = f"{request.method} {request.path}{request.query_string}"
        if name in self.misses or len(self.misses) < _MOST_MISSES:
            self.misses[name] += 1
        if tracks:
            return Miss(tracks[-1].recordings[-1], used_up=True)
        miss = Miss()
        for recording in self._near(facts):
            assert recording.facts is not None
            differs = list(differences(self.read(recording.facts), facts))
            if host is not None and recording.host != host:
                differs.append(("host", recording.host, host))
            if miss.nearest is None or len(differs) < len(miss.differs):
                miss.nearest, miss.differs = recording, differs
        return miss

    def _near(self, facts: Facts) -> list[Recording]:
        """Recordings of the same path, or else of the path that is written most alike."""
        path = facts.get("path")
        if path not in self._by_path and isinstance(path, str):
            import difflib

            paths = [one for one in self._by_path if isinstance(one, str)][:1000]
            path = next(iter(difflib.get_close_matches(path, paths, 1, 0.3)), None)
        return self._by_path.get(path, [])[:_MOST_NEAR]

    def mismatch(self, what: str) -> None:
        """Something in the course of a recording went otherwise."""
        self.missed += 1
        if what in self.misses or len(self.misses) < _MOST_MISSES:
            self.misses[what] += 1

    def unused(self) -> list[Recording]:
        """The recordings that nobody has asked for."""
        return [recording for recording in self.recordings if not recording.used]


def _bucket(facts: Facts) -> tuple[Any, Any]:
    """Where recordings with marks are looked for: under their path, unless that has marks itself."""
    path = facts.get("path")
    return facts.get("method"), None if path is None or "redacted-" in path else path
