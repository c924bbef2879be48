"""The bodies of a report: each different content once, failures and differences first, up to a limit; of the others
the page has size and hash."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from mockrec.formats.report.spool import Spool
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import FormatError

_NOTES = ("contentEncoding", "encodedSize", "charset", "truncated", "redacted", "undecodable", "incomplete", "sha256")
"""Keys of a body's record that the page shows as they are."""


class Bodies:
    """Takes bodies as they are read, and chooses those of the report at the end.

    In memory: 16 bytes of a hash and some numbers for each different content.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Bytes of all bodies together."""
        self._spool = Spool()
        self._numbers: dict[bytes, int] = {}
        self._sizes = array("Q")
        self._stored: list[int | tuple[Path | None, str] | None] = []
        """Number of a content → its number in the spool, or its file; None: it is longer than the limit."""

    def close(self) -> None:
        """Free the space."""
        self._spool.close()

    def add(self, record: Any, folder: Path | None) -> dict[str, Any] | None:
        """Take the body of a record. Return what the page knows of it: its size, its notes, and `n`, the number of its
        content; None if there is no body."""
        if not isinstance(record, Mapping) or type(record.get("size")) is not int:
            return None
        known: dict[str, Any] = {"size": record["size"]}
        for key in _NOTES:
            value = record.get(key)
            if value is not None and value is not False and isinstance(value, (str, int)):
                known[key] = value
        text, encoded, file = record.get("text"), record.get("base64"), record.get("file")
        if isinstance(text, str):
            if text:
                known["n"] = self._put(text.encode("utf-8", "surrogatepass"), text)
        elif isinstance(encoded, str):
            known["n"] = self._put(encoded.encode("ascii", "replace"), [encoded])
        elif isinstance(file, str):
            known["n"] = self._put_file(folder, file, record)
            known.setdefault("sha256", file[-64:])
        return known

    def _put(self, key: bytes, content: str | list[str]) -> int:
        digest = hashlib.blake2b(key, digest_size=16).digest()
        number = self._numbers.get(digest)
        if number is None:
            stored = self._spool.put(orjson.dumps(content)) if len(key) <= self.limit else None
            number = self._new(digest, len(key), stored)
        return number

    def _put_file(self, folder: Path | None, file: str, record: Mapping[str, Any]) -> int:
        digest = hashlib.blake2b(f"{folder}/{file}".encode("utf-8", "replace"), digest_size=16).digest()
        number = self._numbers.get(digest)
        if number is None:
            # A file that is longer than the limit is not opened at all.
            size = record["size"] if not record.get("truncated") else 0
            number = self._new(digest, max(0, size), (folder, file) if size <= self.limit else None)
        return number

    def _new(self, digest: bytes, size: int, stored: int | tuple[Path | None, str] | None) -> int:
        number = self._numbers[digest] = len(self._stored)
        self._sizes.append(size)
        self._stored.append(stored)
        return number

    def hashes(self, left_out: Iterable[int]) -> dict[str, str]:
        """Return the first 16 hex digits of a hash for each of these contents."""
        by_number = {number: digest for digest, number in self._numbers.items()}
        return {str(number): by_number[number].hex()[:16] for number in left_out}

    def chosen(self, wanted: Iterable[int]) -> tuple[dict[int, bytes], int]:
        """Return the contents (JSON: a text, or a list with base64) of the first of `wanted` that fit the limit, by
        number, and how many were left out."""
        room, found, left = self.limit, dict[int, bytes](), 0
        for number in dict.fromkeys(wanted):
            content = self._read(number) if self._sizes[number] <= room else None
            if content is None or len(content) > 2 * room + 64:
                left += 1
                continue
            found[number] = content
            room -= max(self._sizes[number], len(content) // 2)
        return found, left

    def _read(self, number: int) -> bytes | None:
        stored = self._stored[number]
        if stored is None:
            return None
        if isinstance(stored, int):
            return self._spool.get(stored)
        folder, file = stored
        body = Body(size=0, file=file, folder=folder)
        try:
            text = body.text
            if text is not None:
                return orjson.dumps(text)
            import base64

            return orjson.dumps([base64.b64encode(body.bytes).decode()])
        except (FormatError, OSError):  # `mockrec verify` says what is wrong with it
            return None
