"""How long recorded answers take."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.replay.serve.latency import Latency, parse_latency

TIMED = {
    "startTimestamp": 1000.0,
    "bodyReceivedTimestamp": 1010.0,
    "headersSentTimestamp": 1030.0,
    "responseSentTimestamp": 1090.0,
}


@pytest.mark.parametrize(
    ("text", "record", "times"),
    [
        ("none", {"timingEvents": TIMED}, (0.0, 0.0)),
        ("recorded", {"timingEvents": TIMED}, (20.0, 80.0)),
        ("2x", {"timingEvents": TIMED}, (40.0, 160.0)),
        ("0.5x", {"duration": 10.0}, (5.0, 5.0)),
        ("recorded", {}, (0.0, 0.0)),
        ("recorded", {"timingEvents": {"startTimestamp": 1.0, "abortedTimestamp": 5.0}}, (4.0, 4.0)),
        ("recorded", {"timingEvents": {"startTimestamp": 1.0, "wsAcceptedTimestamp": 5.0}}, (4.0, 4.0)),
        ("recorded", {"timingEvents": {**TIMED, "bodyReceivedTimestamp": 2000.0}}, (0.0, 0.0)),
    ],
)
def test_times(text: str, record: Any, times: tuple[float, float]) -> None:
    assert parse_latency(text).of(record) == times


def test_head_and_body_are_sent_apart_where_they_were() -> None:
    assert Latency(1.0).spreads(20.0, 80.0)
    assert not Latency(1.0).spreads(20.0, 22.0)


@pytest.mark.parametrize("text", ["", "slow", "x", "2"])
def test_what_is_no_latency(text: str) -> None:
    with pytest.raises(ValueError, match="recorded, none"):
        parse_latency(text)
