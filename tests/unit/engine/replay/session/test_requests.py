"""Records → requests in their order, with the exchanges that they overlapped."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.replay.session.requests import (
    RecordedMessage,
    RecordedRequest,
    recorded_requests,
    relevant_records,
)
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.session import open_session


def test_requests_know_when_they_began_and_what_was_not_over(recorded: Any) -> None:
    recorded.add("session-started", "")
    recorded.add("request-initiated", "a")
    recorded.add("request-initiated", "b")
    recorded.add("request", "b")
    recorded.add("request", "a")
    recorded.add("response", "a")
    recorded.add("request-initiated", "c")
    recorded.add("request", "c")
    found = [one for one in recorded_requests(recorded.records) if isinstance(one, RecordedRequest)]
    assert [(one.id, sorted(one.overlapping)) for one in found] == [("b", ["a"]), ("a", []), ("c", ["b"])]
    assert found[2].began - found[1].began == 5.0


def test_a_request_without_a_beginning_is_told_by_its_own_record(recorded: Any) -> None:
    recorded.add("request", "a", connectionId=None, timingEvents={"startTime": 5000})
    (one,) = recorded_requests(recorded.records)
    assert isinstance(one, RecordedRequest)
    assert (one.connection, one.began) == ("a", 5.0)


def test_a_request_after_the_end_of_its_exchange_counts_once(recorded: Any) -> None:
    for kind in ("request-initiated", "response", "request", "request"):
        recorded.add(kind, "a")
    assert [one.id for one in recorded_requests(recorded.records)] == ["a"]


def test_a_session_merged_with_itself_has_every_request_twice(recorded: Any) -> None:
    for kind in ("request-initiated", "request", "response") * 2:
        recorded.add(kind, "a")
    assert [one.id for one in recorded_requests(recorded.records)] == ["a", "a"]


def test_what_is_said_on_websockets_and_aborts_follow(recorded: Any) -> None:
    recorded.add("websocket-request", "w")
    recorded.add("websocket-accepted", "w")
    recorded.add("websocket-message-sent", "w")
    recorded.add("websocket-close", "w")
    recorded.add("websocket-message-sent", "other")
    recorded.add("request-initiated", "x")
    recorded.add("abort", "x")
    found = list(recorded_requests(recorded.records))
    assert isinstance(found[0], RecordedRequest)
    assert found[0].is_websocket
    assert [(one.id, one.record["type"]) for one in found[1:] if isinstance(one, RecordedMessage)] == [
        ("w", "websocket-accepted"),
        ("w", "websocket-message-sent"),
        ("w", "websocket-close"),
        ("x", "abort"),
    ]


def lines(*, cut_at: int | None = None, kind: str = "rule-event") -> bytes:
    """A session of three exchanges with records between them that no replay uses; `cut_at`: the line that is cut."""
    records = [{"seq": 0, "type": "session-started", "schemaVersion": 1}]
    for number in range(3):
        for each in ("request-initiated", "request", kind, "response-body-data", "response", "rule-event"):
            records.append({"seq": len(records), "type": each, "id": f"{number}", "data": ["}", "\n", number]})
    records.append({"seq": len(records), "type": "session-ended"})
    encoded = [json.dumps(record, separators=(",", ":")).encode() for record in records]
    if cut_at is not None:
        encoded[cut_at] = encoded[cut_at][:-5]
        if cut_at < 0:
            del encoded[len(encoded) + cut_at + 1 :]
    return b"\n".join(encoded)


@pytest.mark.parametrize("data", [lines(), lines(kind="unknown"), lines(cut_at=-2), lines(cut_at=3), lines(cut_at=4)])
def test_records_that_no_replay_uses_are_left_out_unread(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)

    def found(read: Any) -> tuple[list[Any], str]:
        requests: list[Any] = []
        with open_session(path) as session:
            try:
                requests += recorded_requests(read(session), responses=True)
            except SessionError as error:
                return requests, str(error)
            return requests, session.cut_off

    assert found(partial(relevant_records, responses=True)) == found(iter)


def test_unused_records_are_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines())
    with open_session(path) as session:
        kinds = {record["type"] for _, record in relevant_records(session)}
    assert kinds == {"session-started", "request-initiated", "request", "response", "session-ended"}


def test_of_some_records_the_beginning_is_read(tmp_path: Path) -> None:
    line = '{"seq":%d,"type":"%s","timestamp":"2026-01-01T00:00:0%d.000001Z","id":"x-1","connectionId":"c-2",%s}'
    kinds = ["request-initiated", "request", "response", "abort"]
    whole = [line % (number, kind, number, '"no":"JSON"') for number, kind in enumerate(kinds)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([*whole, line % (9, "response", 9, "no JSON"), line % (9, "request-initiated", 9, "no")]))

    def read(*, responses: bool) -> tuple[list[Any], str]:
        found: list[Any] = []
        with open_session(path) as session:
            try:
                for _, record in relevant_records(session, responses=responses):
                    found.append(record)
            except SessionError as error:
                return found, str(error)
            return found, ""

    ids = {"id": "x-1", "connectionId": "c-2"}
    records = [
        {"seq": n, "type": kind, "timestamp": f"2026-01-01T00:00:0{n}.000001Z", **ids, "no": "JSON"}
        for n, kind in enumerate(kinds)
    ]
    short = [{name: record[name] for name in ("type", "timestamp", *ids)} for record in records]
    # The first record is read when the session is opened.
    assert read(responses=False) == (
        [
            records[0],
            records[1],
            short[2],
            records[3],
            {**short[2], "timestamp": "2026-01-01T00:00:09.000001Z"},
            {**short[0], "timestamp": "2026-01-01T00:00:09.000001Z"},
        ],
        "",
    )
    found, error = read(responses=True)
    assert found == records
    assert "expected a record" in error
