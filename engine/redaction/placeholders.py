"""Marks: what stands for a secret in the log, the same for equal secrets under one key.

A mark is legal in URLs, header fields and JSON. Without the key nobody can find the secret by hashing guesses.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from mockrec.engine.bounded_cache import remember

MARK: Final = re.compile(r"redacted-[0-9a-f]{8}")
_MOST_REMEMBERED = 4096
_ROUNDS = 20_000
"""Of PBKDF2: a key that people made up takes a while to guess."""


class Placeholders:
    """Makes marks with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32).digest()
        self._made: dict[str, str] = {}

    @classmethod
    def named(cls, text: str) -> Placeholders:
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
            digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), key=self._key, digest_size=4)
            made = remember(self._made, value, f"redacted-{digest.hexdigest()}", _MOST_REMEMBERED)
        return made
