"""What of a message is compared, taken from its record, and the key by which equal contents are known."""

from __future__ import annotations

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
"""Of a body: what says how it travelled, and its size, where the whole of it is there to be compared."""
_TEXTS = frozenset({"text", "base64", "file", "sha256", "charset"})
"""Of a body, what has to be a text."""
_MOST_HEADS = 2048
_LONGEST_HEAD = 4096
"""Keys of header fields that are remembered, and the bytes of one."""


def key_of(content: dict[str, Any], strict: bool) -> bytes:
    """What makes a content different from others at first sight: volatile headers and the like do not.

    Three lines of JSON: the header fields, which are the same in many messages; all else that may change by nature; and
    what does not, whatever it looks like: base64 and hashes.
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
    """Keys of plain responses, equal to those of `key_of`. Equal header fields are encoded once."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._getters: dict[tuple[str, ...], _Getter] = {}
        """Names of fields, in order → what gets the values that count."""
        self._heads: dict[tuple[tuple[str, ...], object], bytes] = {}
        self._reasons: dict[str, bytes] = {}

    def response(self, status: int, reason: str, fields: Mapping[str, str], text: str) -> bytes:
        """The key of a response whose body is a text."""
        said = self._reasons.get(reason)
        if said is None:
            said = orjson.dumps(reason)
            _remember(self._reasons, reason, said)
        return b'%b\n{"b":{"text":%b},"k":"response","r":%b,"s":%d}\n' % (
            self._head(fields),
            orjson.dumps(text),
            said,
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
        known = self._heads.get(key)
        if known is None:
            known = dump(headers.for_key(fields, self._strict), sort=True)
            _remember(self._heads, key, known)
        return known


_Getter = Callable[[Mapping[str, str]], object]


def _getter(names: tuple[str, ...], strict: bool) -> _Getter:
    """Of fields of these names, a function that gets what `headers.for_key` keeps."""
    kept = [name for name in names if headers.is_kept(name, strict)]
    dates = [] if strict else [name for name in names if name in headers.DATES]
    if not dates:
        return itemgetter(*kept) if kept else lambda fields: None
    get_kept = itemgetter(*kept) if kept else lambda fields: None
    if len(dates) == 1:
        (only,) = dates
        return lambda fields: (get_kept(fields), headers.without_date(fields[only]))
    return lambda fields: (get_kept(fields), tuple([headers.without_date(fields[name]) for name in dates]))


def _remember(known: dict[Any, bytes], key: object, value: bytes) -> None:
    """Keep what is short, in bounded room."""
    if len(value) <= _LONGEST_HEAD:
        if len(known) >= _MOST_HEADS:
            known.clear()
        known[key] = value


def body_hash(body: Mapping[str, Any]) -> int:
    """Equal for equal bodies within this process, which is all that pairing needs."""
    if not body.get("size"):
        return 0
    for name in ("text", "base64", "sha256", "file"):
        found = body.get(name)
        if isinstance(found, str):
            return hash(found) or 1
    return int(body["size"])


def close_of(record: Record) -> Any:
    """The code of a close, with its reason where it has one."""
    code, reason = record.get("closeCode"), text_of(record.get("closeReason"))
    return f"{code} {reason}" if reason else code


def fields_of(value: Any) -> Mapping[str, Any]:
    """Header fields: each a text, `set-cookie` a list of texts."""
    found = object_of(value)
    for name, field in found.items():
        if type(field) is not str and name != "set-cookie":
            return {key: field if key == "set-cookie" else text_of(field) for key, field in found.items()}
    return found


def body_of(value: Any) -> Mapping[str, Any]:
    """A body's record; an empty one for what is none."""
    found = object_of(value)
    if type(found.get("size")) is not int:
        return _NOTHING
    for name, kept in found.items():
        if type(kept) is not str and name in _TEXTS:
            return _NOTHING
    return found
