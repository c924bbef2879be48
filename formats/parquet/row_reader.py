"""Lines of a session → rows: structs with a field for every key that has a column.

The way is exact: what a column could not give back as it was is not put into a field but into the row's
extra object. Nearly all lines are decoded at once, by types; a line with anything unusual is taken apart.
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

Extra = dict[str, Any]

EXACT = 2**53
"""From here on a float cannot tell one integer from the next."""
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{6}Z")
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(slots=True)
class RowBatch:
    """A batch of rows."""

    kind: RowType
    rows: list[Any]
    header_lists: HeaderLists = field(default_factory=HeaderLists)
    headers: list[int] = field(default_factory=list)
    """The number of each row's head."""
    trailers: list[int] = field(default_factory=list)
    extras: dict[int, Extra] = field(default_factory=dict)
    """By index: what the fields do not hold."""


class RowReader:
    """Reads batches of one session, which all have the same few keys."""

    def __init__(self) -> None:
        self._seen: frozenset[Path] = frozenset()

    def read(self, lines: bytes) -> RowBatch:
        """The rows of whole lines. Raises `RecordError` for a line that is no object.

        Timestamps, base64 and very large numbers are not looked at: where those are not plain, `read_exactly`.
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
    """The rows of whole lines, each looked at in every respect."""
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
    """One line: the fields of a row for what is exact, and the rest as it is."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise RecordError(f"expected a record, found {_excerpt(line)} ({error})") from None
    if not isinstance(record, dict):
        raise RecordError(f"expected an object, found {_excerpt(line)}")
    kind = record.get("type")
    fields = {key: value for key, value in record.items() if key in FULL.keys}
    extra = {key: value for key, value in record.items() if key not in FULL.keys}
    if (row := _exact(fields, kind)) is not None:
        return row, extra
    good: dict[str, Any] = {}
    for unit in _units(fields):
        (extra if _exact(unit, kind) is None else good).update(unit)
    row = _exact(good, kind)
    # None: two keys that are good alone, but not together.
    return (FULL.make(), record) if row is None else (row, extra)


def _excerpt(line: bytes) -> str:
    return ascii(line[:60].decode("utf-8", "replace"))


def _units(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What can be in columns, or not, by itself: single keys; headers with their pairs."""
    units = [{key: value} for key, value in fields.items() if key not in DERIVED and key not in DERIVED.values()]
    units += [{key: fields[key] for key in both if key in fields} for both in DERIVED.items()]
    return units


def _exact(fields: Mapping[str, Any], kind: Any) -> Any:
    """The row of these keys of a record of that type, or None when it would not give them back."""
    try:
        row = FULL.decode(orjson.dumps(fields))
    except (*_UNREADABLE, orjson.JSONEncodeError):
        return None
    if not _has_exact_keys(row, kind if isinstance(kind, str) else "") or not _has_exact_values(row, fields):
        return None
    return row


# ── what the types of the fields do not say ────────────────────────────────────────────────────────


def _has_exact_keys(row: Any, kind: str = "") -> bool:
    """Whether a row of `FULL` says what its record says, as far as keys go. `kind` where it does not tell its type."""
    heads = HeaderLists()
    if heads.number(row.rawHeaders, row.headers) < 0 or heads.number(row.rawTrailers, row.trailers) < 0:
        return False
    return not _is_misplaced(FULL, row.type or kind)(row) and not _has_empty_object(FULL, [row])


def _have_exact_keys(rows: RowBatch) -> bool:
    """The same for all rows of a batch, whose heads get their numbers."""
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
    """A function that says whether a row of this type has a key whose columns mean another key."""
    keys = [key for key in forbidden_keys(kind) if key in row_type.keys]
    if not keys:
        return lambda row: False
    if len(keys) == 1:
        keys *= 2  # attrgetter gives a tuple only for several
    get = attrgetter(*keys)
    nothing = tuple(row_type.absent.get(key) for key in keys)
    return lambda row: bool(get(row) != nothing)


def _has_empty_object(kind: RowType, rows: list[Any]) -> bool:
    """Objects of optional keys alone: empty, they would look like none."""
    for key in ("tlsMetadata", "error"):
        nothing = kind.absent.get(key)
        if nothing is None:
            continue
        if any(value is not nothing and value == nothing for value in map(attrgetter(key), rows)):
            return True
    return False


def _has_exact_values(row: Any, fields: Mapping[str, Any] | None = None) -> bool:
    """Whether timestamp, base64 and numbers come back as they are. `fields` is where the row came from, if known."""
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
    """The bytes, or None for text that is not the one way to write them."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return data if binascii.b2a_base64(data, newline=False) == text.encode() else None


def _is_equal_in(fields: Mapping[str, Any] | None, path: Path, value: float) -> bool:
    """Whether the float is what the record says, where floats have holes."""
    said: Any = fields
    for key in path:
        said = said.get(key) if isinstance(said, Mapping) else None
    return said is not None and bool(said == value)
