"""Placeholders: the text that replaces a secret in the log. Equal secrets have the same placeholder under one key.

A placeholder is valid in URLs, header fields and JSON. Without the key, a secret cannot be found by hashing guesses.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from mockrec.engine.bounded_cache import remember

PLACEHOLDER: Final = re.compile(r"redacted-[0-9a-f]{8}")
_MOST_REMEMBERED = 4096
_ROUNDS = 20_000
"""Iterations of PBKDF2, which make a passphrase slow to guess."""


class Placeholders:
    """Makes placeholders with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32).digest()
        self._made: dict[str, str] = {}

    @classmethod
    def from_passphrase(cls, text: str) -> Placeholders:
        """Derive the key from a passphrase, the value of `MOCKREC_REDACT_KEY`."""
        return cls(hashlib.pbkdf2_hmac("sha256", text.encode("utf-8", "surrogateescape"), b"mockrec", _ROUNDS))

    @property
    def key_id(self) -> str:
        """A digest that identifies the key without revealing it."""
        return hashlib.blake2b(b"which key", key=self._key, digest_size=4, person=b"key id").hexdigest()

    def of(self, value: str) -> str:
        """Return the placeholder of a value."""
        made = self._made.get(value)
        if made is None:
            digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), key=self._key, digest_size=4)
            made = remember(self._made, value, f"redacted-{digest.hexdigest()}", _MOST_REMEMBERED)
        return made
