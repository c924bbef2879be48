"""What becomes part of a cassette: the complete exchanges with servers among those that had no recording."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mockrec.engine.replay.session.recorded import is_open_stream
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import RecordError, SessionError
from mockrec.formats.schema.lenient import object_of
from mockrec.formats.schema.lifecycle import COMPLETE_TYPES, DEFAULT_EVENTS, TERMINAL_TYPES
from mockrec.formats.sessions.append import Addition, add_to_session
from mockrec.formats.sessions.session import open_session

_ANSWERED = frozenset({"passthrough-response-head"})
"""Types of rule-events: a server has answered, so that the response is not one of mockrec's own."""
_LAST_EVENT = re.compile(rb"(?:^|[\r\n])(?:data: ?\[DONE\]|event: ?message_stop[\r\n]+data:[^\r\n]*)\s*\Z")
"""The last event of a stream of a language model: of OpenAI's API and its kin, or of Anthropic's."""
_LONGEST_EVENT = 1000
"""Bytes at the end of a stream that are searched for its last event."""
_CHUNKS = "response-body-data"


@dataclass(slots=True)
class _Exchange:
    """What is known of one exchange of the kept log."""

    has_request: bool = False
    answered: bool = False
    ended: bool = False
    why: str = ""
    """Why it cannot become part of a cassette."""
    chunks: int = 0
    has_length: bool = False

    @property
    def is_stream(self) -> bool:
        """Whether the times of the body's chunks are worth their space."""
        return self.chunks > 1 and not self.has_length


@dataclass(slots=True)
class Selected:
    """The exchanges of a log that can be added to a cassette."""

    addition: Addition | None
    """None: there are none."""
    count: int = 0
    left_out: list[str] = field(default_factory=list)
    """The other exchanges, and why, a line each."""


@dataclass(slots=True)
class Added:
    """What was added to a cassette."""

    count: int
    left_out: list[str]
    """The exchanges that were not added, and why, a line each."""
    lost: int = 0
    """Bodies that could not be copied."""


def add_exchanges(
    path: str, log: str, wanted: Collection[str], *, file_mode: int, is_new: bool, bodies: Path | None = None
) -> Added:
    """Add the complete exchanges among those with these ids from the log of a run to the cassette at `path`.

    `is_new`: it was not there when the run began. `bodies`: the folder of the log's bodies, if it is not next to it.
    Raises FormatError; the cassette is as it was then.
    """
    own_events: list[str] = []
    if not is_new:
        with open_session(path) as session:
            events = (session.header or {}).get("events")
            own_events = [str(name) for name in events] if isinstance(events, list) else []
    selected = select_exchanges(log, wanted, own_events, bodies)
    lost = 0 if selected.addition is None else add_to_session(path, selected.addition, file_mode=file_mode)
    return Added(selected.count, selected.left_out, lost)


def select_exchanges(
    log: str, wanted: Collection[str], events: Collection[str] = (), bodies: Path | None = None
) -> Selected:
    """Return what the log of a run holds of the exchanges with these ids. `events`: types that are kept in addition to
    the default ones; `bodies`: see `add_exchanges`. Raises SessionError."""
    found: dict[str, _Exchange] = {}
    names: dict[str, str] = {}
    started: Mapping[str, Any] = {}
    ended: Mapping[str, Any] = {}
    with open_session(log) as session:
        folder = bodies or session.bodies_folder
        for _, record in session:
            kind, identity = record["type"], str(record.get("id") or "")
            if kind == "session-started":
                started = started or record
            elif kind == "session-ended":
                ended = record
            elif identity in wanted:
                _look_at(found.setdefault(identity, _Exchange()), kind, record, folder)
                if record.get("url"):
                    names[identity] = f"{record.get('method', 'GET')} {record['url']}"
    complete = {identity: one for identity, one in found.items() if _problem(one) == ""}
    left_out = [f"{names.get(one, one)}: {_problem(found.get(one))}" for one in wanted if one not in complete]
    if not complete or not started:
        return Selected(None, 0, left_out)
    types = frozenset({*DEFAULT_EVENTS, *events})
    every = (*DEFAULT_EVENTS, *sorted({*events, _CHUNKS} - {*DEFAULT_EVENTS}))
    addition = Addition(
        lambda: _lines(log, complete, types), started, ended, folder if folder and folder.is_dir() else None, every
    )
    return Selected(addition, len(complete), left_out)


def _look_at(one: _Exchange, kind: str, record: Mapping[str, Any], folder: Path | None) -> None:
    if kind in COMPLETE_TYPES:
        one.has_request = True
        if object_of(record.get("body")).get("truncated"):
            one.why = "its request is longer than record.maxBodySize"
    elif (kind == "rule-event" and record.get("eventType") in _ANSWERED) or kind == "websocket-accepted":
        one.answered = True
    elif kind == _CHUNKS:
        one.chunks += 1
    if kind == "response":
        one.has_length = "content-length" in object_of(record.get("headers"))
        if object_of(record.get("body")).get("truncated"):
            one.why = "its response is longer than record.maxBodySize"
    if kind in TERMINAL_TYPES:
        one.ended = True
        if kind == "abort" and not _is_left_stream(record, folder):
            one.why = "it broke off"


def _is_left_stream(record: Mapping[str, Any], folder: Path | None) -> bool:
    """Whether an `abort` is that of an event stream whose client left after the last event, as SDKs of language models
    do: they do not wait for the end of the response."""
    body = object_of(object_of(record.get("response")).get("body"))
    if not is_open_stream(record):
        return False
    try:
        data = Body.from_record({**body, "truncated": False}, folder).bytes
    except (RecordError, SessionError):
        return False
    return _LAST_EVENT.search(data[-_LONGEST_EVENT:]) is not None


def _problem(one: _Exchange | None) -> str:
    if one is None or not one.ended:
        return "it had not ended"
    if one.why:
        return one.why
    if not one.has_request:
        return "its request was not complete"
    return "" if one.answered else "its server has not answered"


def _lines(log: str, complete: Mapping[str, _Exchange], types: frozenset[str]) -> Iterator[bytes]:
    """Yield the lines of complete exchanges."""
    with open_session(log) as session:
        for line in session.scan():
            record = line.record
            one = None if record is None else complete.get(str(record.get("id") or ""))
            if record is None or one is None:
                continue
            if record["type"] in types or (record["type"] == _CHUNKS and one.is_stream):
                yield line.raw
