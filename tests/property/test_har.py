"""JSON Lines → HAR → JSON Lines: every record comes back as it was, byte for byte, and the HAR is one for every reader."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.har.delta import diff, patch
from mockrec.formats.har.sink import HarSink
from mockrec.formats.har.split import Splitter
from mockrec.formats.schema.errors import OutputError, SessionError
from mockrec.formats.schema.events import EVENT_CLASSES, to_record
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.session import Session

Record = dict[str, Any]


def _events_module() -> Any:
    """The strategies for events live with the test of their lines."""
    name = "mockrec_property_events"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("test_log_records.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


events_module = _events_module()
JSON = events_module.JSON

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Memory:
    """A `Growing` file in memory that keeps everything that was ever seen."""

    name = "s.har"
    locked = True

    def __init__(self) -> None:
        self.grown = b""
        self.seen: list[bytes] = []

    def grow(self, data: bytes) -> None:
        self.grown += data

    def show(self, tail: bytes) -> None:
        self.seen.append(self.grown + tail)

    def check(self, now: float) -> None:
        pass

    def rescue(self, tail: bytes) -> str:
        raise AssertionError("nothing was lost")

    def finish(self, tail: bytes | None) -> None:
        assert tail is not None
        self.show(tail)


def har_of(lines: bytes, *, live: bool = False) -> tuple[bytes, list[bytes]]:
    """The HAR of a session, and what was seen of it on the way: `live` shows it after each record."""
    file = Memory()
    sink = HarSink(file)
    for line in lines.splitlines(keepends=True) if live else [lines]:
        sink.write(line)
        if live:
            sink.sync_point(None)
    sink.close()
    return file.seen[-1], file.seen


def read(data: bytes) -> tuple[list[bytes], Session]:
    session = Session(Source("s.har", io.BytesIO(data)))
    lines = [line.raw for line in session.scan()]
    assert session.problems == []
    return lines, session


IDS = [f"01890a5d-ac96-774b-bcce-b302099a805{number}" for number in range(3)]


URLS = st.from_regex(
    r"(https?|wss?)://[a-zé\[\]:@0-9%. ]{0,8}(/[\x20-\xff]{0,5})?(\?[\x20-\u2fff&=%+#]{0,9})?", fullmatch=True
)


@st.composite
def sequences(draw: st.DrawFn) -> list[Record]:
    """Records of any types in any order, of few exchanges, so that they belong together."""
    kinds = draw(st.lists(st.sampled_from([*EVENT_CLASSES, "later"]), max_size=12))
    records = []
    for kind in kinds:
        record = to_record(draw(events_module.events(kind)))
        identity = draw(st.sampled_from(IDS))
        record.update({key: identity for key in ("id", "streamId", "requestId") if key in record})
        if "url" in record and draw(st.booleans()):
            record["url"] = draw(URLS)
        if draw(st.booleans()):
            record["seq"] = len(records)
        records.append(record)
    return records


Problems = Callable[[Any], list[str]]


def assert_same(records: list[Record], har_problems: Problems, *, live: bool = False) -> None:
    lines = encode_lines(records)
    data, seen = har_of(lines, live=live)
    assert b"\n".join([*read(data)[0], b""]) == lines
    for moment in seen[-3:]:
        assert har_problems(orjson.loads(moment)) == []


@some
@given(sequences())
def test_any_records_in_any_order_come_back_as_they_were(har_problems: Problems, records: list[Record]) -> None:
    # Not as the first record: whether such a session can be read at all depends on its schemaVersion.
    assert_same([{"type": "before"}, *records], har_problems)


@few
@given(sequences())
def test_live_too_and_the_file_is_whole_at_every_moment(har_problems: Problems, records: list[Record]) -> None:
    assert_same([{"type": "before"}, *records], har_problems, live=True)


@pytest.mark.parametrize("kind", [*EVENT_CLASSES, "later"])
@few
@given(data=st.data())
def test_every_type_alone(har_problems: Problems, kind: str, data: st.DataObject) -> None:
    assert_same([{"type": "before"}, to_record(data.draw(events_module.events(kind)))], har_problems)


STORIES = [
    "request-initiated request response",
    "request-initiated request-body-data request-body-data request response-information response-initiated "
    "response-body-data response-body-data response rule-event",
    "request-initiated response request request-body-data",
    "request-initiated rule-event abort",
    "request-initiated request response-initiated abort",
    "websocket-request websocket-accepted websocket-message-sent websocket-message-received websocket-close",
    "request-initiated websocket-request websocket-accepted websocket-message-received abort",
    "websocket-request response",
    "tls-client-error client-error tls-passthrough-opened tls-passthrough-closed gap",
    "raw-passthrough-opened raw-passthrough-data raw-passthrough-closed rules-reloaded callback-error",
    "request-initiated request",
]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("story", STORIES)
@few
@given(data=st.data())
def test_valid_sequences(har_problems: Problems, story: str, live: bool, data: st.DataObject) -> None:
    records = []
    for seq, kind in enumerate(["session-started", *story.split(), "session-ended"]):
        record = to_record(data.draw(events_module.events(kind)))
        record |= {"seq": seq} | ({"schemaVersion": 1} if kind == "session-started" else {})
        record.update({key: IDS[0] for key in ("id", "streamId", "requestId") if key in record})
        records.append(record)
    assert_same(records, har_problems, live=live)


# ── residuals ──────────────────────────────────────────────────────────────────────────────────────

OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "set", "within"]), JSON, max_size=4)


@some
@given(OBJECTS, OBJECTS)
def test_a_difference_can_be_undone_exactly(value: Record, implied: Record) -> None:
    residual = orjson.loads(orjson.dumps(diff(value, implied)))
    assert orjson.dumps(patch(implied, residual)) == orjson.dumps(value)


@some
@given(OBJECTS, JSON)
def test_a_damaged_residual_gives_something(implied: Record, residual: Any) -> None:
    patch(implied, residual if isinstance(residual, dict) else {"set": residual, "within": residual, "order": residual})


# ── taking apart ───────────────────────────────────────────────────────────────────────────────────

LOGS = st.fixed_dictionaries({"version": JSON}, optional={"entries": st.lists(JSON, max_size=4), "other": JSON})
STYLES: dict[str, Any] = {
    "compact": {"separators": (",", ":")},
    "spaced": {},
    "pretty": {"indent": 2},
    "escaped": {"ensure_ascii": True, "indent": "\t"},
}


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@pytest.mark.parametrize("style", STYLES)
@some
@given(log=LOGS, sizes=st.lists(st.integers(0, 20), max_size=20))
def test_a_har_is_taken_apart_however_it_is_written_and_comes(style: str, log: Record, sizes: list[int]) -> None:
    data = json.dumps({"comment": "x", "log": log}, **STYLES[style]).encode()
    splitter = Splitter("s.har", iter(cut(data, sizes)))
    members = list(splitter)
    assert not splitter.torn
    assert [member.problem for member in members] == [""] * len(members)
    entries = [member.value for member in members if member.index is not None]
    assert entries == log.get("entries", [])
    assert {member.key: member.value for member in members if member.index is None} == {
        key: value for key, value in log.items() if key != "entries"
    }


@some
@given(log=LOGS, data=st.data())
def test_a_har_that_is_cut_off_is_read_up_to_the_cut(log: Record, data: st.DataObject) -> None:
    whole = json.dumps({"log": log}).encode()
    splitter = Splitter("s.har", [whole[: data.draw(st.integers(0, len(whole) - 1))]])
    entries = [member.value for member in splitter if member.index is not None]
    assert splitter.torn
    assert entries == log.get("entries", [])[: len(entries)]


# ── damage ─────────────────────────────────────────────────────────────────────────────────────────


def read_everything(data: bytes) -> None:
    try:
        session = Session(Source("s.har", io.BytesIO(data)))
        for line in session.scan():
            assert (line.record is None) == bool(line.problem)
        assert all(isinstance(problem, str) for problem in session.problems)
    except SessionError:
        pass


@some
@given(records=sequences(), data=st.data())
def test_a_damaged_har_is_refused_or_read_as_far_as_it_goes(records: list[Record], data: st.DataObject) -> None:
    har, _ = har_of(encode_lines([{"type": "before"}, *records]))
    start = data.draw(st.integers(0, len(har)))
    end = data.draw(st.integers(start, min(start + 10, len(har))))
    read_everything(har[:start] + data.draw(st.binary(max_size=10)) + har[end:])


def places(value: Any) -> list[tuple[Any, Any]]:
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += [(value, key), *places(inner)]
    return found


@some
@given(records=sequences(), foreign=st.booleans(), data=st.data())
def test_a_value_of_any_type_anywhere_breaks_no_reader(
    records: list[Record], foreign: bool, data: st.DataObject
) -> None:
    """A HAR that was changed by hand, or by a tool of another opinion."""
    har = orjson.loads(har_of(encode_lines([{"type": "before"}, *records]))[0])
    if foreign:
        del har["log"]["_mockrecSession"]
    container, key = data.draw(st.sampled_from(places(har)[1:]))
    container[key] = data.draw(JSON)
    read_everything(orjson.dumps(har))


@few
@given(sequences())
def test_gzip_is_read_too(records: list[Record]) -> None:
    lines = encode_lines([{"type": "before"}, *records])
    assert b"\n".join([*read(gzip.compress(har_of(lines)[0]))[0], b""]) == lines


def test_what_cannot_be_written_is_not_written_over() -> None:
    """A failure is told once, and the sink leaves the file as it was seen."""

    class Full(Memory):
        def grow(self, data: bytes) -> None:
            raise OutputError("s.har", "no space left on device")

        def finish(self, tail: bytes | None) -> None:
            assert tail is None

    sink = HarSink(Full())
    sink.write(b'{"type":"gap"}\n')
    with pytest.raises(OutputError):
        sink.sync_point(None)
    sink.close()
