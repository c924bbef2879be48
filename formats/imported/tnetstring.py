"""Parse tagged netstrings (tnetstrings.info), the format of mitmproxy's flow files: `12:hello world!,` and so on.

mitmproxy adds the type `;` for text in UTF-8; `,` are bytes. Values are parsed in place, with a stack of our own, so
that neither nesting nor a wrong length costs more than the file's size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mockrec.formats.schema.errors import SessionError

MAX_VALUE = 512 * 1024 * 1024
"""Bytes of one top-level value, which is one flow: limits the memory that a wrong file can take."""
MAX_DEPTH = 64
_LONGEST_PREFIX = 12
_COLON, _LIST, _DICT = ord(":"), ord("]"), ord("}")


class TnetReader:
    """Yields the values of a file, once. Afterwards `torn` is a sentence if the file ends too early."""

    def __init__(self, name: str, chunks: Iterable[bytes]) -> None:
        self.torn = ""
        self._name = name
        self._chunks = iter(chunks)
        self._data = bytearray()
        self._offset = 0
        """Offset of `_data` in the file."""

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Yield (index, value). Raises `SessionError` at the first invalid value."""
        index = 0
        while self._has(1):
            end = self._length(index)
            if end is None:
                return
            if not self._has(end):
                self.torn = f"the file ends in flow {index}"
                return
            yield index, self._parsed(end, index)
            del self._data[:end]
            self._offset += end
            index += 1

    def _has(self, size: int) -> bool:
        while len(self._data) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._data += chunk
        return True

    def _length(self, index: int) -> int | None:
        """Return the size of the next value, with prefix and type; None if the file ends in it."""
        self._has(_LONGEST_PREFIX + 1)
        colon = self._data.find(b":", 0, _LONGEST_PREFIX + 1)
        prefix = bytes(self._data[: colon if colon >= 0 else _LONGEST_PREFIX + 1])
        if not prefix.isdigit():
            shown = bytes(self._data[:20])
            raise SessionError(self._name, f"flow {index} (byte {self._offset}): expected its length, found {shown!r}")
        if colon < 0:
            self.torn = f"the file ends in flow {index}"
            return None
        size = int(prefix)
        if size > MAX_VALUE:
            raise SessionError(
                self._name, f"flow {index} (byte {self._offset}): a flow of more than {MAX_VALUE >> 20} MiB is refused"
            )
        return colon + 1 + size + 1

    def _parsed(self, end: int, index: int) -> Any:
        try:
            return parse(bytes(self._data[:end]))
        except ValueError as error:
            raise SessionError(self._name, f"flow {index} (byte {self._offset}) is damaged: {error}") from None


def parse(data: bytes) -> Any:
    """Parse one value: bytes, text, a number, a list or a mapping. Raises `ValueError` with the place."""
    root: list[Any] = []
    opened: list[tuple[int, list[Any], int]] = []
    """For each open list or mapping: end, items and type of the one that contains it."""
    at, end, items, kind = 0, len(data), root, _LIST
    while True:
        if at == end:
            if not opened:
                break
            value = _closed(items, kind, at)
            at += 1
            end, items, kind = opened.pop()
            items.append(value)
            continue
        start, size, tag = _head(data, at, end)
        if tag in (_LIST, _DICT):
            if len(opened) >= MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
            opened.append((end, items, kind))
            at, end, items, kind = start, start + size, [], tag
            continue
        items.append(_scalar(data[start : start + size], tag, start))
        at = start + size + 1
    if len(root) != 1:
        raise ValueError(f"expected one value, found {len(root)}")
    return root[0]


def _head(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return the start, size and type of the value at an offset."""
    colon = data.find(b":", at, min(end, at + _LONGEST_PREFIX + 1))
    prefix = data[at:colon] if colon >= 0 else b""
    if not prefix.isdigit():
        raise ValueError(f"expected a length at byte {at} of it, found {data[at : at + 20]!r}")
    start, size = colon + 1, int(prefix)
    if start + size >= end:
        raise ValueError(f"the length at byte {at} of it is more than there is")
    return start, size, data[start + size]


def _closed(items: list[Any], kind: int, at: int) -> Any:
    if kind == _LIST:
        return items
    if len(items) % 2:
        raise ValueError(f"the mapping that ends at byte {at} of it has a key without a value")
    keys = [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in items[::2]]
    return dict(zip(keys, items[1::2], strict=True))


def _scalar(raw: bytes, tag: int, place: int) -> Any:
    try:
        match chr(tag):
            case ",":
                return raw
            case ";":
                return raw.decode("utf-8")
            case "#" if len(raw) <= 40:
                return int(raw)
            case "^" if len(raw) <= 40:
                return float(raw)
            case "!" if raw in (b"true", b"false"):
                return raw == b"true"
            case "~" if not raw:
                return None
    except ValueError:
        pass
    raise ValueError(f"expected a value of type {chr(tag)!r} at byte {place} of it, found {raw[:20]!r}")
