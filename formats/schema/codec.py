"""Converts between objects of the log and dataclasses.

Attributes are in snake_case, keys are the same words in camelCase. A field without a default is a required key;
`X | None = None` is a key that is left out if it has no value. `start_time` is in milliseconds since the Unix epoch,
`*_timestamp` in monotonic milliseconds with fractions.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from reprlib import recursive_repr
from typing import Annotated, Any, TypeVar, Union, dataclass_transform, get_args, get_origin

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import RecordError

Headers = Annotated[dict[str, str | list[str]], "headers"]
"""Lower-case name → value. The values of a repeated name are joined; `set-cookie` is always a list."""
RawHeaders = Annotated[list[list[str]], "pairs"]
"""`[name, value]` of each field line, in the original order and case."""
FreeData = Annotated[dict[str, Any], "free"]
"""Any object; it may be empty and may hold nulls."""


_ClassT = TypeVar("_ClassT")


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
def log_object(cls: type[_ClassT]) -> type[_ClassT]:
    """Make a dataclass of a `LogObject`. Its arguments are keywords.

    `dataclass` compiles three functions for each class, which took 30 ms of the start of a command that reads Parquet.
    Here it compiles one, and none for a class without fields of its own.
    """
    return dataclass(kw_only=True, repr=False, eq=False)(cls) if cls.__annotations__ else cls


@log_object
class LogObject:
    """Base of all objects of the log."""

    extra: dict[str, Any] = field(default_factory=dict, repr=False)
    """Keys that this version does not know, with their values in the record."""

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        names = [item.name for item in fields(self)]
        # Lists, because a value is equal to itself in these, also NaN.
        return [getattr(self, name) for name in names] == [getattr(other, name) for name in names]

    @recursive_repr()
    def __repr__(self) -> str:
        shown = [f"{item.name}={getattr(self, item.name)!r}" for item in fields(self) if item.repr]
        return f"{self.__class__.__qualname__}({', '.join(shown)})"


@dataclass(frozen=True)
class FieldSpec:
    """One field of a class, as it is in the log."""

    name: str
    key: str
    required: bool
    hint: Any
    """The type without `| None`."""


_ObjectT = TypeVar("_ObjectT", bound=LogObject)


_specs: dict[type, tuple[FieldSpec, ...]] = {}
_known: dict[type, frozenset[str]] = {}


def specs(cls: type[LogObject]) -> tuple[FieldSpec, ...]:
    """The fields of a class in the order in which they are written. Computed once, because it is slow."""
    if cls not in _specs:
        hints = _hints_of(cls)
        made = tuple(
            FieldSpec(
                name=item.name,
                key=camel(item.name),
                required=item.default is MISSING and item.default_factory is MISSING,
                hint=_without_none(hints[item.name]),
            )
            for item in fields(cls)
            if item.name != "extra"
        )
        # In this order: a thread that finds the class in `_specs` must find it in `_known`.
        _known[cls] = frozenset(spec.key for spec in made)
        _specs[cls] = made
    return _specs[cls]


_hints: dict[type, dict[str, Any]] = {}


def _hints_of(cls: type) -> dict[str, Any]:
    """The types of a class's fields. `get_type_hints` evaluates those of a base again for each class."""
    known = _hints.get(cls)
    if known is None:
        known = {}
        for base in reversed(cls.__bases__):
            known |= _hints_of(base)
        names = vars(sys.modules[cls.__module__])
        # Not of `object`, whose attribute is that of `type`.
        own = cls.__annotations__ if cls is not object else {}
        known |= {name: eval(hint, names) if isinstance(hint, str) else hint for name, hint in own.items()}
        _hints[cls] = known
    return known


def camel(name: str) -> str:
    """`http_version` → `httpVersion`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        kept = [part for part in get_args(hint) if part is not type(None)]
        if len(kept) == 1:
            return kept[0]
    return hint


def read_object(cls: type[_ObjectT], record: Mapping[str, Any]) -> _ObjectT:
    """Make an instance of a class from an object of the log. Raises `RecordError` if a required key is missing."""
    values: dict[str, Any] = {}
    for spec in specs(cls):
        if spec.key in record:
            values[spec.name] = _read(spec, record[spec.key])
        elif spec.required:
            raise RecordError(f"{cls.__name__}: {spec.key} is missing")
    known = _known[cls]
    extra = {key: value for key, value in record.items() if key not in known}
    return cls(**values, extra=extra)


def _read(spec: FieldSpec, value: Any) -> Any:
    item = element(spec.hint)
    if item is not None:
        if not isinstance(value, list):
            raise RecordError(f"{spec.key}: expected a list, found {value!r}")
        return [_read_object(spec.key, item, part) for part in value]
    if isinstance(spec.hint, type) and issubclass(spec.hint, (LogObject, Body)):
        return _read_object(spec.key, spec.hint, value)
    return value


def _read_object(key: str, cls: type[LogObject] | type[Body], value: Any) -> LogObject | Body:
    if not isinstance(value, Mapping):
        raise RecordError(f"{key}: expected an object, found {value!r}")
    return Body.from_record(value) if issubclass(cls, Body) else read_object(cls, value)


def element(hint: Any) -> type[LogObject] | None:
    """`X` for `list[X]` of objects of the log, otherwise None."""
    if get_origin(hint) is list:
        (item,) = get_args(hint)
        if isinstance(item, type) and issubclass(item, LogObject):
            return item
    return None


def write_object(shape: LogObject) -> dict[str, Any]:
    """The object in the log's form: without nulls and without empty objects, except in free data."""
    record: dict[str, Any] = {}
    for spec in specs(type(shape)):
        value = _write(getattr(shape, spec.name))
        if value is None or (value == {} and spec.hint != FreeData):
            continue
        record[spec.key] = value
    return record | shape.extra


def _write(value: Any) -> Any:
    if isinstance(value, LogObject):
        return write_object(value)
    if isinstance(value, Body):
        return value.to_record()
    if isinstance(value, list):
        return [_write(item) for item in value]
    return value
