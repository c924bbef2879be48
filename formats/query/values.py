"""Parses the values of an expression to checks, by the type of the field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mockrec.formats.query.checks import Check, Exactly, Interval, Moment, RegexCheck, Text
from mockrec.formats.query.regex import problem
from mockrec.formats.query.tokens import Word
from mockrec.formats.text.quantities import BYTES, MILLISECONDS

ORDER = ("<", "<=", ">", ">=")
TEXT_OPERATORS = ("contains", "startswith", "endswith")
REGEX_OPERATORS = ("~", "~*")


class FieldType(StrEnum):
    """The type of a field's values; the value is its name in messages."""

    TEXT = "a text"
    NUMBER = "a number"
    STATUS = "a status such as 404, a class such as 5xx, or a range such as 200..299"
    DURATION = "a duration such as 200ms, 1.5s or 2m"
    SIZE = "a size such as 512, 20kB or 1MiB"
    TIME = "a date or time such as 2026-11-18 or 2026-11-18T11:20"
    BOOLEAN = "true or false"
    ANY = "a value"

    @property
    def takes_ranges(self) -> bool:
        """Whether `low..high` is a range of such values; for a text it is only a text."""
        return self not in (FieldType.TEXT, FieldType.BOOLEAN)


class ValueProblem(Exception):
    """An invalid value. `position` is its position in the expression."""

    def __init__(self, message: str, position: int) -> None:
        self.message = message
        self.position = position
        super().__init__(message)


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WITH_UNIT = re.compile(r"(-?\d+(?:\.\d+)?)\s?([A-Za-z]*)")
_CLASS = re.compile(r"([1-5])[xX]{2}")
_MILLISECONDS = {"": 1} | MILLISECONDS
_BYTES = {"": 1} | BYTES
_TIME = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?)?)?(Z|[+-]\d\d:?\d\d)?"
)


@dataclass(frozen=True, slots=True)
class Folding:
    """How a value of an expression is converted to the form of the log."""

    case: str = ""
    """`upper` or `lower`."""
    version: bool = False
    """Whether `2` means `2.0`."""
    prefix_of: int = 0
    """`==` with a value that is shorter than this compares only the beginning (of ids)."""


NO_FOLDING = Folding()


def make_checks(kind: FieldType, operator: str, word: Word, folding: Folding = NO_FOLDING) -> tuple[Check, ...]:
    """The checks of `FIELD operator word`, of which one must hold. Raises `ValueProblem`."""
    if operator in REGEX_OPERATORS:
        if kind not in (FieldType.TEXT, FieldType.ANY):
            raise ValueProblem(f"{operator} is for texts; expected a comparison with {kind}", word.position)
        if wrong := problem(word.text):
            raise ValueProblem(f"no regular expression (RE2): {wrong}", word.position)
        return (RegexCheck(word.text, operator == "~*"),)
    if operator in TEXT_OPERATORS:
        if kind not in (FieldType.TEXT, FieldType.ANY):
            raise ValueProblem(f"{operator} is for texts; expected a comparison with {kind}", word.position)
        return (Text(operator, _fold(word.text, folding)),)
    if kind is FieldType.ANY:
        return _any(operator, word)
    if kind is FieldType.TEXT:
        text = _fold(word.text, folding)
        if operator == "==" and len(text) < folding.prefix_of:
            return (Text("startswith", text),)
        return (Text(operator, text),)
    if kind is FieldType.TIME:
        return (_moment(operator, word),)
    if kind is FieldType.BOOLEAN:
        if operator != "==" or word.text.lower() not in ("true", "false"):
            raise _expected(kind, word)
        return (Exactly(word.text.lower() == "true"),)
    low, high, high_open = _number(kind, word)
    return (_compare(operator, low, high, high_open),)


def make_range(kind: FieldType, low: Word, high: Word) -> tuple[Check, ...]:
    """The checks of `FIELD in low..high`, both included. Raises `ValueProblem`."""
    if kind is FieldType.TIME:
        first, last = _moment(">=", low), _moment("<=", high)
        return (Moment(first.low, last.high),)
    bottom, _, _ = _number(FieldType.NUMBER if kind is FieldType.ANY else kind, low)
    _, top, top_open = _number(FieldType.NUMBER if kind is FieldType.ANY else kind, high)
    if kind is FieldType.ANY:
        bottom, top = _in_json(low.text), _in_json(high.text)
    if top < bottom:
        raise ValueProblem(f"the range ends at {high.text}, before it begins", high.position)
    return (Interval(bottom, top, high_open=top_open),)


def split_range(word: Word) -> tuple[Word, Word] | None:
    """The two ends of a range such as `200..299`; None if the value is no range."""
    if word.quoted:
        return None
    low, dots, high = word.text.partition("..")
    if not dots or not low or not high:
        return None
    return Word(low, word.position), Word(high, word.position + len(low) + 2)


def _fold(text: str, folding: Folding) -> str:
    if folding.case:
        text = text.upper() if folding.case == "upper" else text.lower()
    if folding.version:
        text = text.upper().removeprefix("HTTP/")
        return f"{text}.0" if text.isdigit() else text
    return text


def _expected(kind: FieldType, word: Word) -> ValueProblem:
    return ValueProblem(f"expected {kind}, found {word.text!r}", word.position)


def _number(kind: FieldType, word: Word) -> tuple[float, float, bool]:
    """The lowest and the highest number that a value means, and whether the highest is excluded."""
    text = word.text
    if kind is FieldType.STATUS and (of_class := _CLASS.fullmatch(text)):
        first = int(of_class[1]) * 100
        return first, first + 100, True
    if kind in (FieldType.DURATION, FieldType.SIZE):
        match = _WITH_UNIT.fullmatch(text)
        units = _MILLISECONDS if kind is FieldType.DURATION else _BYTES
        unit = (match[2] if kind is FieldType.DURATION else match[2].lower()) if match else None
        if match is None or unit not in units:
            raise _expected(kind, word)
        value = _plain(match[1]) * units[unit]
        return value, value, False
    if not _NUMBER.fullmatch(text):
        raise _expected(kind, word)
    value = _plain(text)
    if value in (float("inf"), float("-inf")):
        raise _expected(kind, word)
    return value, value, False


def _plain(text: str) -> float:
    return int(text) if text.lstrip("-").isdigit() and len(text) < 20 else float(text)


def _in_json(text: str) -> float:
    """A number as it is parsed from JSON: integers (ids, for example) are exact if they fit in 64 bits."""
    if text.lstrip("-").isdigit() and len(text) <= len(str(2**64)):
        value = int(text)
        if -(2**63) <= value < 2**64:
            return value
    return _plain(text)


def _compare(operator: str, low: float, high: float, high_open: bool) -> Interval:
    match operator:
        case "==":
            return Interval(low, high, high_open=high_open)
        case "<":
            return Interval(None, low, high_open=True)
        case "<=":
            return Interval(None, high, high_open=high_open)
        case ">":
            return Interval(high, None, low_open=not high_open)
        case _:
            return Interval(low, None)


def _any(operator: str, word: Word) -> tuple[Check, ...]:
    """The checks for a JSON value, which has a type of its own: `7` matches the number and the text, `"7"` the text."""
    checks: list[Check] = [Text(operator, word.text)]
    if not word.quoted:
        if _NUMBER.fullmatch(word.text):
            value = _in_json(word.text)
            if operator in ORDER:
                checks.clear()
            checks.append(_compare(operator, value, value, False))
        elif operator == "==" and word.text in ("true", "false", "null"):
            checks.append(Exactly({"true": True, "false": False, "null": None}[word.text]))
    return tuple(checks)


def _moment(operator: str, word: Word) -> Moment:
    low, high = _period(word)
    match operator:
        case "==":
            return Moment(low, high)
        case "<":
            return Moment(None, low)
        case "<=":
            return Moment(None, high)
        case ">":
            return Moment(high, None)
        case _:
            return Moment(low, None)


def _period(word: Word) -> tuple[str, str]:
    """The period that a date means, as two timestamps of the log: `2026-11` is the whole month."""
    match = _TIME.fullmatch(word.text)
    if match is None:
        raise _expected(FieldType.TIME, word)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if zone and hour is None:
        raise ValueProblem("expected a time of day before the time zone", word.position)
    try:
        start = datetime(
            int(year),
            int(month),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "").ljust(6, "0")),
            tzinfo=UTC if zone in (None, "Z") else datetime.strptime(zone, "%z").tzinfo,
        ).astimezone(UTC)
        if fraction:
            end = start + timedelta(microseconds=10 ** (6 - len(fraction)))
        elif hour:
            end = start + (timedelta(seconds=1) if second else timedelta(minutes=1) if minute else timedelta(hours=1))
        elif day:
            end = start + timedelta(days=1)
        else:
            end = (start + timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError) as error:
        raise ValueProblem(f"no date or time: {error}", word.position) from None
    return _stamp(start), _stamp(end)


def _stamp(moment: datetime) -> str:
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S.%f}Z"
