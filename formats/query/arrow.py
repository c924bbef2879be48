"""The back end for Parquet: computes the answers to a plan's tests for a batch of rows of the events table.

A test on a column uses Arrow's kernels; a test on a value that is derived from a text (the host of a URL) calls a
function once for each different text. Other tests (on headers, on values inside bodies and JSON columns) are computed
by the back end for lines, on the lines of those rows that have a value in the column. So are the tests of each row with
an `extra` object, which holds what no column holds exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mockrec.formats.parquet import arrays
from mockrec.formats.parquet.layout import DERIVED, EXTRA, FROM_HEADERS, Column, layout
from mockrec.formats.parquet.lines import damaged, lines_of
from mockrec.formats.query.checks import Check, Exactly, Interval, Moment, Present, RegexCheck, Text, compile_any
from mockrec.formats.query.extract import Context
from mockrec.formats.query.field import FieldPath
from mockrec.formats.query.plan import Plan, Test
from mockrec.formats.query.predicate import compile_predicate
from mockrec.formats.query.typed import DecodeError, TypedPlan, compile_typed
from mockrec.formats.schema.events import EVENT_CLASSES

_KNOWN_TYPES = arrays.texts(sorted(EVENT_CLASSES))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FALSE = arrays.flag(False)
_COLUMN_OF_HEADER = {header: name for name, header in FROM_HEADERS.items()}


@dataclass(slots=True)
class ColumnTest:
    """A test, or a part of one, on one column."""

    number: int
    column: str
    kind: str
    """See `Column` in `formats/parquet/layout.py`."""
    types: frozenset[str] | None
    """Record types in which the column has this meaning; None: all."""
    source: FieldPath
    checks: tuple[Check, ...]


@dataclass(slots=True)
class LineTest:
    """A part of a test that needs the line of a row, if any of the columns has a value."""

    number: int
    columns: tuple[str, ...]
    types: frozenset[str] | None
    header: str = ""
    """If set: only rows with this header."""
    unless: str = ""
    """If set: only rows without a value in this column, which otherwise counts."""


@dataclass(slots=True)
class ArrowPlan:
    """A plan for batches of rows."""

    plan: Plan
    on_columns: list[ColumnTest] = field(default_factory=list)
    on_lines: list[LineTest] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    """The columns that have to be read."""


def compile_arrow(plan: Plan) -> ArrowPlan:
    """Prepare a plan, once for all sessions."""
    known: ArrowPlan | None = plan.prepared.get("arrow")
    if known is None:
        known = plan.prepared["arrow"] = _arrow_plan(plan)
    return known


def _arrow_plan(plan: Plan) -> ArrowPlan:
    made = ArrowPlan(plan)
    names = dict.fromkeys(("type", EXTRA))
    for number, test in enumerate(plan.tests):
        _place(made, number, test)
    for on_column in made.on_columns:
        names[on_column.column] = None
    for on_lines in made.on_lines:
        names.update(dict.fromkeys(on_lines.columns))
    # If one test of a row needs its line, all tests are computed on it, so it needs the columns of all tests.
    for test in plan.tests:
        for source in test.field.sources:
            for path in source.paths:
                names.update(dict.fromkeys(columns_under(path[0])))
    made.columns = list(names)
    return made


def _place(made: ArrowPlan, number: int, test: Test) -> None:
    before = ""
    for source in test.field.sources:
        columns = _columns_at(source.path)
        simple = columns and (source.extract is None or all(column.kind == "text" for column, _ in columns))
        if simple and not before:
            for column, types in columns:
                allowed = types if source.types is None else types & source.types
                every = None if source.types is None and len(types) == len(EVENT_CLASSES) else allowed
                made.on_columns.append(ColumnTest(number, column.name, column.kind, every, source, test.checks))
            before = columns[0][0].name if test.field.first else ""
        else:
            header = source.path[1] if source.path[0] == "headers" and len(source.path) > 1 else ""
            made.on_lines.append(LineTest(number, columns_under(source.path[0]), source.types, header, before))


@cache
def _columns_at(path: tuple[str, ...]) -> list[tuple[Column, frozenset[str]]]:
    """The columns that hold exactly the values at a path, each with the record types in which it does."""
    if path[0] == "headers" and len(path) == 2 and path[1] in _COLUMN_OF_HEADER:
        return [(Column(_COLUMN_OF_HEADER[path[1]], "text", path), frozenset(EVENT_CLASSES))]
    found: dict[str, tuple[Column, set[str]]] = {}
    for kind in EVENT_CLASSES:
        for column in layout(kind).values():
            if column.path == path and column.kind in ("text", "int", "number", "flag", "time"):
                found.setdefault(column.name, (column, set()))[1].add(kind)
    return [(column, frozenset(types)) for column, types in found.values()]


@cache
def columns_under(key: str) -> tuple[str, ...]:
    """All columns with values of a record's key."""
    if key in DERIVED:
        return (DERIVED[key],)
    names = {column.name: None for kind in EVENT_CLASSES for column in layout(kind).values() if column.path[0] == key}
    return tuple(names)


def columns_for(path: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that have to be read for lines with all values at a path."""
    exact = _columns_at(path) if path[0] not in DERIVED else []
    return tuple(column.name for column, _ in exact) or columns_under(path[0])


class BatchAnswerer:
    """Computes the answers for batches with `ArrowPlan.columns`, as far as the file has them."""

    def __init__(self, made: ArrowPlan, context: Context) -> None:
        self._made = made
        self._context = context
        self._typed: TypedPlan | None = None
        """Made when the first row needs its line."""

    def answer(self, batch: pa.RecordBatch) -> dict[int, int]:
        """The answers of each row for which at least one test holds."""
        masks: dict[int, pa.Array] = {}
        for test in self._made.on_columns:
            mask = _of_types(batch, test.types, self._column_mask(batch, test))
            if mask is not None:
                masks[test.number] = mask if test.number not in masks else pc.or_(masks[test.number], mask)
        found: dict[int, int] = {}
        for number, mask in masks.items():
            bit = 1 << number
            for row in pc.indices_nonzero(mask).to_pylist():
                found[row] = found.get(row, 0) | bit
        self._add_line_answers(batch, found)
        return found

    def _column_mask(self, batch: pa.RecordBatch, test: ColumnTest) -> pa.Array | None:
        array = column_of(batch, test.column)
        if array is None or array.null_count == len(array):
            return None
        if test.source.extract is not None:
            return _by_value(array, test, self._context)
        mask = None
        for check in test.checks:
            made = _mask(array, test.kind, check)
            if made is not None:
                made = pc.coalesce(made, _FALSE)
                mask = made if mask is None else pc.or_(mask, made)
        return mask

    def _add_line_answers(self, batch: pa.RecordBatch, found: dict[int, int]) -> None:
        needed = _or(_of_types(batch, test.types, _relevant(batch, test)) for test in self._made.on_lines)
        extra = column_of(batch, EXTRA)
        inexact = None if extra is None or extra.null_count == len(extra) else pc.is_valid(extra)
        kinds = column_of(batch, "type")
        if kinds is not None:
            unknown = pc.invert(pc.is_in(kinds, value_set=_KNOWN_TYPES))
            inexact = _or((inexact, unknown if pc.any(unknown).as_py() else None))
        needed = _or((needed, inexact))
        if needed is None:
            return
        rows = pc.indices_nonzero(needed)
        if not len(rows):
            return
        try:
            answers = list(zip(rows.to_pylist(), self._line_bits(lines_of(batch.take(rows))), strict=True))
        except ValueError as error:  # a JSON column with invalid JSON
            raise damaged("session", error) from None
        for row, bits in answers:
            if bits:
                found[row] = bits
            else:
                found.pop(row, None)

    def _line_bits(self, lines: bytes) -> Iterable[int]:
        if self._typed is None:
            self._typed = compile_typed(self._made.plan, self._context)
        try:
            return list(map(self._typed.bits, self._typed.decode_lines(lines)))
        except DecodeError:
            return map(compile_predicate(self._made.plan, self._context), map(orjson.loads, lines.splitlines()))


def column_of(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    """A column, without extension type and dictionary; None if the file does not have it."""
    index = batch.schema.get_field_index(name)
    if index < 0:
        return None
    array = batch.column(index)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    return array


def _or(masks: Iterable[pa.Array | None]) -> pa.Array | None:
    result = None
    for mask in masks:
        if mask is not None:
            result = mask if result is None else pc.or_(result, mask)
    return result


def _of_types(batch: pa.RecordBatch, types: frozenset[str] | None, mask: pa.Array | None) -> pa.Array | None:
    if mask is None or types is None:
        return mask
    kinds = column_of(batch, "type")
    return pc.and_(mask, pc.is_in(kinds, value_set=arrays.texts(sorted(types))))


def _relevant(batch: pa.RecordBatch, test: LineTest) -> pa.Array | None:
    """The rows whose line a test needs."""
    if test.header:
        mask = _with_header(batch, test.header)
    else:
        mask = _or(_filled(column_of(batch, name)) for name in test.columns)
    before = column_of(batch, test.unless) if test.unless else None
    if mask is not None and before is not None:
        mask = pc.and_(mask, pc.is_null(before))
    return mask


def _filled(array: pa.Array | None) -> pa.Array | None:
    if array is None or array.null_count == len(array):
        return None
    if pa.types.is_list(array.type):
        return pc.coalesce(pc.greater(pc.list_value_length(array), arrays.integer(0)), _FALSE)
    return pc.is_valid(array)


def _with_header(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    pairs = column_of(batch, "rawHeaders")
    if pairs is None or pairs.null_count == len(pairs):
        return None
    names = pc.list_flatten(pairs).field(0)
    if pa.types.is_dictionary(names.type):
        names = names.cast(pa.string())
    has_name = pc.equal(pc.utf8_lower(names), arrays.text(name))
    rows = pc.unique(pc.list_parent_indices(pairs).filter(has_name)).cast(pa.int64())
    return pc.is_in(arrays.integers(range(len(pairs))), value_set=rows)


def _by_value(array: pa.Array, test: ColumnTest, context: Context) -> pa.Array:
    """The mask of a test on values that are derived from a text. Computes it once for each different text."""
    encoded = array.dictionary_encode()
    holds, extract = compile_any(test.checks), test.source.extract
    assert extract is not None
    answers = [
        text is not None and any(holds(value) for value in extract(text, context))
        for text in encoded.dictionary.to_pylist()
    ]
    return pc.coalesce(arrays.flags(answers).take(encoded.indices), _FALSE)


def _mask(array: pa.Array, kind: str, check: Check) -> pa.Array | None:
    """The rows for which a check holds; None if it cannot hold for values of this kind."""
    match check:
        case Present():
            return pc.is_valid(array)
        case Interval():
            return _interval(array, check) if kind in ("int", "number") else None
        case Exactly(value):
            return pc.equal(array, arrays.flag(value)) if kind == "flag" and value is not None else None
        case Moment(low, high):
            return _moment(array, low, high) if kind == "time" else None
        case Text(operator, value):
            return _text(array, operator, value) if kind == "text" else None
        case RegexCheck(pattern, ignore_case):
            return pc.match_substring_regex(array, pattern, ignore_case=ignore_case) if kind == "text" else None


def _text(array: pa.Array, operator: str, value: str) -> pa.Array:
    match operator:
        case "contains":
            return pc.match_substring(array, value)
        case "startswith":
            return pc.starts_with(array, value)
        case "endswith":
            return pc.ends_with(array, value)
    compare = {"==": pc.equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
    return compare[operator](array, arrays.text(value).cast(array.type))


def _moment(array: pa.Array, low: str | None, high: str | None) -> pa.Array:
    above = pc.is_valid(array) if low is None else pc.greater_equal(array, _instant(low, array.type))
    return above if high is None else pc.and_(above, pc.less(array, _instant(high, array.type)))


def _instant(stamp: str, kind: pa.DataType) -> pa.Scalar:
    moment = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return arrays.integer((moment - _EPOCH) // timedelta(microseconds=1)).cast(pa.timestamp("us", "UTC")).cast(kind)


def _interval(array: pa.Array, check: Interval) -> pa.Array:
    if pa.types.is_integer(array.type):
        low, high = whole_bounds(check)
        if low > high:
            return arrays.flags([False] * len(array))
        array = array.cast(pa.int64())
        return pc.and_(pc.greater_equal(array, arrays.integer(low)), pc.less_equal(array, arrays.integer(high)))
    mask = pc.is_valid(array)
    if check.low is not None:
        mask = pc.and_(
            mask, (pc.greater if check.low_open else pc.greater_equal)(array, arrays.number(float(check.low)))
        )
    if check.high is not None:
        mask = pc.and_(mask, (pc.less if check.high_open else pc.less_equal)(array, arrays.number(float(check.high))))
    return mask


def whole_bounds(check: Interval) -> tuple[int, int]:
    """The lowest and the highest 64-bit integer in an interval."""
    low, high = -(2**63), 2**63 - 1
    if check.low is not None:
        low = max(low, math.floor(check.low) + 1 if check.low_open else math.ceil(check.low))
    if check.high is not None:
        high = min(high, math.ceil(check.high) - 1 if check.high_open else math.floor(check.high))
    return low, high
