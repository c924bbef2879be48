"""Extract the compared content of a message from its record, and make the key that equal contents share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

import orjson

from mockrec.formats.diff.compare import headers
from mockrec.formats.schema.lenient import object_of, text_of
from mockrec.formats.text.json import dump

Record = Mapping[str, Any]

_NOTHING: Mapping[str, Any] = {}
_EXACT = ("base64", "file", "sha256")
_UNKEYED = frozenset({"size", "encodedSize", "raw", "contentEncoding", *_EXACT})
"""Members of a complete body that are not in the key: those of its coding on the wire, its size, and exact values."""
_TEXTS = frozenset({"text", "base64", "file", "sha256", "charset"})
"""Members of a body that must be texts."""
_MOST_HEADS = 2048
_LONGEST_HEAD = 4096
"""Encoded header fields that are cached, and the bytes of one."""


def key_of(content: dict[str, Any], strict: bool) -> bytes:
    """Return the key of a content, without volatile header fields: contents with equal keys are equal.

    The key has three lines: the header fields, which are the same in many messages; all other members that may contain
    volatile values; and the members that are compared exactly: base64 and hashes.
    """
    head = dump(headers.for_key(content["h"], strict), sort=True) if "h" in content else b""
    rest = {name: value for name, value in content.items() if name != "h"}
    exact = ""
    body = content.get("b")
    if body:
        left_out = _EXACT if body.get("truncated") or body.get("incomplete") else _UNKEYED
        rest["b"] = {name: value for name, value in body.items() if name not in left_out}
        for name in _EXACT:
            if name in body:
                exact += f"{name}={body[name]};"
    return b"%b\n%b\n%b" % (head, dump(rest, sort=True), exact.encode())


class PlainKeys:
    """Makes keys of plain responses, equal to those of `key_of`. Equal header fields are encoded once."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._getters: dict[tuple[str, ...], _Getter] = {}
        """Names of fields, in order → a function that returns the values that count."""
        self._heads: dict[tuple[tuple[str, ...], object], bytes] = {}
        self._reasons: dict[str, bytes] = {}

    def response(self, status: int, reason: str, fields: Mapping[str, str], text: str) -> bytes:
        """Return the key of a response whose body is a text."""
        encoded_reason = self._reasons.get(reason)
        if encoded_reason is None:
            encoded_reason = orjson.dumps(reason)
            _remember(self._reasons, reason, encoded_reason)
        return b'%b\n{"b":{"text":%b},"k":"response","r":%b,"s":%d}\n' % (
            self._head(fields),
            orjson.dumps(text),
            encoded_reason,
            status,
        )

    def _head(self, fields: Mapping[str, str]) -> bytes:
        names = tuple(fields)
        getter = self._getters.get(names)
        if getter is None:
            getter = _getter(names, self._strict)
            if len(self._getters) < _MOST_HEADS:
                self._getters[names] = getter
        key = (names, getter(fields))
        cached = self._heads.get(key)
        if cached is None:
            cached = dump(headers.for_key(fields, self._strict), sort=True)
            _remember(self._heads, key, cached)
        return cached


_Getter = Callable[[Mapping[str, str]], object]


def _getter(names: tuple[str, ...], strict: bool) -> _Getter:
    """Return a function that gets, from fields with these names, the values that `headers.for_key` keeps."""
    kept = [name for name in names if headers.is_kept(name, strict)]
    dates = [] if strict else [name for name in names if name in headers.DATES]
    if not dates:
        return itemgetter(*kept) if kept else lambda fields: None
    get_kept = itemgetter(*kept) if kept else lambda fields: None
    if len(dates) == 1:
        (only,) = dates
        return lambda fields: (get_kept(fields), headers.without_date(fields[only]))
    return lambda fields: (get_kept(fields), tuple([headers.without_date(fields[name]) for name in dates]))


def _remember(cached: dict[Any, bytes], key: object, value: bytes) -> None:
    """Cache a short value, in bounded memory."""
    if len(value) <= _LONGEST_HEAD:
        if len(cached) >= _MOST_HEADS:
            cached.clear()
        cached[key] = value


def body_hash(body: Mapping[str, Any]) -> int:
    """Return a hash of a body, for pairing; 0 for an empty body."""
    if not body.get("size"):
        return 0
    for name in ("text", "base64", "sha256", "file"):
        found = body.get(name)
        if isinstance(found, str):
            return text_hash(found)
    return int(body["size"])


def text_hash(text: str) -> int:
    """Return a hash of a text that is the same in every process, never 0."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) or 1


def close_of(record: Record) -> Any:
    """Return the code of a WebSocket's close, with its reason if there is one."""
    code, reason = record.get("closeCode"), text_of(record.get("closeReason"))
    return f"{code} {reason}" if reason else code


def fields_of(value: Any) -> Mapping[str, Any]:
    """Return header fields with valid types: each value a text, of `set-cookie` any value."""
    found = object_of(value)
    for name, field in found.items():
        if type(field) is not str and name != "set-cookie":
            return {key: field if key == "set-cookie" else text_of(field) for key, field in found.items()}
    return found


def body_of(value: Any) -> Mapping[str, Any]:
    """Return a body's record; an empty one if the value is not a valid body."""
    found = object_of(value)
    if type(found.get("size")) is not int:
        return _NOTHING
    for name, kept in found.items():
        if type(kept) is not str and name in _TEXTS:
            return _NOTHING
    return found
