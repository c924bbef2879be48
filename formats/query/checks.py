"""The checks that a test makes on a value. Each is plain data, so that every back end implements it in its own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from mockrec.formats.query.regex import matcher


@dataclass(frozen=True, slots=True)
class Present:
    """Any value."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A number between two bounds; None means no bound. An open bound is itself excluded."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """A timestamp not before `low` and before `high`, both in the log's form; None means no bound."""

    low: str | None = None
    high: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A string in a relation to `value`: `== < <= > >= contains startswith endswith`."""

    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class RegexCheck:
    """A string that contains a match of a regular expression (RE2)."""

    pattern: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Exactly:
    """`true`, `false` or `null`."""

    value: bool | None


Check: TypeAlias = Present | Interval | Moment | Text | RegexCheck | Exactly

CheckFunction = Callable[[Any], bool]


def compile_check(check: Check) -> CheckFunction:
    """The check as a function of one value. It never holds for a value of another type."""
    match check:
        case Present():
            return lambda value: True
        case Interval():
            return _interval(check)
        case Moment(low, high):
            return lambda value: type(value) is str and (low is None or value >= low) and (high is None or value < high)
        case Text(operator, wanted):
            return _text(operator, wanted)
        case RegexCheck(pattern, ignore_case):
            search = matcher(pattern, ignore_case=ignore_case)
            return lambda value: type(value) is str and search(value)
        case Exactly(wanted_value):
            return lambda value: value is wanted_value


def _interval(check: Interval) -> CheckFunction:
    low, high = check.low, check.high
    above = _above(low, check.low_open)
    below = _below(high, check.high_open)
    if low is not None and low == high and not (check.low_open or check.high_open):
        return lambda value: (type(value) is int or type(value) is float) and value == low
    return lambda value: (type(value) is int or type(value) is float) and above(value) and below(value)


def _above(low: float | None, is_open: bool) -> Callable[[float], bool]:
    if low is None:
        return lambda value: True
    return (lambda value: value > low) if is_open else (lambda value: value >= low)


def _below(high: float | None, is_open: bool) -> Callable[[float], bool]:
    if high is None:
        return lambda value: True
    return (lambda value: value < high) if is_open else (lambda value: value <= high)


def _text(operator: str, wanted: str) -> CheckFunction:
    match operator:
        case "==":
            return lambda value: type(value) is str and value == wanted
        case "<":
            return lambda value: type(value) is str and value < wanted
        case "<=":
            return lambda value: type(value) is str and value <= wanted
        case ">":
            return lambda value: type(value) is str and value > wanted
        case ">=":
            return lambda value: type(value) is str and value >= wanted
        case "contains":
            return lambda value: type(value) is str and wanted in value
        case "startswith":
            return lambda value: type(value) is str and value.startswith(wanted)
        case "endswith":
            return lambda value: type(value) is str and value.endswith(wanted)
    raise AssertionError(operator)


def compile_any(checks: tuple[Check, ...]) -> CheckFunction:
    """A function of one value that returns whether any of the checks holds."""
    tests = [compile_check(check) for check in checks]
    if len(tests) == 1:
        return tests[0]
    texts = {check.value for check in checks if isinstance(check, Text) and check.operator == "=="}
    if len(texts) == len(checks):
        return lambda value: type(value) is str and value in texts
    return lambda value: any(test(value) for test in tests)
