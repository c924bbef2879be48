"""The structs that lines are decoded into, made from the event types by way of `formats/parquet/layout.py`.

A struct of all keys costs more to make, and more to look through, than one of the keys that a session really has.
So there is one for each set of fields that was asked for.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import msgspec

from mockrec.formats.parquet.layout import DERIVED, Column, columns_of
from mockrec.formats.schema.codec import specs
from mockrec.formats.schema.events import EVENT_CLASSES

Path = tuple[str, ...]

_BITS = {"statusCode": 16, "closeCode": 32, "remotePort": 32, "destinationPort": 32}
"""As narrow as the columns in `formats/parquet/arrow_schema.py`; a test compares them."""
_TYPES: dict[str, Any] = {
    "text": str,
    "number": float,
    "flag": bool,
    "time": str,
    "texts": list[str],
    "pairs": msgspec.Raw,
    "base64": str,
    "json": msgspec.Raw,
}
_NEEDED = frozenset({"type", "timestamp", "rawHeaders", "rawTrailers", "headers", "trailers"})
"""Keys that every struct has, so that those who look at them need not ask."""


def _places() -> dict[Path, Column]:
    found = {column.path: column for kind in EVENT_CLASSES for column in columns_of(kind)}
    # Of an object that is laid flat, keys that are always there come first: fields without a default have to.
    return dict(sorted(found.items(), key=lambda item: item[0][-1] not in _always(item[0])))


def _always(path: Path) -> frozenset[str]:
    """What every object of that key has: one without it cannot be told from none in the columns."""
    if len(path) == 1:
        return frozenset()
    if path[0] in ("body", "content"):
        return frozenset({"size"})
    shapes = [spec.hint for cls in EVENT_CLASSES.values() for spec in specs(cls) if spec.key == path[0]]
    return frozenset.intersection(*(frozenset(spec.key for spec in specs(cls) if spec.required) for cls in shapes))


COLUMN_BY_PATH = _places()
"""Where in a record columns have their values: path → column. Several paths may share a column."""
NUMBERS = tuple(path for path, column in COLUMN_BY_PATH.items() if column.kind == "number")
BODIES = ("body", "content")


def _type(column: Column) -> Any:
    if column.kind != "int":
        return _TYPES[column.kind]
    bits = _BITS.get(column.name, 64)
    return Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]


class RowType:
    """A struct with these fields. Its attributes are named as a record's keys; None where there is no such key.

    Keys that are not among them are refused.
    """

    def __init__(self, paths: frozenset[Path]) -> None:
        self.paths = tuple(path for path in COLUMN_BY_PATH if path in paths)
        self.absent: dict[str, Any] = {}
        """What a row has where its record has no such object: one that says None to everything."""
        fields: dict[str, tuple[Any, ...]] = {}
        for path in self.paths:
            key = path[0]
            if len(path) == 1:
                fields[key] = (key, _type(COLUMN_BY_PATH[path]), None)
            elif key not in fields:
                struct = self._object(key)
                self.absent[key] = struct(**dict.fromkeys(struct.__struct_fields__))
                fields[key] = (key, struct, self.absent[key])
        for key in DERIVED:
            fields[key] = (key, msgspec.Raw, None)
        self.make = msgspec.defstruct("Row", list(fields.values()), forbid_unknown_fields=True, gc=False)
        self.keys = frozenset(fields)
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self.make)
        self.decode = decoder.decode
        self.decode_lines = decoder.decode_lines

    def _object(self, key: str) -> Any:
        inner = [path for path in self.paths if path[0] == key]
        fields = [
            (path[1], _type(COLUMN_BY_PATH[path]))
            if path[1] in _always(path)
            else (path[1], _type(COLUMN_BY_PATH[path]), None)
            for path in inner
        ]
        return msgspec.defstruct(f"Row_{key}", fields, forbid_unknown_fields=True, frozen=True, gc=False)

    def used(self, rows: list[Any]) -> frozenset[Path]:
        """The fields that any of these rows has."""
        found: set[Path] = set()
        for path in self.paths:
            for row in rows:
                value = getattr(row, path[0])
                if len(path) == 2:
                    value = getattr(value, path[1])
                if value is not None:
                    found.add(path)
                    break
        return frozenset(found)


@cache
def row_type(paths: frozenset[Path]) -> RowType:
    """The type with these fields, and those that every type has."""
    always = {path for path in COLUMN_BY_PATH if path[0] in _NEEDED}
    objects = {path[0] for path in paths if len(path) == 2}
    always |= {path for path in COLUMN_BY_PATH if path[0] in objects and path[1:] and path[1] in _always(path)}
    return RowType(paths | always)


FULL = RowType(frozenset(COLUMN_BY_PATH))
