"""The columns of the events table, and which part of a record each holds; from the event types, without pyarrow.

A record's own keys are columns of the same name. Objects that many records have are flattened: their keys become
columns with a prefix (`tlsMetadata.cipher` → `tlsCipher`; the stamps of `timingEvents` have no prefix). An object that
few records have, or whose keys are free, is one column of JSON text. Keys without a column, and values that a column
would not give back unchanged, are in the JSON of the column `extra`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import LogObject, RawHeaders, specs
from mockrec.formats.schema.events import EVENT_CLASSES
from mockrec.formats.schema.objects import (
    ConnectionTiming,
    Destination,
    ErrorInfo,
    OperationInfo,
    TimingEvents,
    TlsFailureTiming,
    TlsMetadata,
)

TABLE_VERSION = 1
"""The version of the tables' schema, in the footer of every file. A new column that may be null does not change it."""

DERIVED = {"headers": "rawHeaders", "trailers": "rawTrailers"}
"""Keys that are not stored because they follow from a list of pairs: key → the key of the pairs."""
EXTRA = "extra"
"""The column with a JSON object of the record's keys that no column holds exactly. They win over columns."""
FROM_HEADERS = {"contentType": "content-type", "userAgent": "user-agent", "contentEncoding": "content-encoding"}
"""Columns that repeat a header field, for queries without lists: column → header."""

_BODY_KEYS: dict[str, str] = {
    "size": "int",
    "text": "text",
    "base64": "base64",
    "file": "text",
    "sha256": "text",
    "contentEncoding": "text",
    "encodedSize": "int",
    "charset": "text",
    "raw": "base64",
    "truncated": "flag",
    "redacted": "flag",
    "undecodable": "flag",
    "incomplete": "flag",
}
_BODY_COLUMNS = {"base64": "bodyBytes"}
_PREFIX: dict[type, str] = {
    TimingEvents: "",
    ConnectionTiming: "",
    TlsFailureTiming: "",
    Destination: "destination",
    TlsMetadata: "tls",
    ErrorInfo: "error",
    OperationInfo: "operation",
}
_SCALARS: dict[Any, str] = {str: "text", int: "int", float: "number", bool: "flag"}
_INLINE_BODIES = ("body", "content")
"""Keys of bodies with columns of their own; `requestBody` of an abort is a column of JSON."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the events table, and the path of its values in a record."""

    name: str
    kind: str
    """`text`, `int`, `number`, `flag`, `time`, `texts` (list), `pairs`, `base64` (bytes in the table), `json`."""
    path: tuple[str, ...]
    """One or two keys."""


@cache
def columns_of(kind: str) -> tuple[Column, ...]:
    """The columns of records of a type, in the order in which the records' keys are written.

    For an unknown type all columns, each with the path that most types have.
    """
    if kind not in EVENT_CLASSES:
        return tuple(all_columns().values())
    found: list[Column] = []
    for spec in specs(EVENT_CLASSES[kind]):
        found += _columns(spec.key, spec.hint)
    return tuple(found)


@cache
def all_columns() -> dict[str, Column]:
    """The columns of all types by name. If types differ in the path, objects win over single keys, `body` over
    `content`."""
    merged: dict[str, Column] = {}
    for kind in EVENT_CLASSES:
        for column in columns_of(kind):
            known = merged.setdefault(column.name, column)
            if known.kind != column.kind:
                raise TypeError(f"{column.name}: {known.kind} in one type, {column.kind} in {kind}")
            if len(column.path) > len(known.path) or column.path[0] == "body":
                merged[column.name] = column
    return merged


@cache
def layout(kind: str) -> dict[str, Column]:
    """All columns by name, for records of a type: first its own, in the order in which the keys are written."""
    return {**{column.name: column for column in columns_of(kind)}, **_missing_from(kind)}


def _missing_from(kind: str) -> dict[str, Column]:
    own = {column.name for column in columns_of(kind)}
    return {name: column for name, column in all_columns().items() if name not in own}


@cache
def forbidden_keys(kind: str) -> tuple[str, ...]:
    """Keys whose columns hold another key in records of this type, for example `error` if `errorCode` is a key."""
    places = layout(kind)
    found = {
        column.path[0]: None
        for other in EVENT_CLASSES
        for column in columns_of(other)
        if places[column.name].path != column.path
    }
    return tuple(found)


def _columns(key: str, hint: Any) -> list[Column]:
    if key in DERIVED:
        return []
    if key == "timestamp":
        return [Column(key, "time", (key,))]
    if hint in _SCALARS:
        return [Column(key, _SCALARS[hint], (key,))]
    if hint == list[str]:
        return [Column(key, "texts", (key,))]
    if hint == RawHeaders:
        return [Column(key, "pairs", (key,))]
    if hint is Body and key in _INLINE_BODIES:
        return [
            Column(_BODY_COLUMNS.get(name, _join("body", name)), kind, (key, name)) for name, kind in _BODY_KEYS.items()
        ]
    if hint in _PREFIX:
        return [_nested(key, _PREFIX[hint], spec.key, spec.hint) for spec in specs(hint)]
    if _is_object(hint):
        return [Column(key, "json", (key,))]
    raise TypeError(f"no column for {key}: {hint}")


def _nested(key: str, prefix: str, inner: str, hint: Any) -> Column:
    kind = "texts" if hint == list[str] else _SCALARS[hint]
    return Column(_join(prefix, inner), kind, (key, inner))


def _join(prefix: str, key: str) -> str:
    return prefix + key[0].upper() + key[1:] if prefix else key


def _is_object(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if isinstance(hint, type) and get_origin(hint) is None:
        return issubclass(hint, (LogObject, Body))
    return get_origin(hint) in (dict, list)
