"""When requests are due, and how well that was kept."""

from __future__ import annotations

import pytest

from mockrec.engine.replay.send.pace import PacingReport, parse_pace


@pytest.mark.parametrize(
    ("text", "due", "shown"),
    [
        ("original", 6.0, "original"),
        ("2x", 3.0, "2x"),
        ("0.5x", 12.0, "0.5x"),
        ("4/s", 0.75, "4/s"),
        ("max", 0.0, "max"),
    ],
)
def test_due(text: str, due: float, shown: str) -> None:
    pace = parse_pace(text)
    assert (pace.due(3, 6.0), str(pace), pace.is_timed) == (due, shown, text != "max")


@pytest.mark.parametrize("text", ["", "fast", "0x", "0/s", "-1x", "x"])
def test_what_is_no_pace(text: str) -> None:
    with pytest.raises(ValueError, match="expected original"):
        parse_pace(text)


def test_fidelity() -> None:
    nothing = PacingReport()
    assert (nothing.asked, nothing.achieved, nothing.drift(0.5)) == (None, None, 0.0)
    kept = PacingReport()
    for due, left in ((0.0, 1.0), (100.0, 100.0), (200.0, 250.0)):
        kept.sent(due, left)
    assert kept.asked == 10.0
    assert kept.achieved == pytest.approx(8.032, abs=0.001)
    assert (kept.drift(0.5), kept.drift(0.99)) == (1.0, 50.0)
