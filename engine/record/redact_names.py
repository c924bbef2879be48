"""Which names are secret by default: `password`, `accessToken`, `X-Api-Key`, and never `max_tokens`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# Letters alone: case changes and everything else end a word, so that `user[password1]` ends with `password`.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

WORDS: Final = (
    *("password", "passwd", "pwd", "passphrase", "secret", "token", "jwt", "session", "sid", "signature", "sig"),
    *("credential", "otp", "csrf"),
)
"""A name is secret if its last word is one of these,"""
PAIRS: Final = (("api", "key"), ("access", "key"), ("private", "key"), ("client", "secret"))
"""or if its last two words, or its last word, make one of these: `api_key`, `apiKey`, `apikey`."""

_LAST = frozenset(WORDS) | {first + second for first, second in PAIRS}
_LAST_TWO = frozenset(PAIRS)
_LONGEST = 200

AUTHORIZATION: Final = frozenset({"authorization", "proxy-authorization"})
"""Headers whose value is secret but for its scheme."""


def is_secret_name(name: str) -> bool:
    """Whether a header, field or key of this name holds a secret."""
    return len(name) <= _LONGEST and _judged(name)


@lru_cache(4096)
def _judged(name: str) -> bool:
    words = _WORD.findall(name)
    if not words:
        return False
    last = words[-1].lower()
    return last in _LAST or (len(words) > 1 and (words[-2].lower(), last) in _LAST_TWO)
