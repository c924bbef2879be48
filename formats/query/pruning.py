"""Finds row groups that need not be read, because their statistics exclude a match."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mockrec.formats.parquet.layout import EXTRA
from mockrec.formats.query.arrow import ArrowPlan, ColumnTest, whole_bounds
from mockrec.formats.query.checks import Check, Interval, Moment, Present, Text
from mockrec.formats.query.plan import Both, Either, Not, PlanNode, TestAnswer


def possible_tests(made: ArrowPlan, group: Any, places: dict[str, int]) -> set[int]:
    """The tests that may hold for a row of the group. `places`: the number of each column without children."""
    if not _empty(group, places, EXTRA):
        return set(range(len(made.plan.tests)))
    found = {test.number for test in made.on_columns if _may_hold(test, group, places)}
    return found | {
        test.number for test in made.on_lines if not all(_empty(group, places, name) for name in test.columns)
    }


def may_match(node: PlanNode, possible: set[int]) -> bool:
    """Whether a row can match if only these tests can hold."""
    match node:
        case TestAnswer(number):
            return number in possible
        case Not():
            return True
        case Both(parts):
            return all(may_match(part, possible) for part in parts)
        case Either(parts):
            return any(may_match(part, possible) for part in parts)


def _empty(group: Any, places: dict[str, int], name: str) -> bool:
    """Whether the column is missing or all null."""
    if name not in places:
        return False
    if places[name] < 0:
        return True
    statistics = group.column(places[name]).statistics
    return statistics is not None and statistics.has_null_count and statistics.null_count == group.num_rows


def _may_hold(test: ColumnTest, group: Any, places: dict[str, int]) -> bool:
    if _empty(group, places, test.column):
        return False
    statistics = group.column(places[test.column]).statistics
    if statistics is None or not statistics.has_min_max or test.source.extract is not None:
        return True
    low, high = statistics.min, statistics.max
    return any(_in_range(check, low, high) for check in test.checks)


def _in_range(check: Check, low: Any, high: Any) -> bool:
    """Whether a check can hold for a value from `low` to `high`; True if that is unknown."""
    match check:
        case Present():
            return True
        case Interval() if type(low) is int:
            lowest, highest = whole_bounds(check)
            return bool(lowest <= high and highest >= low)
        case Interval() if type(low) is float:
            return (check.low is None or high >= check.low) and (check.high is None or low <= check.high)
        case Moment() if isinstance(low, datetime):
            first, last = f"{low:%Y-%m-%dT%H:%M:%S.%f}Z", f"{high:%Y-%m-%dT%H:%M:%S.%f}Z"
            return (check.low is None or last >= check.low) and (check.high is None or first < check.high)
        case Text("==", value) if type(low) is str:
            # Statistics of long texts may be truncated: then values that begin with the highest are above it.
            return low <= value and (value <= high or value.startswith(high))
        case _:
            return True
