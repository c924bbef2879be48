"""Which column of a table holds which part of a record. Derived from the event types, without pyarrow.

A record's own keys are columns of the same name. Objects that many records have are laid flat: their keys
become columns with a prefix (`tlsMetadata.cipher` → `tlsCipher`, stamps of `timingEvents` without one).
Objects that few records have, or whose keys are free, are one column of JSON text. What has no column, or
would not come back from it unchanged, is in the JSON of the column `extra`.
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
    TimingEvents,
    TlsFailureTiming,
    TlsMetadata,
)

TABLE_VERSION = 1
"""Of the tables' schema, in the footer of every file. Columns that may be null are added without a new one."""

DERIVED = {"headers": "rawHeaders", "trailers": "rawTrailers"}
"""Keys that are not stored because they follow from the list of pairs: key → the key of the pairs."""
EXTRA = "extra"
"""JSON object: keys of the record that no column holds exactly. They win over columns."""
FROM_HEADERS = {"contentType": "content-type", "userAgent": "user-agent", "contentEncoding": "content-encoding"}
"""Columns that repeat a header, because few readers look into lists: column → header."""

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
}
_SCALARS: dict[Any, str] = {str: "text", int: "int", float: "number", bool: "flag"}
_INLINE_BODIES = ("body", "content")
"""Bodies with columns of their own; `requestBody` of an abort is JSON."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the events table, and where its values stand in a record."""

    name: str
    kind: str
    """`text`, `int`, `number`, `flag`, `time`, `texts` (list), `pairs`, `base64` (bytes in the table), `json`."""
    path: tuple[str, ...]
    """One or two keys."""


@cache
def columns_of(kind: str) -> tuple[Column, ...]:
    """The columns that records of a type fill, in the order in which the records' keys are written.

    For a type that is not known: all of them, with the place that most types have them in.
    """
    if kind not in EVENT_CLASSES:
        return tuple(all_columns().values())
    found: list[Column] = []
    for spec in specs(EVENT_CLASSES[kind]):
        found += _columns(spec.key, spec.hint)
    return tuple(found)


@cache
def all_columns() -> dict[str, Column]:
    """Name → column, over all types. Where types disagree on the place, objects win over single keys, `body` over
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
    """Name → column for a type: its own columns in the order in which the keys are written, then all others."""
    return {**{column.name: column for column in columns_of(kind)}, **_missing_from(kind)}


def _missing_from(kind: str) -> dict[str, Column]:
    own = {column.name for column in columns_of(kind)}
    return {name: column for name, column in all_columns().items() if name not in own}


@cache
def forbidden_keys(kind: str) -> tuple[str, ...]:
    """Keys whose columns hold another key in records of this type, for example `error` where `errorCode` is a key."""
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
