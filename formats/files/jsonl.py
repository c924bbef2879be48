"""JSON Lines: records → lines and back, and the sink to which a recorder writes lines."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from mockrec.formats.files.outfile import OutFile
from mockrec.formats.schema.body import encode_body
from mockrec.formats.schema.errors import SessionError

_LINE = orjson.OPT_APPEND_NEWLINE
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 200
"""Below orjson's own limit of 254 levels."""


def encode_each(records: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """One line for each record. No record is lost: values that JSON cannot hold are converted, see `_plain`."""
    dumps = orjson.dumps
    try:
        return [dumps(record, None, _LINE) for record in records]
    except orjson.JSONEncodeError:
        return [encode_line(record) for record in records]


def encode_lines(records: Sequence[Mapping[str, Any]]) -> bytes:
    """The lines of all records, joined."""
    return b"".join(encode_each(records))


def encode_value(value: Any) -> bytes:
    """A value as it is inside of a line."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(_plain(value, frozenset()))


def encode_line(record: Mapping[str, Any]) -> bytes:
    """The line of a record."""
    try:
        return orjson.dumps(record, None, _LINE)
    except orjson.JSONEncodeError:
        return orjson.dumps(_plain(record, frozenset()), None, _LINE)


def _plain(value: Any, inside: frozenset[int]) -> Any:
    """Convert a value to one that JSON can hold.

    Lone surrogates become U+FFFD, integers beyond 64 bits a text with their digits, bytes a body in the log's form, and
    any other object what orjson makes of it, or its `str()`. `inside`: the containers around the value, by identity.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return _whole_text(value)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else _digits(int(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return encode_body(bytes(value))
    if isinstance(value, Collection):
        return _plain_collection(value, inside)
    try:
        return orjson.loads(orjson.dumps(value))
    except orjson.JSONEncodeError:
        return _text(value)


def _plain_collection(value: Collection[Any], inside: frozenset[int]) -> Any:
    if id(value) in inside:
        return "(contains itself)"
    if len(inside) > _MAX_DEPTH:
        return "(nested too deep)"
    inside |= {id(value)}
    if isinstance(value, Mapping):
        return {_text(key): _plain(item, inside) for key, item in value.items()}
    return [_plain(item, inside) for item in value]


def _text(value: Any) -> str:
    try:
        return _whole_text(str(value))
    except Exception:  # an object's own __str__ may raise anything; the record must not be lost
        return f"({type(value).__name__})"


def _whole_text(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        # Python refuses to convert very long integers to decimal, which takes quadratic time, but not to hex.
        return hex(value)


def load_record(raw: bytes) -> dict[str, Any]:
    """The record of a line that may have been checked only in part. Raises `SessionError` for invalid JSON: `1e999`."""
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _not_a_record(raw, str(error)) from None
    if not isinstance(record, dict):
        raise _not_a_record(raw, "it is no object")
    return record


def _not_a_record(raw: bytes, why: str) -> SessionError:
    start = ascii(raw[:80].decode("utf-8", "replace"))
    return SessionError("the session", f"expected a record, found {start} ({why}); mockrec verify names its line")


class JsonlSink:
    """Appends whole lines to a file, a device or stdout; each batch is given to the system at once."""

    def __init__(self, file: OutFile) -> None:
        self.name = file.name
        self.locked = file.locked
        """False where the file system has no locks."""
        self.file = file
        """The file that is written."""

    def write(self, data: bytes) -> None:
        """Append whole lines. After a failure the file ends with its last whole line.

        Raises `OutputError` (disk full, file too large), or `OutputClosedError` for a closed pipe. After a failure each
        further call raises the same error.
        """
        self.file.write(data, lines=True)

    def sync_point(self, now: float | None = None) -> None:
        """Check that the file still exists; no line is waiting. See `Sink`."""
        if now is not None:
            self.file.check(now)

    def close(self) -> None:
        """Close the file (not stdout)."""
        self.file.close()

    def discard(self) -> None:
        """Close the file and remove it."""
        self.file.discard()
