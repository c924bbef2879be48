"""Marks: what stands for a secret in the log, the same for equal secrets under one key, and what an exchange
is known to hold.

A mark is legal in URLs, header fields and JSON. Without the key nobody can find the secret by hashing guesses.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

import orjson

MARK: Final = re.compile(r"redacted-[0-9a-f]{8}")
LEAST_SPREAD: Final = 6
"""Characters of the shortest value that is replaced wherever it appears: shorter ones are words of other things."""

_MOST_REMEMBERED = 4096
_ROUNDS = 20_000
"""Of PBKDF2: a key that people made up takes a while to guess."""


class Marks:
    """Makes marks with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32).digest()
        self._made: dict[str, str] = {}

    @classmethod
    def named(cls, text: str) -> Marks:
        """With the key that `MOCKREC_REDACT_KEY` says."""
        return cls(hashlib.pbkdf2_hmac("sha256", text.encode("utf-8", "surrogateescape"), b"mockrec", _ROUNDS))

    @property
    def key_id(self) -> str:
        """Names the key without giving it away."""
        return hashlib.blake2b(b"which key", key=self._key, digest_size=4, person=b"key id").hexdigest()

    def mark(self, value: str) -> str:
        """What stands for a value."""
        made = self._made.get(value)
        if made is None:
            if len(self._made) >= _MOST_REMEMBERED:
                self._made.clear()
            digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), key=self._key, digest_size=4)
            made = self._made[value] = f"redacted-{digest.hexdigest()}"
        return made


class Known:
    """Values that were replaced, by what they may look like elsewhere; and how many times something was replaced."""

    __slots__ = ("_forms", "_needles", "count", "marks")

    def __init__(self, marks: dict[str, str] | None = None) -> None:
        self.count = 0
        self.marks: dict[str, str] = marks or {}
        """Form → mark."""
        self._forms: list[tuple[bytes, bytes]] | None = None
        self._needles: list[bytes] | None = None

    @property
    def forms(self) -> list[tuple[bytes, bytes]]:
        """Forms and marks as bytes, the longest first."""
        if self._forms is None:
            ordered = sorted(self.marks, key=len, reverse=True)
            self._forms = [(_bytes(form), _bytes(self.marks[form])) for form in ordered]
        return self._forms

    @property
    def needles(self) -> list[bytes]:
        """How each form stands inside a JSON string."""
        if self._needles is None:
            self._needles = list(dict.fromkeys(_bytes(_inside_json(form)) for form in self.marks))
        return self._needles

    def add(self, values: Iterable[str], mark: str) -> None:
        """Remember a value with this mark, as it is and as JSON and URLs have it, and other forms it was seen in."""
        fresh = {value: mark for value in values if len(value) >= LEAST_SPREAD and value not in self.marks}
        value = next(iter(fresh), "")
        if value:
            for form in (_inside_json(value), _quoted(value, quote), _quoted(value, quote_plus)):
                fresh.setdefault(form, mark)
        if fresh:
            self.marks.update(fresh)
            self._forms = self._needles = None

    def joined(self, other: Known) -> Known:
        """Both together."""
        if not self.marks or not other.marks:
            return self if self.marks else other
        if self is other or other.marks.keys() <= self.marks.keys():
            return self
        return Known(self.marks | other.marks)


def _inside_json(value: str) -> str:
    try:
        return orjson.dumps(value)[1:-1].decode()
    except orjson.JSONEncodeError:  # half a surrogate pair: it is no text of the log either
        return value


def _quoted(value: str, quoting: object) -> str:
    data = _bytes(value)
    return quote(data, safe="") if quoting is quote else quote_plus(data)


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")  # bytes that are no text came so
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
