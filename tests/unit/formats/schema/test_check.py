"""What is wrong with a record: every kind of problem, at its place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.schema.check import check_body, size_problem
from mockrec.formats.schema.events import check_record

Record = dict[str, Any]
RecordOf = Callable[[str], Record]

DIGEST = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def changed(record: Record, path: str, value: Any) -> Record:
    """A copy with the value at `a.0.b`; `...` takes the key away."""
    record = copy.deepcopy(record)
    *way, last = path.split(".")
    place: Any = record
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return record


# ── values ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "path", "value", "problem"),
    [
        ("response", "seq", "1", "seq: expected an integer, found '1'"),
        ("response", "seq", True, "seq: expected an integer, found True"),
        ("response", "seq", 1.0, "seq: expected an integer, found 1.0"),
        ("response", "id", 5, "id: expected a string, found 5"),
        ("response", "duration", "3ms", "duration: expected a number, found '3ms'"),
        ("response", "duration", False, "duration: expected a number, found False"),
        ("request-body-data", "isEnded", 1, "isEnded: expected a boolean, found 1"),
        ("response", "tags", "slow", "tags: expected a list, found 'slow'"),
        ("response", "tags", ["a", 5], "tags[1]: expected a string, found 5"),
        ("response", "tags", [None], "tags[0]: is null"),
        ("response", "timingEvents", 5, "timingEvents: expected an object, found 5"),
        ("response", "timingEvents", {}, "timingEvents: is an empty object"),
        ("response", "timingEvents.startTime", ..., "timingEvents.startTime: is missing"),
        ("response", "timingEvents.startTime", None, "timingEvents.startTime: is null"),
        ("abort", "response.body.size", ..., "response.body.size: expected a size in bytes, found None"),
        ("abort", "response.timingEvents.startTimestamp", "x", None),
        ("abort", "tlsMetadata.clientAlpn.1", 5, "tlsMetadata.clientAlpn[1]: expected a string, found 5"),
        ("session-started", "rules.0.id", ..., "rules[0].id: is missing"),
        ("session-started", "rules.0", 5, "rules[0]: expected an object, found 5"),
        ("session-started", "redaction", {}, "redaction: is an empty object"),
        ("session-started", "redaction", [], "redaction: expected an object, found []"),
        ("session-ended", "counts.request", "1", "counts.request: expected an integer, found '1'"),
        ("gap", "counts", {}, "counts: is an empty object"),
        ("rule-event", "eventData", [], "eventData: expected an object, found []"),
    ],
)
def test_a_value_of_the_wrong_type(record_of: RecordOf, kind: str, path: str, value: Any, problem: str | None) -> None:
    problem = problem or f"{path}: expected a number, found {value!r}"
    assert check_record(changed(record_of(kind), path, value)) == [problem]


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("response", "duration", 3),
        ("response", "tags", []),
        ("response", "rawHeaders", []),
        ("rule-event", "eventData", {}),
        ("rule-event", "eventData", {"deep": [None, {}]}),
        ("session-started", "redaction", {"keyId": None}),
        ("response", "timingEvents.later", None),
    ],
)
def test_values_that_are_fine(record_of: RecordOf, kind: str, path: str, value: Any) -> None:
    assert check_record(changed(record_of(kind), path, value)) == []


@pytest.mark.parametrize(
    "stamp",
    [
        "2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00.000Z",
        "2024-01-01T00:00:00.000000",
        "2024-01-01 00:00:00.000000Z",
        "2024-01-01T00:00:00.000000+00:00",
        "2024-01-01T00:00:00.000000Z\n",
    ],
)
def test_a_timestamp_has_one_form(record_of: RecordOf, stamp: str) -> None:
    problem = f"timestamp: {stamp!r} is not ISO 8601 in UTC with six fraction digits"
    assert check_record(changed(record_of("gap"), "timestamp", stamp)) == [problem]


def test_all_problems_are_told(record_of: RecordOf) -> None:
    record = {**record_of("response"), "seq": None, "tags": 5, "body": {"size": -1}}
    assert check_record(record) == [
        "seq: is null",
        "tags: expected a list, found 5",
        "body.size: expected a size in bytes, found -1",
    ]


def test_a_problem_quotes_no_more_than_a_line(record_of: RecordOf) -> None:
    (problem,) = check_record(changed(record_of("response"), "tags", "x" * 5000))
    assert problem.startswith("tags: expected a list, found 'xxx")
    assert len(problem) == 200


# ── headers ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ([], "headers: expected an object, found []"),
        ({}, "headers: is an empty object"),
        ({"Accept": "x"}, "headers.Accept: the name is not in lower case"),
        ({"accept": ["x"]}, "headers.accept: expected a string, found ['x']"),
        ({"accept": None}, "headers.accept: is null"),
        ({"set-cookie": "a=1"}, "headers.set-cookie: expected a list, found 'a=1'"),
        ({"set-cookie": [1]}, "headers.set-cookie[0]: expected a string, found 1"),
    ],
)
def test_headers(record_of: RecordOf, headers: Any, problem: str) -> None:
    assert check_record(changed(record_of("response"), "headers", headers)) == [problem]


@pytest.mark.parametrize("pair", [["a"], ["a", "b", "c"], ["a", None], "ab", {"a": "b"}])
def test_raw_headers_are_pairs(record_of: RecordOf, pair: Any) -> None:
    record = changed(record_of("response"), "rawHeaders", [["a", "b"], pair])
    assert check_record(record) == [f"rawHeaders[1]: expected [name, value], found {pair!r}"]


def test_raw_headers_are_a_list(record_of: RecordOf) -> None:
    record = changed(record_of("response"), "rawHeaders", {"a": "b"})
    assert check_record(record) == ["rawHeaders: expected a list, found {'a': 'b'}"]


# ── bodies ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        {"size": 0, "text": ""},
        {"size": 2, "text": "é"},
        {"size": 1, "text": "é", "charset": "latin-1"},
        {"size": 1, "base64": "/w=="},
        {"size": 5, "text": "hello", "sha256": DIGEST},
        {"size": 5, "file": f"2c/{DIGEST}", "sha256": DIGEST},
        {"size": 5, "text": "hello", "contentEncoding": "gzip", "encodedSize": 25, "raw": "H4s="},
        {"size": 900, "text": "hello", "truncated": True},
        {"size": 900, "text": "hello", "redacted": True},
        {"size": 900, "base64": "/w==", "undecodable": True, "contentEncoding": "br"},
        {"size": 900, "text": "", "incomplete": True},
        {"size": 0, "text": "", "later": None},
    ],
)
def test_bodies_that_are_fine(body: Record) -> None:
    assert check_body(body, "body") == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, "body: is null"),
        ("hello", "body: expected an object, found 'hello'"),
        ({"text": ""}, "body.size: expected a size in bytes, found None"),
        ({"size": True, "text": "a"}, "body.size: expected a size in bytes, found True"),
        ({"size": -1, "text": ""}, "body.size: expected a size in bytes, found -1"),
        ({"size": 1, "text": 5}, "body.text: expected a string, found 5"),
        ({"size": 1, "text": "a", "charset": None}, "body.charset: is null"),
        ({"size": 1, "text": "a", "encodedSize": "9"}, "body.encodedSize: expected a size in bytes, found '9'"),
        ({"size": 1, "text": "a", "encodedSize": -9}, "body.encodedSize: expected a size in bytes, found -9"),
        (
            {"size": 1, "text": "a", "truncated": False},
            "body.truncated: expected true or no such key, found False",
        ),
        ({"size": 1}, "body: expected one of text, base64 and file, found none"),
        (
            {"size": 1, "text": "a", "base64": "YQ=="},
            "body: expected one of text, base64 and file, found text and base64",
        ),
        ({"size": 2, "text": "a"}, "body.size: says 2, but 1 bytes are kept"),
        ({"size": 1, "text": "é"}, "body.size: says 1, but 2 bytes are kept"),
        ({"size": 2, "base64": "/w=="}, "body.size: says 2, but 1 bytes are kept"),
        ({"size": 1, "base64": "YQ=="}, "body.base64: these bytes are valid UTF-8, expected text"),
        ({"size": 1, "text": "a", "sha256": "abc"}, "body.sha256: 'abc' is no SHA-256 hash"),
        ({"size": 1, "file": "../x", "sha256": DIGEST}, "body.file: '../x' is no name of a kept body"),
        ({"size": 5, "file": f"2c/{DIGEST}"}, "body.sha256: is missing beside file"),
        ({"size": 5, "file": f"2c/{DIGEST}", "sha256": "x"}, "body.sha256: 'x' is no SHA-256 hash"),
    ],
)
def test_bodies_that_are_not(body: Any, problem: str) -> None:
    assert check_body(body, "body") == [problem]


@pytest.mark.parametrize(
    ("body", "beginning"),
    [
        ({"size": 1, "base64": "/"}, "body: its base64 is damaged: "),
        ({"size": 1, "text": "a", "raw": "/"}, "body: its base64 is damaged: "),
        ({"size": 1, "text": "é", "charset": "ascii"}, "body: its text is not ascii: "),
        ({"size": 1, "text": "a", "charset": "a\0b"}, "body: its text is in the charset 'a\\x00b', which is not known"),
    ],
)
def test_bodies_that_cannot_be_read(body: Record, beginning: str) -> None:
    (problem,) = check_body(body, "body")
    assert problem.startswith(beginning)


@pytest.mark.parametrize("kind", ["request", "websocket-message-sent", "raw-passthrough-data", "client-error"])
def test_bodies_are_checked_wherever_they_stand(record_of: RecordOf, kind: str) -> None:
    key = {"request": "body", "client-error": "request.rawHead"}.get(kind, "content")
    assert check_record(changed(record_of(kind), f"{key}.size", 6)) == [f"{key}.size: says 6, but 5 bytes are kept"]


def test_a_flag_explains_any_size() -> None:
    assert size_problem({"size": 6}, 5) == "says 6, but 5 bytes are kept"
    assert size_problem({"size": 6, "truncated": True}, 5) == ""
    assert size_problem({"size": 5}, 5) == ""
