"""Records → requests in their order, with the exchanges that they overlapped."""

from __future__ import annotations

from typing import Any

from mockrec.engine.replay.session.requests import RecordedMessage, RecordedRequest, recorded_requests


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
