"""Records → rows and details of a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from mockrec.formats.report.gather import KINDS, Gathered

LIMIT = 1_000_000


OPEN: list[Gathered] = []


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def gathered(records: list[dict[str, Any]], limit: int = LIMIT, folder: Path | None = None) -> Gathered:
    found = Gathered(limit)
    OPEN.append(found)
    for record in records:
        found.add(record, folder)
    found.finish()
    return found


def detail(found: Gathered, place: int = 0) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(found.spool.get(found.rows[place].detail))
    return value


def body(found: Gathered, known: dict[str, Any]) -> Any:
    contents, _ = found.bodies.chosen([known["n"]])
    return orjson.loads(contents[known["n"]])


def test_an_exchange(recording: Any) -> None:
    found = gathered(recording.start().exchange().end().records)
    (row,) = found.rows
    assert (KINDS[row.kind], row.status, row.duration, row.request_size, row.response_size) == (
        "exchange",
        201,
        3.25,
        5,
        5,
    )
    assert (row.failed, row.ended) == (False, True)
    assert found.texts["url"].values[row.url] == "https://example.test/hello?a=b"
    assert found.texts["endpoint"].values[row.endpoint] == "POST example.test/hello"
    assert found.lists["rules"].values[row.rules] == ("greet",)
    assert found.lists["tags"].values[row.tags] == ("slow",)
    assert found.lists["types"].values[row.types] == ("request-initiated", "request", "response")
    shown = detail(found)
    assert shown["request"]["fields"] == [["Host", "example.test"], ["Accept", "text/html"], ["accept", "*/*"]]
    assert shown["request"]["trailers"] == [["X-Sum", "1"]]
    assert shown["response"]["status"] == 201
    assert body(found, shown["response"]["body"]) == "hello"
    assert shown["tls"]["version"] == "TLSv1.3"
    assert shown["phases"] == [0.75, 0.0, 0.0, 0.0, 1.0, 1.5]


def test_times_are_microseconds_since_the_epoch(recording: Any) -> None:
    recording.start().exchange()
    (row,) = gathered(recording.records).rows
    assert (row.start, row.last) == (1_704_067_200_000_001, 1_704_067_200_000_003)


def test_an_abort_fails(recording: Any) -> None:
    recording.start().add("request-initiated")
    recording.add("abort")
    found = gathered(recording.records)
    (row,) = found.rows
    assert (row.failed, row.status) == (True, 400)
    assert found.lists["errors"].values[row.errors] == ("ECONNRESET", "ConnectionResetError", "gone")
    assert detail(found)["error"]["message"] == "gone"
    assert found.summary.to_json()["errors"] == [("ECONNRESET", 1)]


def test_a_websocket_with_its_messages(recording: Any) -> None:
    recording.start().add("request-initiated")
    for kind in ("websocket-request", "websocket-accepted", "websocket-message-received", "websocket-message-sent"):
        recording.add(kind)
    recording.add("websocket-close")
    found = gathered(recording.records)
    (row,) = found.rows
    assert (KINDS[row.kind], row.status, row.messages, row.failed) == ("websocket", 101, 2, False)
    assert row.ticks == (-2.25, 1.25)
    received, sent = detail(found)["messages"]
    assert received[:3] == [1.25, 1, 0]
    assert sent[:3] == [1.25, 0, 0]
    assert body(found, sent[3]) == "hello"
    assert detail(found)["close"]["serverCloseCode"] == 4000


def test_events_of_a_stream_are_ticks_and_other_chunks_are_not(recording: Any) -> None:
    recording.start()
    for identity, kind in (("a", "text/event-stream"), ("b", "text/html")):
        recording.add("request-initiated", identity)
        recording.add("response-body-data", identity)
        recording.add("response", identity, rawHeaders=[["content-type", kind]])
    first, second = gathered(recording.records).rows
    assert (first.ticks, second.ticks) == ((1.25,), ())


def test_a_tunnel_and_faults(recording: Any) -> None:
    recording.start()
    recording.add("tls-passthrough-opened", "t")
    recording.add("tls-passthrough-closed", "t")
    recording.add("tls-client-error", "u")
    recording.add("client-error", "v")
    found = gathered(recording.records)
    kinds = [KINDS[row.kind] for row in found.rows]
    assert kinds == ["tunnel", "fault", "fault"]
    assert [row.failed for row in found.rows] == [False, True, True]
    tunnel = found.rows[0]
    assert found.texts["destination"].values[tunnel.destination] == "example.test:443"
    assert (tunnel.request_size, tunnel.response_size, tunnel.duration) == (10, 20, 250.0)
    assert body(found, detail(found, 2)["request"]["rawHead"]) == "hello"


def test_the_summary(recording: Any) -> None:
    recording.start(rules=[{"id": "greet", "explanation": "x"}, {"id": "never", "explanation": "y"}]).exchange()
    recording.add("gap")
    recording.add("callback-error")
    summary = gathered(recording.end().records).summary.to_json()
    assert (summary["exchanges"], summary["failed"], summary["unmatched"]) == (1, 0, 0)
    assert summary["unusedRules"] == ["never"]
    assert summary["statuses"] == {"201": 1}
    (session,) = summary["sessions"]
    assert session["ci"] == {"provider": "github", "runUrl": "https://ci.test/1", "commit": "abc"}
    assert (session["reason"], session["exitCode"], session["command"]) == ("signal", 0, "pytest -q")
    assert summary["problems"] == [
        "3 records were left out, because the disk was too slow",
        "callback handlers.py:seen: gone",
    ]


def test_a_missed_request_is_counted(recording: Any) -> None:
    recording.start().exchange(tags=["replay-miss"])
    assert gathered(recording.records).summary.missed == 1


def test_scope_operation_and_endpoint_are_taken_from_the_record(recording: Any) -> None:
    recording.start()
    recording.add(
        "request-initiated", scope="tests/a.py::test_x", operation={"protocol": "graphql", "name": "query Cart"}
    )
    recording.add("response")
    recording.add("request-initiated", "b", endpoint="GET the-endpoint")
    recording.add("gap", scope="tests/a.py::test_x", outcome="failed")
    found = gathered(recording.records)
    first, second = found.rows
    assert found.texts["scope"].values[first.scope] == "tests/a.py::test_x"
    assert found.lists["operations"].values[first.operations] == ("query Cart",)
    assert found.texts["endpoint"].values[first.endpoint] == "POST example.test/hello query Cart"
    assert found.texts["endpoint"].values[second.endpoint] == "GET the-endpoint"
    assert found.summary.outcomes == {"tests/a.py::test_x": "failed"}


def test_late_records_count_and_a_second_exchange_of_an_id_is_another(recording: Any) -> None:
    recording.start().add("request-initiated")
    recording.add("response")
    recording.add("request")  # its response was sent before it was complete
    recording.add("rule-event")
    recording.exchange()
    found = gathered(recording.records)
    assert [len(found.lists["types"].values[row.types]) for row in found.rows] == [4, 3]
    assert detail(found)["events"][0][1:3] == ["note", "greet"]


@pytest.mark.parametrize(
    "value", [None, 0, -1.5, True, "x", [], ["x", 1, None], {"x": [1]}, {"size": "x"}, [[1, 2, 3]]]
)
def test_values_of_any_type_are_no_error(any_record: dict[str, Any], value: Any) -> None:
    for key in any_record:
        if key != "type":
            gathered([{**any_record, key: value}, {"type": "response", "id": any_record.get("id")}])


def test_a_body_file_is_read_and_a_missing_one_has_its_hash(recording: Any, tmp_path: Path) -> None:
    name = "2c/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    recording.start().exchange(body={"size": 5, "file": name})
    found = gathered(recording.records, folder=tmp_path)
    known = detail(found)["response"]["body"]
    assert known["sha256"] == name[3:]
    assert found.bodies.chosen([known["n"]]) == ({}, 1)
    (tmp_path / "2c").mkdir()
    (tmp_path / name).write_bytes(b"hello")
    assert body(found, known) == "hello"


def test_equal_bodies_are_held_once_and_the_limit_counts(recording: Any) -> None:
    recording.start()
    for number in range(6):
        text = "x" * 400 + str(number % 3)
        recording.exchange(str(number), body={"size": 401, "text": text})
    found = gathered(recording.records, limit=1000)
    numbers = [known for row in found.rows for known in row.bodies]
    contents, omitted = found.bodies.chosen(numbers)
    texts = [json.loads(content) for content in contents.values()]
    assert (len(texts), omitted) == (3, 1)  # `hello` of the requests, and two of the three
    assert len(set(numbers)) == 4
    left = set(numbers) - set(contents)
    assert [len(digest) for digest in found.bodies.hashes(left).values()] == [16]
