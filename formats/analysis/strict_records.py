"""Decodes lines that have no fault of their own, many at a time: what `check_record` says of their records is nothing.

The types are made of the event classes, as strict as the check is: every key is known, has its type, and is not null.
What a type cannot say (an object is not empty, a body has its size) is checked on the decoded values. A line that fails
here may still be right, so it is a hint, not a finding: `verify` then checks the record itself. The decoder rejects
whatever the exact one (orjson) rejects, because it skips nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta

from mockrec.formats.schema.body import Body, names_of_keys
from mockrec.formats.schema.check import TIMESTAMP, is_utf8
from mockrec.formats.schema.codec import LogObject, specs
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.schema.events import EVENT_CLASSES
from mockrec.formats.schema.lifecycle import JOINED_TYPES, TUNNEL_TYPES
from mockrec.formats.text.json import is_deeper

_INT = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""Beyond these numbers decoders differ."""
_SIZE = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_PLAIN: dict[Any, Any] = {str: str, int: _INT, float: float, bool: bool, list[str]: list[str]}
_FLAGS = ("truncated", "redacted", "undecodable", "incomplete")
_DEEP = 100
"""Levels of free data that are surely few enough for any reader."""

Check = Callable[[Any], bool]


class _UnsupportedError(Exception):
    """A type of values for which there is no quick check."""


class StrictDecoder:
    """Decodes blocks of lines that hold only records of exchanges without a fault."""

    def __init__(self) -> None:
        self._structs = {kind: made for kind in sorted(JOINED_TYPES - TUNNEL_TYPES) if (made := _record(kind))}
        self.kinds: dict[type, str] = {made: kind for kind, (made, _) in self._structs.items()}
        """Class of a decoded record → its type."""
        self._checks = dict(self._structs.values())
        union: Any = Union[tuple(self.kinds)]  # noqa: UP007 - made at run time
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(union)

    def decode(self, lines: bytes) -> list[Any] | None:
        """The records of whole lines; None if one of them has to be checked by itself."""
        try:
            records: list[Any] = self._decoder.decode_lines(lines)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if len(records) != lines.count(b"\n") + 1:
            return None
        checks = self._checks
        for record in records:
            for key, is_right in checks[type(record)]:
                value = getattr(record, key)
                if value is not UNSET and not is_right(value):
                    return None
        return records


def _record(kind: str) -> tuple[type, tuple[tuple[str, Check], ...]] | None:
    """The struct of records of a type, and the checks of its keys; None if there is none."""
    try:
        return _struct(EVENT_CLASSES[kind], kind)
    except _UnsupportedError:
        return None


def _struct(cls: type[LogObject], tag: str | None = None) -> tuple[type, tuple[tuple[str, Check], ...]]:
    required: list[Any] = []
    optional: list[Any] = []
    checks: list[tuple[str, Check]] = []
    for spec in specs(cls):
        if tag is not None and spec.key == "type":
            continue
        hint, check = _field(spec.hint)
        if spec.key == "timestamp":
            check = _is_timestamp
        if check is not None:
            checks.append((spec.key, check))
        (required if spec.required else optional).append(
            (spec.key, hint) if spec.required else (spec.key, hint | msgspec.UnsetType, UNSET)
        )
    if tag is not None:
        # Records without these keys have none of the faults that are found by them.
        known = {name for name, *_ in (*required, *optional)}
        optional += [(key, str | msgspec.UnsetType, UNSET) for key in ("id", "connectionId") if key not in known]
    made = msgspec.defstruct(
        f"Strict{cls.__name__}",
        required + optional,
        forbid_unknown_fields=True,
        gc=False,
        tag=tag,
        tag_field=None if tag is None else "type",
    )
    return made, tuple(checks)


def _field(hint: Any) -> tuple[Any, Check | None]:
    """The type of a key's values, and what has to be checked of a decoded value."""
    marker = ""
    if get_origin(hint) is Annotated:
        hint, marker = get_args(hint)
    if marker == "headers":
        return dict[str, str | list[str]], _are_headers
    if marker == "pairs":
        return list[tuple[str, str]], None
    if marker == "free":
        return dict[str, Any], lambda value: not is_deeper(value, _DEEP)
    if hint in _PLAIN:
        return _PLAIN[hint], None
    if isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, Body):
        return _body(), _is_body
    if isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, LogObject):
        made, checks = _struct(hint)
        if any(spec.required for spec in specs(hint)):
            return made, _all_of(checks) if checks else None
        nothing = made()
        return made, _all_of(((None, lambda value: bool(value != nothing)), *checks))
    raise _UnsupportedError(hint)


@cache
def _body() -> type:
    fields: list[Any] = [("size", _SIZE)]
    for key in names_of_keys().values():
        if key != "size":
            hint: Any = bool if key in _FLAGS else _SIZE if key == "encodedSize" else str
            fields.append((key, hint | msgspec.UnsetType, UNSET))
    return msgspec.defstruct("StrictBody", fields, forbid_unknown_fields=True, gc=False)


def _all_of(checks: tuple[tuple[str | None, Check], ...]) -> Check:
    def check(value: Any) -> bool:
        for key, is_right in checks:
            part = value if key is None else getattr(value, key)
            if part is not UNSET and not is_right(part):
                return False
        return True

    return check


def _is_timestamp(text: str) -> bool:
    return TIMESTAMP.fullmatch(text) is not None


def _are_headers(table: dict[str, Any]) -> bool:
    """Whether the names of a table are in lower case, and only `set-cookie` is a list."""
    names = "".join(table)
    if not table or not names.isascii() or names != names.lower():
        return False
    lists = [name for name, value in table.items() if type(value) is list]
    return lists == (["set-cookie"] if "set-cookie" in table else [])


def _is_body(body: Any) -> bool:
    """Whether a body is inline, in its usual form, and has its size. Hashes and files are checked elsewhere."""
    flagged = False
    for flag in (body.truncated, body.redacted, body.undecodable, body.incomplete):
        if flag is not UNSET:
            if flag is not True:
                return False
            flagged = True
    if not (body.file is body.sha256 is body.charset is body.raw is UNSET):
        return False
    text = body.text
    if text is not UNSET:
        if body.base64 is not UNSET:
            return False
        return flagged or body.size == (len(text) if text.isascii() else len(text.encode()))
    if body.base64 is UNSET:
        return False
    try:
        data = Body(size=body.size, inline_base64=body.base64).bytes
    except SessionError:
        return False
    return not is_utf8(data) and (flagged or body.size == len(data))
