"""Which exchanges are shown if there are too many."""

from __future__ import annotations

from typing import Any

from mockrec.formats.report.choose import choose
from mockrec.formats.report.gather import ReportRow


def row(place: int, failed: bool, duration: float) -> ReportRow:
    numbers = dict.fromkeys(
        ("source", "kind", "last", "connection", "method", "url", "destination", "endpoint", "status", "rules", "continued",
         "tags", "types", "errors", "protocol", "version", "ip", "operations", "scope", "messages", "detail"), 0,
    )  # fmt: skip
    empty: dict[str, Any] = {"request_size": None, "response_size": None, "ticks": (), "bodies": ()}
    return ReportRow(id=str(place), start=place, duration=duration, failed=failed, ended=True, **numbers, **empty)


def test_all_are_shown_if_there_is_room() -> None:
    rows = [row(place, False, 1.0) for place in range(10)]
    choice = choose(rows, 10)
    assert list(choice.rows) == rows
    assert choice.words == ""


def test_failures_and_the_slowest_come_first_and_the_order_stays() -> None:
    rows = [row(place, place % 100 == 0, float(place % 977)) for place in range(10_000)]
    choice = choose(rows, 1000)
    assert len(choice.rows) == 1000
    assert [one.start for one in choice.rows] == sorted(one.start for one in choice.rows)
    assert sum(one.failed for one in choice.rows) == 100
    slowest = sorted((one for one in rows if not one.failed), key=lambda one: -(one.duration or 0))[:50]
    assert {one.start for one in slowest} <= {one.start for one in choice.rows}
    assert choice.words == (
        "This report shows 1,000 of 10,000 exchanges: all 100 failures, the 50 slowest of the others, "
        "and an even sample of 850 of the rest."
    )


def test_too_many_failures_are_sampled_and_said() -> None:
    choice = choose([row(place, True, 1.0) for place in range(5000)], 100)
    assert len(choice.rows) == 80
    assert "80 of 5,000 failures" in choice.words
