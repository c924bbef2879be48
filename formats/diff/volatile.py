"""Values that differ from run to run by their nature: ids, times, digests, tokens, redaction marks.

They are compared as typed placeholders: a UUID equals any UUID, never a number. `mask` replaces them also
in the middle of a text, so that `/users/<uuid>` compares too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache

MARK = re.compile(r"redacted-[0-9a-f]{8}")
"""What a recording has in the place of a secret."""

_DAY = 86400.0
_WINDOW = 400 * _DAY
"""How far from the recording a number may be to be taken for a time."""
_CLAIMS_THAT_CHANGE = frozenset({"iat", "exp", "nbf", "jti", "auth_time"})

_ALTERNATIVES = (
    r"(?P<uuid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})",
    r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)",
    r"(?P<jwt>eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*)",
    r"(?P<ulid>[0-7][0-9A-HJKMNP-TV-Z]{25})",
    r"(?P<hex>(?:[0-9a-f]{128}|[0-9a-f]{96}|[0-9a-f]{64}|[0-9a-f]{56}|[0-9a-f]{40}|[0-9a-f]{32})"
    r"|(?:[0-9A-F]{128}|[0-9A-F]{96}|[0-9A-F]{64}|[0-9A-F]{56}|[0-9A-F]{40}|[0-9A-F]{32}))",
    r"(?P<epoch>\d{19}|\d{16}|\d{13}(?:\.\d+)?|\d{10}(?:\.\d+)?)",
    r"(?P<date>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d[ -](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ -]"
    r"\d{2,4} \d\d:\d\d:\d\d (?:GMT|[+-]\d{4}))",
)
# All but the mark begin with a digit, a letter of a hex number, or a known letter: most positions fail at once.
_VOLATILE = re.compile(rf"(?<![\w-])(?=[0-9a-fA-FeMTWS])(?:{'|'.join(_ALTERNATIVES)})(?![\w-])", re.ASCII)
_SCALES = (1.0, 1e3, 1e6, 1e9)


@dataclass(frozen=True)
class Window:
    """The times that may be of a recording, in seconds since the epoch."""

    low: float
    high: float

    @classmethod
    def around(cls, *starts: float | None) -> Window:
        """Around the starts of the sessions that are known; every time of our century if none is."""
        known = [start for start in starts if start is not None]
        if not known:
            return cls(946_684_800.0, 4_102_444_800.0)
        return cls(min(known) - _WINDOW, max(known) + _WINDOW)

    def unit(self, number: float) -> float:
        """The unit in which a number is a time of the window: 1 seconds, 1000 milliseconds, …; 0 for none."""
        for scale in _SCALES:
            if self.low <= number / scale <= self.high:
                return scale
        return 0.0


def mask(text: str, window: Window) -> str:
    """The text with each volatile value replaced by its type, as in `/users/<uuid>`."""

    def replaced(match: re.Match[str]) -> str:
        name = match.lastgroup or ""
        if name == "epoch":
            unit = window.unit(float(match[0]))
            return f"<epoch/{unit:.0f}>" if unit else match[0]
        if name == "jwt":
            return _jwt(match[0])
        return f"<{name}>"

    return _VOLATILE.sub(replaced, text)


def mask_marks(text: str) -> str:
    """The text with every redaction mark the same."""
    return MARK.sub("<redacted>", text) if "redacted-" in text else text


def fits_mark(marked: str, plain: str) -> bool:
    """Whether a text without marks may be what was redacted: a mark stands for any text."""
    pieces = [re.escape(piece) for piece in MARK.split(marked)]
    return re.fullmatch(".+".join(pieces), plain, re.DOTALL) is not None


@lru_cache(maxsize=4096)
def _jwt(token: str) -> str:
    """A token's claims count, but for those that say when and which one it is."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return "<jwt>"
    if not isinstance(claims, dict):
        return "<jwt>"
    kept = {name: value for name, value in claims.items() if name not in _CLAIMS_THAT_CHANGE}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    return f"<jwt/{digest[:12]}>"


_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9_.~+/=%:-]{16,}")


def looks_like_token(text: str) -> bool:
    """Long, and with letters and digits: what session cookies and request ids look like."""
    return _TOKEN.fullmatch(text) is not None
