"""What happened, in its order, whatever the order of the log."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.replay.chain import in_time as module
from mockrec.engine.replay.chain.in_time import in_time
from mockrec.engine.replay.session.requests import RecordedRequest, RecordedResponse


def call(second: int, size: int = 0) -> RecordedRequest:
    return RecordedRequest(f"c{second}", "c", {"type": "request", "body": {"size": size}}, float(second))


def answered(second: int) -> RecordedResponse:
    return RecordedResponse(f"a{second}", {"type": "response", "timestamp": f"1970-01-01T00:00:{second:02d}Z"})


def order(*found: Any) -> list[str]:
    return [one.id for one in in_time(found)]


def test_an_answer_that_was_written_late_comes_before_what_was_made_of_it() -> None:
    assert order(call(1), call(5), answered(3), call(4)) == ["c1", "a3", "c4", "c5"]


def test_what_happened_at_once_stays_as_it_is() -> None:
    assert order(answered(1), call(1), answered(1)) == ["a1", "c1", "a1"]


def test_what_has_no_time_stays_where_it_is() -> None:
    assert order(call(0), call(2), call(0), answered(1), call(3)) == ["c0", "a1", "c2", "c0", "c3"]


@pytest.mark.parametrize("limit", ["_MOST", "_MOST_BYTES"])
def test_not_more_is_held_back_than_may_be(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(module, limit, 2)
    read = 0

    def found() -> Any:
        nonlocal read
        for second in range(1, 20):
            read += 1
            yield call(second, 1)

    next(in_time(found()))
    assert read == 3


def test_the_end_of_an_answer_counts_and_not_when_its_record_was_there() -> None:
    late = answered(9)
    late.record = {
        **late.record, "timingEvents": {"startTime": 2000, "startTimestamp": 50_000.5, "responseSentTimestamp": 50_500.5},
    }  # fmt: skip
    assert order(call(1), call(3), late) == ["c1", "a9", "c3"]


def test_a_client_may_use_an_answer_within_a_millisecond_of_its_request() -> None:
    def at(identity: str, began: float) -> RecordedRequest:
        return RecordedRequest(identity, "c", {"type": "request", "body": {"size": 0}}, began)

    quick = RecordedResponse(
        "a", {"type": "response", "timingEvents": {"startTime": 1000.2, "startTimestamp": 7.0, "headersSentTimestamp": 7.3}}
    )  # fmt: skip
    # The record of the answer is there late; its request is noted a little after its start.
    assert [type(one).__name__ for one in in_time([at("a", 1.0003), at("b", 1.0009), quick])] == [
        "RecordedRequest",
        "RecordedResponse",
        "RecordedRequest",
    ]
