"""The log as a whole: every event survives its line, and no file, whole or not, breaks a reader."""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockrec.cli.exchange_report import story
from mockrec.formats.analysis.verify import Audit
from mockrec.formats.files.frames import gzip_member, zstd_frames
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.schema.body import Body, encode_body
from mockrec.formats.schema.codec import FreeData, Headers, LogObject, RawHeaders, specs, write_object
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.schema.events import EVENT_CLASSES, Event, check_record, parse_event, to_record
from mockrec.formats.schema.session_events import UnknownEvent
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.rows import rows_of
from mockrec.formats.sessions.session import Session

Record = dict[str, Any]

few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# ── events ─────────────────────────────────────────────────────────────────────────────────────────

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)
UNKNOWN_KEYS = st.dictionaries(TEXTS.map("later-".__add__), JSON, max_size=2)
HEADER_NAMES = st.text("abc-019", min_size=1, max_size=6)
HEADERS = st.builds(
    lambda plain, cookies: plain | cookies,
    st.dictionaries(HEADER_NAMES, TEXTS, max_size=2),
    st.fixed_dictionaries({}, optional={"set-cookie": st.lists(TEXTS, max_size=2)}),
)
TIMESTAMPS = st.datetimes(datetime.datetime(1970, 1, 1)).map(lambda time: f"{time.isoformat('T', 'microseconds')}Z")


def beside(data: bytes) -> Record:
    digest = hashlib.sha256(data).hexdigest()
    return {"size": len(data), "file": f"{digest[:2]}/{digest}", "sha256": digest}


BODIES = st.builds(
    lambda kept, more, unknown: Body.from_record({**kept, **more, **unknown}),
    st.one_of(
        st.binary(max_size=8).map(encode_body),
        st.binary(max_size=8).map(beside),
        st.binary(max_size=8).map(
            lambda data: {"size": len(data), "text": data.decode("latin-1"), "charset": "latin-1"}
        ),
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "contentEncoding": TEXTS,
            "encodedSize": st.integers(0, 2**63),
            "raw": st.binary(max_size=5).map(lambda data: base64.b64encode(data).decode()),
            "truncated": st.just(True),
            "redacted": st.just(True),
            "undecodable": st.just(True),
            "incomplete": st.just(True),
        },
    ),
    UNKNOWN_KEYS,
)
BY_HINT: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: INTEGERS,
    float: st.one_of(NUMBERS, INTEGERS),
    bool: st.booleans(),
    Body: BODIES,
    list[str]: st.lists(TEXTS, max_size=2),
    dict[str, int]: st.dictionaries(TEXTS, INTEGERS, min_size=1, max_size=2),
    dict[str, Any]: st.dictionaries(TEXTS, JSON, min_size=1, max_size=2),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """What a field of that type may hold."""
    if hint == Headers:
        return HEADERS
    if hint == RawHeaders:
        return st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=2)
    if hint == FreeData:
        return st.dictionaries(TEXTS, JSON, max_size=3)
    if hint in BY_HINT:
        return BY_HINT[hint]
    if get_origin(hint) is list:
        return st.lists(values(get_args(hint)[0]), max_size=2)
    return shapes(hint)


def shapes(cls: type[LogObject], **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any object of that class that has something to say: an empty one is not written."""
    required = {spec.name: values(spec.hint) for spec in specs(cls) if spec.required}
    optional = {spec.name: values(spec.hint) for spec in specs(cls) if not spec.required}
    return st.builds(
        lambda given, unknown: cls(**given, extra=unknown),
        st.fixed_dictionaries({**required, **fixed}, optional=optional),
        UNKNOWN_KEYS,
    ).filter(write_object)


@cache
def events(kind: str) -> st.SearchStrategy[Event]:
    cls = EVENT_CLASSES.get(kind, UnknownEvent)
    return shapes(cls, type=st.just(kind), timestamp=TIMESTAMPS)


KINDS = [*EVENT_CLASSES, "later"]
RECORDS = st.sampled_from(KINDS).flatmap(events).map(to_record)


def session_of(data: bytes) -> Session:
    return Session(Source("s.jsonl", io.BytesIO(data)))


@pytest.mark.parametrize("kind", KINDS)
@few
@given(data=st.data())
def test_every_event_comes_back_from_its_line(kind: str, data: st.DataObject) -> None:
    event = data.draw(events(kind))
    # Not as the first record: whether such a session can be read at all depends on its schemaVersion.
    lines = encode_lines([{"type": "before"}, to_record(event)])
    (_, (_, read)) = session_of(lines)
    assert parse_event(read) == event
    assert to_record(parse_event(read)) == read


@pytest.mark.parametrize("kind", EVENT_CLASSES)
@few
@given(data=st.data())
def test_every_event_is_as_the_schema_says(kind: str, data: st.DataObject) -> None:
    assert check_record(to_record(data.draw(events(kind)))) == []


# ── files cut off ──────────────────────────────────────────────────────────────────────────────────

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip_member, "zstd": zstd_frames()}
SESSIONS = st.lists(RECORDS, max_size=4).map(
    lambda records: [{"type": "session-started", "schemaVersion": 1}, *records, {"type": "session-ended"}]
)


def packed(records: list[Record], compression: str) -> tuple[bytes, list[int]]:
    """The file, and where the frames end: each record has its own."""
    frames = [COMPRESSORS[compression](encode_lines([record])) for record in records]
    return b"".join(frames), list(accumulate(map(len, frames)))


@pytest.mark.parametrize("compression", COMPRESSORS)
@some
@given(records=SESSIONS, data=st.data())
def test_a_file_cut_anywhere_is_read_up_to_the_cut(
    compression: str, records: list[Record], data: st.DataObject
) -> None:
    file, ends = packed(records, compression)
    cut = data.draw(st.integers(0, len(file)))
    session = session_of(file[:cut])
    read = [record for _, record in session]
    whole = sum(end <= cut for end in ends)
    # A line may be whole where only its end, or the end of its frame, is missing.
    assert read in (records[:whole], records[: whole + 1])
    assert bool(session.torn) == (cut not in (0, *ends) and (compression != "plain" or cut + 1 not in ends))
    assert session.complete == (len(read) == len(records) and not session.torn)


@pytest.mark.parametrize("compression", COMPRESSORS)
@some
@given(records=SESSIONS, data=st.data())
def test_records_in_one_frame_are_read_up_to_the_cut(
    compression: str, records: list[Record], data: st.DataObject
) -> None:
    file = COMPRESSORS[compression](encode_lines(records))
    cut = data.draw(st.integers(0, len(file) - 2))
    session = session_of(file[:cut])
    read = [record for _, record in session]
    assert read == records[: len(read)]
    assert session.cut_off


# ── files that are something else ──────────────────────────────────────────────────────────────────

GARBAGE = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=100).map(b"{".__add__),
    st.binary(max_size=100).map(b"\x1f\x8b".__add__),
    st.binary(max_size=100).map(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".__add__),
    st.binary(max_size=100).map(b"\x28\xb5\x2f\xfd".__add__),
    st.text(st.sampled_from('{}[]",:\\u\n\r\t \ufeff01eE+-.ntfalsype'), max_size=80).map(str.encode),
    st.lists(JSON.map(lambda value: json.dumps(value).encode()), max_size=4).map(b"\n".join),
)


def read_everything(data: bytes) -> None:
    """Reads as `verify` and as `show` do: only a `SessionError` may come of it."""
    with suppress(SessionError):
        for line in session_of(data).scan():
            assert (line.record is None) == bool(line.problem)
    with suppress(SessionError):
        list(rows_of(session_of(data)))


@some
@given(GARBAGE)
def test_garbage_is_refused_or_read_as_lines(data: bytes) -> None:
    read_everything(data)


@pytest.mark.parametrize("compression", COMPRESSORS)
@some
@given(records=SESSIONS, data=st.data())
def test_a_damaged_file_is_refused_or_read_as_lines(
    compression: str, records: list[Record], data: st.DataObject
) -> None:
    file, _ = packed(records, compression)
    start = data.draw(st.integers(0, len(file)))
    end = data.draw(st.integers(start, min(start + 10, len(file))))
    read_everything(file[:start] + data.draw(st.binary(max_size=10)) + file[end:])


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) at any depth."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += [(value, key), *places(inner)]
    return found


@pytest.mark.parametrize("kind", KINDS)
@few
@given(data=st.data())
def test_a_value_of_any_type_anywhere_breaks_no_reader(kind: str, data: st.DataObject) -> None:
    """A record edited by hand is shown and complained about, never a reason to fail."""
    record = json.loads(encode_lines([to_record(data.draw(events(kind)))]))
    container, key = data.draw(st.sampled_from([place for place in places(record) if place[1] != "type"]))
    container[key] = data.draw(JSON)
    audit = Audit(None, None)
    audit.check(1, record)
    audit.finish()
    assert audit.counts == {kind: 1}
    assert all(isinstance(row.id, str) for row in rows_of([(1, record)]))
    assert list(story([record], None))


# ── values that JSON has no form for ───────────────────────────────────────────────────────────────


class Stubborn:
    def __str__(self) -> str:
        raise RuntimeError("I have no text")


@dataclass
class Note:
    text: str


ANY_TEXT = st.text(max_size=8)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**64, 2**20000),
    st.floats(),
    ANY_TEXT,
    st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3),
    st.binary(max_size=8),
    st.builds(bytearray, st.binary(max_size=8)),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.uuids(),
    st.datetimes(timezones=st.one_of(st.none(), st.timezones())),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.builds(Note, ANY_TEXT),
    st.builds(Stubborn),
    st.builds(object),
    st.functions(),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(iter),
        st.frozensets(st.one_of(st.integers(), ANY_TEXT, st.binary()), max_size=3),
        st.dictionaries(st.one_of(ANY_TEXT, st.integers(), st.none(), st.binary(), st.booleans()), inner, max_size=3),
    ),
    max_leaves=8,
)


def nested(value: Any, depth: int) -> Any:
    for level in range(depth):
        value = [value] if level % 2 else {"deeper": value}
    return value


@some
@given(st.lists(st.builds(nested, ANYTHING, st.sampled_from([0, 0, 0, 1, 199, 200, 201, 254, 300])), max_size=4))
def test_no_record_is_lost_whatever_was_emitted(emitted: list[Any]) -> None:
    records = [
        {"seq": seq, "type": "rule-event", "eventData": {"value": value}, "id": "x"}
        for seq, value in enumerate(emitted)
    ]
    lines = encode_lines(records)
    assert lines.count(b"\n") == len(records)
    read = [record for _, record in session_of(lines)]
    assert [record["seq"] for record in read] == list(range(len(records)))
    assert all(list(record) == ["seq", "type", "eventData", "id"] for record in read)
    assert all(list(record["eventData"]) == ["value"] for record in read)


@some
@given(JSON)
def test_what_json_can_hold_is_written_as_it_is(value: Any) -> None:
    """Also where another value of the record had to be converted."""
    assert json.loads(encode_lines([{"value": value}])) == {"value": value}
    assert json.loads(encode_lines([{"value": value, "other": b""}]))["value"] == value
