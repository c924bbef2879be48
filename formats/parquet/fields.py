"""The structs into which lines are decoded, made from the columns of `formats/parquet/layout.py`.

A struct of all keys takes longer to decode and to read than one of the keys that the session really has. So there is a
struct for each set of fields that a session uses.
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
"""Bits of integer columns that are narrower than 64, as in `formats/parquet/arrow_schema.py`; a test compares them."""
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
"""Keys that every struct has, so that code may read them without a check."""


def _places() -> dict[Path, Column]:
    found = {column.path: column for kind in EVENT_CLASSES for column in columns_of(kind)}
    # Required keys of a flattened object come first, because fields without a default must.
    return dict(sorted(found.items(), key=lambda item: item[0][-1] not in _always(item[0])))


def _always(path: Path) -> frozenset[str]:
    """The required keys of the objects at a path: without them, columns could not tell an empty object from none."""
    if len(path) == 1:
        return frozenset()
    if path[0] in ("body", "content"):
        return frozenset({"size"})
    shapes = [spec.hint for cls in EVENT_CLASSES.values() for spec in specs(cls) if spec.key == path[0]]
    return frozenset.intersection(*(frozenset(spec.key for spec in specs(cls) if spec.required) for cls in shapes))


COLUMN_BY_PATH = _places()
"""The column of each path in a record that has one. Several paths may share a column."""
NUMBERS = tuple(path for path, column in COLUMN_BY_PATH.items() if column.kind == "number")
BODIES = ("body", "content")


def _type(column: Column) -> Any:
    if column.kind != "int":
        return _TYPES[column.kind]
    bits = _BITS.get(column.name, 64)
    return Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]


class RowType:
    """A struct with the fields of some paths, and its decoder.

    The attributes have the names of the record's keys; a key that is missing is None. The decoder rejects other keys.
    """

    def __init__(self, paths: frozenset[Path]) -> None:
        self.paths = tuple(path for path in COLUMN_BY_PATH if path in paths)
        self.absent: dict[str, Any] = {}
        """The value of a flattened object that a record does not have: a struct whose attributes are all None."""
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
        """The paths that have a value in any of these rows."""
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
    """The type with these paths, and with those that every type has."""
    always = {path for path in COLUMN_BY_PATH if path[0] in _NEEDED}
    objects = {path[0] for path in paths if len(path) == 2}
    always |= {path for path in COLUMN_BY_PATH if path[0] in objects and path[1:] and path[1] in _always(path)}
    return RowType(paths | always)


FULL = RowType(frozenset(COLUMN_BY_PATH))
