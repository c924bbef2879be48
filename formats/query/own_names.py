"""Fields of records by their own dotted names: `statusCode`, `timingEvents.startTime`, `eventData.attempt`.

Taken from the event classes, so that a new field of the log is a name of the language without a change here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args, get_origin

from mockrec.formats.query.field import Field, FieldPath
from mockrec.formats.query.values import FieldType
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import FreeData, Headers, LogObject, specs

_KINDS = {str: FieldType.TEXT, int: FieldType.NUMBER, float: FieldType.NUMBER, bool: FieldType.BOOLEAN}


def own_field(text: str) -> Field | None:
    """The field of a record's own (dotted) name; None if no record type has it."""
    keys = text.split(".")
    kinds: set[FieldType] = set()
    for cls in _event_classes():
        kinds |= _kinds(cls, keys)
    if not kinds:
        return None
    kind = kinds.pop() if len(kinds) == 1 else FieldType.ANY
    if text == "timestamp":
        kind = FieldType.TIME
    return Field(text, kind, (FieldPath(_lowered(keys)),))


def _event_classes() -> Iterable[type[LogObject]]:
    # Imported here: to define these classes takes longer than the rest of the language, and few expressions need them.
    from mockrec.formats.schema.events import EVENT_CLASSES

    return EVENT_CLASSES.values()


def _lowered(keys: list[str]) -> tuple[str, ...]:
    """The keys with a header name in lower case, as in the log."""
    for place, key in enumerate(keys):
        if key in ("headers", "trailers"):
            return (*keys[: place + 1], ".".join(keys[place + 1 :]).lower()) if keys[place + 1 :] else tuple(keys)
    return tuple(keys)


def _kinds(hint: Any, keys: list[str]) -> set[FieldType]:
    """The kinds of the values at a path; empty if there is no such path."""
    if hint is Body:
        return _body_kinds(keys)
    if isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, LogObject):
        if not keys:
            return {FieldType.ANY}
        return next((_kinds(spec.hint, keys[1:]) for spec in specs(hint) if spec.key == keys[0]), set())
    if hint == Headers:
        return {FieldType.TEXT if keys else FieldType.ANY}
    if hint == FreeData or get_origin(hint) is dict:
        return {FieldType.ANY}
    if keys:
        return set()
    if get_origin(hint) is list:
        return {_KINDS.get(get_args(hint)[0], FieldType.ANY)}
    return {_KINDS.get(hint, FieldType.ANY)}


_BODY_KINDS = {
    "size": FieldType.SIZE,
    "encodedSize": FieldType.SIZE,
    **dict.fromkeys(("text", "base64", "file", "sha256", "contentEncoding", "charset", "raw"), FieldType.TEXT),
    **dict.fromkeys(("truncated", "redacted", "undecodable", "incomplete"), FieldType.BOOLEAN),
}


def _body_kinds(keys: list[str]) -> set[FieldType]:
    if not keys:
        return {FieldType.ANY}
    return {_BODY_KINDS[keys[0]]} if len(keys) == 1 and keys[0] in _BODY_KINDS else set()


def own_names() -> Iterable[str]:
    """Names of records' own fields, one and two keys deep."""
    for cls in _event_classes():
        for spec in specs(cls):
            yield spec.key
            inner = spec.hint
            if isinstance(inner, type) and get_origin(inner) is None and issubclass(inner, LogObject):
                for nested in specs(inner):
                    yield f"{spec.key}.{nested.key}"
            elif inner is Body:
                for key in _BODY_KINDS:
                    yield f"{spec.key}.{key}"
