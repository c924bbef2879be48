"""Records → columns → records: whatever a line says comes back, valid or not."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.lines import lines_of
from mockrec.formats.schema.events import EVENT_CLASSES, to_record

Record = dict[str, Any]

some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _log_records() -> Any:
    """The strategies for events stand beside the tests of lines; test modules cannot import one another."""
    spec = importlib.util.spec_from_file_location("log_records", Path(__file__).with_name("test_log_records.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


LOG = _log_records()


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: `1` and `1.0` are one number, but `1` is not `true`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def through_columns(lines: bytes) -> bytes:
    return lines_of(TableMaker().table(lines))


def check(records: list[Record]) -> None:
    lines = encode_lines(records)
    back = through_columns(lines)
    assert back.endswith(b"\n") or not records
    # What JSON has no form for was converted when the lines were made.
    said = [json.loads(line) for line in lines.splitlines()]
    read = [json.loads(line) for line in back.splitlines()]
    assert len(read) == len(said)
    for one, other in zip(said, read, strict=True):
        assert same(one, other), (one, other)


@pytest.mark.parametrize("kind", [*EVENT_CLASSES, "later"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_event_comes_back(kind: str, data: st.DataObject) -> None:
    check([to_record(data.draw(LOG.events(kind)))])


@some
@given(st.lists(LOG.RECORDS, max_size=6))
def test_sessions_come_back_in_their_order(records: list[Record]) -> None:
    check(records)


@some
@given(st.lists(LOG.RECORDS, min_size=1, max_size=3), st.data())
def test_records_that_are_not_as_the_schema_says_come_back(records: list[Record], data: st.DataObject) -> None:
    """Edited by hand, or written by a version to come: another value somewhere, or another type."""
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(LOG.places(records)))
        if container is not records:
            container[key] = data.draw(LOG.JSON)
    check(records)


@example({"type": "request", "content": {"size": 1, "text": "a"}, "body": {"size": 1, "text": "b"}})
@example({"type": "response-body-data", "content": {"size": 1, "text": "a"}, "body": {"size": 1, "text": "b"}})
@example({"type": "client-error", "error": {"code": "E"}, "errorCode": "F"})
@example({"type": "abort", "errorCode": "F"})
@example({"type": "session-started", "timingEvents": {"startTime": 1.0, "startTimestamp": 2.0}, "startTime": 3.0})
@example({"type": "request", "tlsMetadata": {}})
@example({"type": "abort", "error": {}})
@example({"type": "request", "rawHeaders": [["A", "b"]]})
@example({"type": "request", "headers": {"a": "b"}})
@example({"type": "request", "headers": {}, "rawHeaders": []})
@example({"type": "request", "headers": None, "rawHeaders": []})
@example({"type": "response", "trailers": None, "rawTrailers": []})
@example({"type": "request", "headers": {"a": "c"}, "rawHeaders": [["A", "b"]]})
@example({"type": "request", "rawHeaders": [["A"]], "headers": {"a": "b"}})
@example({"type": "request", "headers": {"À": "\xff", "set-cookie": ["a"]}, "rawHeaders": [["À", "\xff"]]})
@example({"type": "response", "body": {"size": 1, "base64": "/x=="}})
@example({"type": "response", "body": {"size": 1, "base64": "/w=="}})
@example({"type": "response", "body": {"size": 1, "base64": "/w==", "truncated": False}})
@example({"type": "response", "duration": 2**53 + 1})
@example({"type": "response", "duration": 2**64 - 1, "seq": 2**64 - 1})
@example({"type": "response", "duration": 1e300, "timingEvents": {"startTime": -0.0, "startTimestamp": 2**60 + 1}})
@example({"type": "response", "statusCode": 2**15})
@example({"type": "response", "statusCode": True})
@example({"type": "response", "timestamp": "2023-02-29T00:00:00.000000Z"})
@example({"type": "response", "timestamp": "0001-01-01T00:00:00.000000Z"})
@example({"type": "response", "timestamp": "2024-01-01T24:00:00.000000Z"})
@example({"type": "response", "timestamp": "2024-01-01T00:00:00.0000000Z"})
@example({"type": "response", "timestamp": "２024-01-01T00:00:00.000000Z"})
@example({"type": "response", "timestamp": None})
@example({"type": "rule-event", "eventData": {"n": 10**15, "f": 1e22, "s": "\x00\x7f\u2028"}})
@example({"type": "rule-event", "eventData": None})
@example({"type": None})
@example({"extra": {"extra": 1}, "type": "extra"})
@example({})
@some
@given(st.dictionaries(LOG.TEXTS, LOG.JSON, max_size=4))
def test_any_object_comes_back(record: Record) -> None:
    check([record, {"seq": 1, "type": "gap", "counts": {"request": 1}}, record])


def test_lines_written_in_another_way_come_back() -> None:
    """Escapes, spaces and the order of keys are no part of a record."""
    line = b' { "type" : "request", "url":"\\u0041\\/", "seq":1 ,"rawHeaders" : [ ["A","\\u00e9"] ],"headers":{"a":"\xc3\xa9"} } '
    assert through_columns(line + b"\r\n\n") == (
        '{"seq":1,"type":"request","url":"A/","headers":{"a":"é"},"rawHeaders":[["A","é"]]}\n'.encode()
    )
