"""Which names are secret by default: `password`, `accessToken`, `X-Api-Key`, but not `max_tokens`.

They include the unambiguous names that other tools hide by default: Rails (`filter_parameters`), Django
(`SafeExceptionReporterFilter`), Sentry (data scrubbing), OpenTelemetry (semantic conventions of URLs), Cloudflare's HAR
sanitizer. docs/redaction.md lists them; a test compares the two.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# Only letters: a change of case and any other character end a word, so that the last word of `user[password1]` is
# `password`.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

WORDS: Final = (
    *("password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "jwt", "session", "sid", "signature"),
    *("sig", "credential", "otp", "totp", "csrf", "xsrf", "authorization", "bearer", "dpop", "hmac", "rspauth"),
    *("phpsessid", "jsessionid", "sessid", "cvv", "cvc"),
)
"""A name is secret if its last word is one of these,"""
PAIRS: Final = (
    *(("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key"), ("account", "key"), ("auth", "key")),
    *(("encryption", "key"), ("functions", "key"), ("license", "key"), ("master", "key"), ("shared", "key")),
    *(("signing", "key"), ("subscription", "key"), ("application", "key"), ("rapidapi", "key")),
    *(("client", "secret"), ("pass", "word"), ("pass", "phrase")),
    *(("client", "assertion"), ("jwt", "assertion"), ("saml", "assertion"), ("saml", "response"), ("token", "hint")),
    *(("code", "verifier"), ("device", "code"), ("user", "code"), ("auth", "code"), ("authorization", "code")),
    *(("backup", "code"), ("recovery", "code"), ("verification", "code"), ("mfa", "code")),
    *(("client", "principal"), ("hmac", "sha"), ("honeycomb", "team")),
)
"""or if its last two words, or its last word, make one of these: `api_key`, `apiKey`, `apikey`;"""
ENDINGS: Final = ("password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "privatekey")
"""or if its last word ends with one of these, as no other word does: `dbpassword`, `csrftoken`."""
FIELDS: Final = ("assertion", "pass", "ticket")
"""Secret only in queries and forms. Elsewhere they mean other things: `assertion` in JSON is what a test expects."""

_LAST = frozenset(WORDS) | {first + second for first, second in PAIRS}
_LAST_TWO = frozenset(PAIRS)
_FIELD_PLACES = ("query", "form")
_LONGEST = 200

AUTHORIZATION: Final = frozenset({"authorization", "proxy-authorization"})
"""Headers whose value is secret except for its scheme."""


def is_secret_name(name: str, place: str = "") -> bool:
    """Return whether a header, field or key of this name holds a secret. `place` is a selector's: `query`, `form`, …"""
    return len(name) <= _LONGEST and _judged(name, place in _FIELD_PLACES)


@lru_cache(4096)
def _judged(name: str, is_field: bool) -> bool:
    words = _WORD.findall(name)
    if not words:
        return False
    last = words[-1].lower()
    if (
        last in _LAST
        or "".join(words).lower() in _LAST
        or last.endswith(ENDINGS)
        or (is_field and len(words) == 1 and last in FIELDS)
    ):
        return True
    return len(words) > 1 and (words[-2].lower(), last) in _LAST_TWO
