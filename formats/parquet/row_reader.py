"""Lines of a session → rows: structs with a field for every key that has a column.

A record must come back from the table exactly as it was. So a key is put into its column only if the column gives back
the same value; all other keys go into the row's `extra` object, which wins over columns. The rules are:

1. The value has the type of its column, an integer fits in the column's bits, and each key of an object has a column.
   The decoder checks this: `fields.py` makes the types.
2. `headers` and `trailers` are not stored. They must follow from `rawHeaders` and `rawTrailers` (`header_lists.py`).
3. Several keys may share a column: `errorCode` is a key of some types and the `code` of the object `error` of others.
   A record has no key whose columns mean another key in records of its type (`layout.forbidden_keys`).
4. `tlsMetadata` and `error` are not empty objects: all their keys are optional, so an empty one would look missing.
5. `timestamp` has the log's form and is a date that exists.
6. Base64 is in its canonical form, because columns hold the bytes.
7. A number from 2**53 on is equal to its float, because a column of numbers holds floats.

Rules 2 to 4 are about keys (`_has_exact_keys`), rules 5 to 7 about values (`_has_exact_values`). Nearly all sessions
follow all rules, so a whole batch is decoded at once: the decoder checks rule 1, `_have_exact_keys` rules 2 to 4, and
`columns.py` rules 5 to 7, on whole columns. If one line breaks a rule, each line of the batch is checked
(`read_exactly`), and a line that breaks a rule is split into columns and `extra` (`take_apart`).
"""

from __future__ import annotations

import binascii
import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
import orjson

from mockrec.formats.parquet.fields import BODIES, FULL, NUMBERS, Path, RowType, row_type
from mockrec.formats.parquet.header_lists import HeaderLists
from mockrec.formats.parquet.layout import DERIVED, forbidden_keys
from mockrec.formats.schema.errors import RecordError
from mockrec.formats.text.json import MAX_DEPTH, is_deeper

Extra = dict[str, Any]

EXACT = 2**53
"""From this number on, a float cannot represent every integer."""
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{6}Z")
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(slots=True)
class RowBatch:
    """A batch of rows, and what their fields do not hold."""

    kind: RowType
    rows: list[Any]
    header_lists: HeaderLists = field(default_factory=HeaderLists)
    headers: list[int] = field(default_factory=list)
    """The number of each row's headers in `header_lists`."""
    trailers: list[int] = field(default_factory=list)
    """The number of each row's trailers in `header_lists`."""
    extras: dict[int, Extra] = field(default_factory=dict)
    """The `extra` object of a row, by the index of the row."""


class RowReader:
    """Reads the batches of one session, whose records mostly have the same few keys."""

    def __init__(self) -> None:
        self._seen: frozenset[Path] = frozenset()

    def read(self, lines: bytes) -> RowBatch:
        """The rows of whole lines. Raises `RecordError` for a line that is no object.

        Does not check rules 5 to 7. A caller that finds one broken calls `read_exactly`.
        """
        for kind in (row_type(self._seen), FULL):
            try:
                rows = RowBatch(kind, kind.decode_lines(lines))
            except _UNREADABLE:
                continue
            if not _have_exact_keys(rows):
                break
            if kind is FULL:
                self._seen |= kind.used(rows.rows)
            return rows
        return read_exactly(lines)


def read_exactly(lines: bytes) -> RowBatch:
    """The rows of whole lines, each checked by all rules. Raises `RecordError` for a line that is no object."""
    rows = RowBatch(FULL, [])
    for line in lines.split(b"\n"):
        if not line.strip():
            continue
        try:
            row = FULL.decode(line)
        except _UNREADABLE:
            row = None
        if row is None or not _has_exact_keys(row) or not _has_exact_values(row):
            row, rows.extras[len(rows.rows)] = take_apart(line)
        rows.rows.append(row)
    _have_exact_keys(rows)
    return rows


def take_apart(line: bytes) -> tuple[Any, Extra]:
    """Split the record of a line: a row of the keys that follow all rules, and the `extra` object with the others."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise RecordError(f"expected a record, found {_excerpt(line)} ({error})") from None
    if not isinstance(record, dict):
        raise RecordError(f"expected an object, found {_excerpt(line)}")
    if is_deeper(record, MAX_DEPTH):
        raise RecordError(f"its values are nested more than {MAX_DEPTH} levels deep, found {_excerpt(line)}")
    kind = record.get("type")
    fields = {key: value for key, value in record.items() if key in FULL.keys}
    extra = {key: value for key, value in record.items() if key not in FULL.keys}
    if (row := _exact(fields, kind)) is not None:
        return row, extra
    good: dict[str, Any] = {}
    for unit in _units(fields):
        (extra if _exact(unit, kind) is None else good).update(unit)
    row = _exact(good, kind)
    # None: two keys follow the rules alone, but not together. Then the whole record is `extra`.
    return (FULL.make(), record) if row is None else (row, extra)


def _excerpt(line: bytes) -> str:
    return ascii(line[:60].decode("utf-8", "replace"))


def _units(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys that can be in columns or in `extra` independently: single keys, and headers with their pairs."""
    units = [{key: value} for key, value in fields.items() if key not in DERIVED and key not in DERIVED.values()]
    units += [{key: fields[key] for key in both if key in fields} for both in DERIVED.items()]
    return units


def _exact(fields: Mapping[str, Any], kind: Any) -> Any:
    """The row of these keys of a record of type `kind`; None if they break a rule."""
    try:
        row = FULL.decode(orjson.dumps(fields))
    except (*_UNREADABLE, orjson.JSONEncodeError):
        return None
    if not _has_exact_keys(row, kind if isinstance(kind, str) else "") or not _has_exact_values(row, fields):
        return None
    return row


# ── the rules that the decoder does not check ──────────────────────────────────────────────────────


def _has_exact_keys(row: Any, kind: str = "") -> bool:
    """Whether a row of `FULL` follows rules 2 to 4. `kind` is its type if the row itself has none."""
    lists = HeaderLists()
    if lists.number(row.rawHeaders, row.headers) < 0 or lists.number(row.rawTrailers, row.trailers) < 0:
        return False
    return not _is_misplaced(FULL, row.type or kind)(row) and not _has_empty_object(FULL, [row])


def _have_exact_keys(rows: RowBatch) -> bool:
    """Whether all rows of a batch follow rules 2 to 4. Sets the numbers of their headers and trailers."""
    number = rows.header_lists.number
    rows.headers = [number(row.rawHeaders, row.headers) for row in rows.rows]
    rows.trailers = [number(row.rawTrailers, row.trailers) for row in rows.rows]
    if min(rows.headers, default=0) < 0 or min(rows.trailers, default=0) < 0:
        return False
    tests = {kind: _is_misplaced(rows.kind, kind or "") for kind in {row.type for row in rows.rows}}
    if any(tests[row.type](row) for row in rows.rows):
        return False
    return not _has_empty_object(rows.kind, rows.rows)


@cache
def _is_misplaced(row_type: RowType, kind: str) -> Callable[[Any], bool]:
    """A function that returns whether a row of type `kind` breaks rule 3."""
    keys = [key for key in forbidden_keys(kind) if key in row_type.keys]
    if not keys:
        return lambda row: False
    if len(keys) == 1:
        keys *= 2  # attrgetter returns a tuple only for several names
    get = attrgetter(*keys)
    nothing = tuple(row_type.absent.get(key) for key in keys)
    return lambda row: bool(get(row) != nothing)


def _has_empty_object(kind: RowType, rows: list[Any]) -> bool:
    """Whether a row breaks rule 4."""
    for key in ("tlsMetadata", "error"):
        nothing = kind.absent.get(key)
        if nothing is None:
            continue
        if any(value is not nothing and value == nothing for value in map(attrgetter(key), rows)):
            return True
    return False


def _has_exact_values(row: Any, fields: Mapping[str, Any] | None = None) -> bool:
    """Whether a row follows rules 5 to 7. `fields` is the record of the row, where the caller has it."""
    if row.timestamp is not None and not _is_timestamp(row.timestamp):
        return False
    for key in BODIES:
        body = getattr(row, key)
        if not (_is_base64(body.base64) and _is_base64(body.raw)):
            return False
    for path in NUMBERS:
        value = row
        for key in path:
            value = getattr(value, key)
        if value is not None and abs(value) >= EXACT and not _is_equal_in(fields, path, value):
            return False
    return True


def _is_timestamp(text: str) -> bool:
    if not _TIMESTAMP.fullmatch(text):
        return False
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_base64(text: str | None) -> bool:
    return text is None or decode_base64(text) is not None


def decode_base64(text: str) -> bytes | None:
    """The bytes; None for text that is not their canonical base64."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return data if binascii.b2a_base64(data, newline=False) == text.encode() else None


def _is_equal_in(fields: Mapping[str, Any] | None, path: Path, value: float) -> bool:
    """Whether a float is equal to the number in the record, which may be an integer."""
    recorded: Any = fields
    for key in path:
        recorded = recorded.get(key) if isinstance(recorded, Mapping) else None
    return recorded is not None and bool(recorded == value)
