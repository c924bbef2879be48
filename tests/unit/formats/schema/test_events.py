"""Every event type: from a record to a typed event and back, and what is wrong with a record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import LogObject, specs
from mockrec.formats.schema.errors import RecordError
from mockrec.formats.schema.events import (
    DEFAULT_EVENTS,
    EVENT_CLASSES,
    EVENT_TYPES,
    FIRST_TYPES,
    TERMINAL_TYPES,
    check_record,
    parse_event,
    to_record,
)
from mockrec.formats.schema.exchange_events import Abort, Response
from mockrec.formats.schema.session_events import UnknownEvent

Record = dict[str, Any]


def required_keys(kind: str) -> list[str]:
    return [spec.key for spec in specs(EVENT_CLASSES[kind]) if spec.required]


def test_a_complete_record_becomes_its_event_and_the_same_record_again(any_record: Record) -> None:
    event = parse_event(any_record)
    assert type(event) is EVENT_CLASSES[any_record["type"]]
    assert to_record(event) == any_record


def test_keys_are_written_in_the_order_of_the_schema(any_record: Record) -> None:
    assert list(to_record(parse_event(any_record))) == list(any_record)


def test_keys_begin_with_seq_type_timestamp_and_id(any_record: Record) -> None:
    written = list(to_record(parse_event(any_record)))
    assert written[:3] == ["seq", "type", "timestamp"]
    assert "id" not in written or written.index("id") == 3


def test_every_key_has_an_attribute(any_record: Record) -> None:
    unknown = []
    todo: list[Any] = [parse_event(any_record)]
    while todo:
        value = todo.pop()
        if isinstance(value, (LogObject, Body)):
            unknown += list(value.extra)
            todo += [getattr(value, item.name) for item in fields(value)]
        elif isinstance(value, list):
            todo += value
    assert unknown == []


def test_every_attribute_has_a_key(any_record: Record) -> None:
    """So the complete records of these tests leave nothing untested."""
    assert {spec.key for spec in specs(EVENT_CLASSES[any_record["type"]])} == set(any_record)


def test_a_complete_record_has_no_problems(any_record: Record) -> None:
    assert check_record(any_record) == []


def test_a_record_with_only_what_is_required_is_read_and_written(any_record: Record) -> None:
    least = {key: any_record[key] for key in required_keys(any_record["type"])}
    assert check_record(least) == []
    assert to_record(parse_event(least)) == least


def test_each_required_key_is_missed(any_record: Record) -> None:
    for key in required_keys(any_record["type"]):
        record = {name: value for name, value in any_record.items() if name != key}
        if key == "type":
            assert check_record(record) == ["type: is missing"]
        else:
            assert check_record(record) == [f"{key}: is missing"]
            with pytest.raises(RecordError, match=rf"{key} is missing$"):
                parse_event(record)


def test_unknown_keys_are_kept_and_no_problem(any_record: Record) -> None:
    any_record["later"] = {"a": [1, None]}
    event = parse_event(any_record)
    assert event.extra == {"later": {"a": [1, None]}}
    assert to_record(event) == any_record
    assert check_record(any_record) == []


def test_a_null_is_a_problem_and_never_written(any_record: Record) -> None:
    for key, value in any_record.items():
        if key in ("seq", "type", "timestamp"):
            continue
        changed = {**any_record, key: None}
        assert check_record(changed) == [f"{key}: is null"], key
        if not isinstance(value, (dict, list)):
            assert key not in to_record(parse_event(changed))


def test_attributes_are_typed(record_of: Callable[[str], Record]) -> None:
    event = parse_event(record_of("response"))
    assert isinstance(event, Response)
    assert (event.status_code, event.status_message, event.duration) == (201, "Created", 3.25)
    assert event.body.text == "hello"
    assert event.headers["set-cookie"] == ["a=1", "b=2"]
    assert event.timing_events.headers_sent_timestamp == 1002.0
    assert event.matched_rule_id == "greet"


def test_objects_inside_objects_are_typed(record_of: Callable[[str], Record]) -> None:
    event = parse_event(record_of("abort"))
    assert isinstance(event, Abort)
    assert event.error is not None
    assert event.error.code == "ECONNRESET"
    assert event.response is not None
    assert event.response.body == Body(size=5, inline_text="hello")
    assert event.tls_metadata is not None
    assert event.tls_metadata.client_alpn == ["h2", "http/1.1"]


def test_an_unknown_type_is_read_with_its_keys() -> None:
    record = {"seq": 1, "type": "later-event", "timestamp": "2024-01-01T00:00:00.000000Z", "id": "x", "more": {}}
    event = parse_event(record)
    assert type(event) is UnknownEvent
    assert event.extra == {"id": "x", "more": {}}
    assert to_record(event) == record
    assert check_record(record) == ["type: 'later-event' is not known"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timingEvents": 5}, "timingEvents: expected an object, found 5"),
        ({"timingEvents": {"startTime": 1}}, "TimingEvents: startTimestamp is missing"),
        ({"body": "hello"}, "body: expected an object, found 'hello'"),
        ({"body": {"text": "hello"}}, "a body has no size"),
    ],
)
def test_what_cannot_be_typed_is_refused(record_of: Callable[[str], Record], change: Record, message: str) -> None:
    with pytest.raises(RecordError, match=f"^{re.escape(message)}$"):
        parse_event({**record_of("response"), **change})


def test_a_list_of_objects_must_be_a_list(record_of: Callable[[str], Record]) -> None:
    with pytest.raises(RecordError, match=r"^rules: expected a list, found \{\}$"):
        parse_event({**record_of("rules-reloaded"), "rules": {}})


@pytest.mark.parametrize(
    ("record", "problem"),
    [({}, "type: is missing"), ({"type": 5}, "type: expected a string, found 5")],
)
def test_a_record_without_a_usable_type(record: Record, problem: str) -> None:
    assert check_record(record) == [problem]


def test_the_types_are_those_of_the_schema(any_record: Record) -> None:
    assert any_record["type"] in EVENT_TYPES
    assert len(EVENT_TYPES) == 28


def test_what_is_recorded_unless_asked_otherwise() -> None:
    assert set(EVENT_TYPES) - set(DEFAULT_EVENTS) == {
        "request-body-data",
        "response-initiated",
        "response-body-data",
    }


def test_how_an_exchange_begins_and_ends() -> None:
    assert {"request-initiated", "websocket-request"} == FIRST_TYPES
    assert {"response", "abort", "websocket-close"} == TERMINAL_TYPES
