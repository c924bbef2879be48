"""Volatile values, which differ in each run: ids, times, hashes, tokens, placeholders of redacted secrets.

They are compared as typed placeholders: a UUID equals any UUID, never a number. `mask` replaces them in the middle of a
text too, so `/users/<uuid>` is comparable.
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
"""The placeholder of a secret in a recording."""

_DAY = 86400.0
_WINDOW = 400 * _DAY
"""Seconds from the recording's start within which a number is taken for a time."""
_CLAIMS_THAT_CHANGE = frozenset({"iat", "exp", "nbf", "jti", "auth_time"})

_FIRST = "0-9a-fA-FMTWS"
"""First characters of volatile values. Searching for a pattern that begins with a set of characters is several times
faster than for one that begins with a lookaround, so the first character is matched first, then checked by a
lookbehind."""
_ALTERNATIVES = (
    r"(?P<uuid>(?<=[0-9a-fA-F])[0-9a-fA-F]{7}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})",
    r"(?P<time>(?<=\d)\d{3}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)",
    r"(?P<jwt>(?<=e)yJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*)",
    r"(?P<ulid>(?<=[0-7])[0-9A-HJKMNP-TV-Z]{25})",
    r"(?P<ksuid>(?<=[0-9])(?=[0-9A-Za-z]{26}(?![\w-]))(?=[0-9A-Z]*[a-z])(?=[0-9a-z]*[A-Z])[0-9A-Za-z]{26})",
    # A word or a number with the length of a MongoDB id is not one.
    r"(?P<objectid>(?<=[0-9a-f])(?=[0-9a-f]{23}(?![\w-]))(?=[0-9a-f]*[0-9])(?<=[a-f])[0-9a-f]{23}"
    r"|(?<=[0-9])(?=[0-9]*[a-f])[0-9a-f]{23})",
    r"(?P<hex>(?<=[0-9a-f])(?:[0-9a-f]{127}|[0-9a-f]{95}|[0-9a-f]{63}|[0-9a-f]{55}|[0-9a-f]{39}|[0-9a-f]{31})"
    r"|(?<=[0-9A-F])(?:[0-9A-F]{127}|[0-9A-F]{95}|[0-9A-F]{63}|[0-9A-F]{55}|[0-9A-F]{39}|[0-9A-F]{31}))",
    r"(?P<epoch>(?<=\d)(?:\d{18}|\d{15}|\d{12}(?:\.\d+)?|\d{9}(?:\.\d+)?))",
    r"(?P<date>(?<=[MTWFS])(?:on|ue|ed|hu|ri|at|un), \d\d[ -](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ -]"
    r"\d{2,4} \d\d:\d\d:\d\d (?:GMT|[+-]\d{4}))",
)
_LONG = r"(?=[\w-]{6}|[a-z]{2},)"
"""Follows the first character of all volatile values: quickly rules out short words."""
_VOLATILE = re.compile(rf"[{_FIRST}](?<![\w-].){_LONG}(?:{'|'.join(_ALTERNATIVES)})(?![\w-])", re.ASCII | re.DOTALL)
_PLACEHOLDERS = {name: f"<{name}>" for name in _VOLATILE.groupindex if name not in ("jwt", "epoch")}
_WHOLE = re.compile(
    r"(?:(?P<uuid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"
    r"|(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?))\\?",
    re.ASCII,
)
"""A text that is an id or a time, as most texts are that differ between two runs. In JSON within JSON, the backslash of
the next quotation mark follows it."""
_SCALES = (1.0, 1e3, 1e6, 1e9)


@dataclass(frozen=True)
class Window:
    """The range of times that may occur in a recording, in seconds since the epoch."""

    low: float
    high: float

    @classmethod
    def around(cls, *starts: float | None) -> Window:
        """Return a window around the sessions' starts, or the years 2000 to 2099 if no start is known."""
        given_starts = [start for start in starts if start is not None]
        if not given_starts:
            return cls(946_684_800.0, 4_102_444_800.0)
        return cls(min(given_starts) - _WINDOW, max(given_starts) + _WINDOW)

    def unit(self, number: float) -> float:
        """Return the unit in which a number is a time of the window: 1 for seconds, 1000 for milliseconds, …; 0 for no
        time."""
        for scale in _SCALES:
            if self.low <= number / scale <= self.high:
                return scale
        return 0.0


def mask(text: str, window: Window) -> str:
    """Replace each volatile value in a text by its type, as in `/users/<uuid>`."""
    whole = _WHOLE.fullmatch(text)
    if whole is not None:  # a quarter of the time of a search
        return f"<{whole.lastgroup}>\\" if text[-1] == "\\" else f"<{whole.lastgroup}>"

    def replaced(match: re.Match[str]) -> str:
        name = match.lastgroup or ""
        fixed = _PLACEHOLDERS.get(name)
        if fixed is not None:
            return fixed
        if name == "jwt":
            return _jwt(match[0])
        unit = window.unit(float(match[0]))
        return f"<epoch/{unit:.0f}>" if unit else match[0]

    return _VOLATILE.sub(replaced, text)


def are_same_type(a: str, b: str) -> bool:
    """True if both texts are ids, or both are times, so that `mask` makes the same of them. False for most others."""
    one = _WHOLE.fullmatch(a)
    if one is None:
        return False
    other = _WHOLE.fullmatch(b)
    return other is not None and one.lastgroup == other.lastgroup and (a[-1] == "\\") == (b[-1] == "\\")


_PART_OF_VALUE = re.compile(r"[0-9a-fA-FTZ:+ -]*[.,]?[0-9a-fA-FTZ:+ -]*")


def may_be_in_value(name: str) -> bool:
    """True if a text may be a part of a text for which `are_same_type` is true."""
    return _PART_OF_VALUE.fullmatch(name) is not None


def mask_marks(text: str) -> str:
    """Replace all placeholders of secrets in a text by the same one."""
    return MARK.sub("<redacted>", text) if "redacted-" in text else text


def fits_mark(marked: str, plain: str) -> bool:
    """True if `plain` may be the text of which `marked` is the redacted form: a placeholder stands for any text of at
    least one character."""
    first, *between, last = MARK.split(marked)
    if not plain.startswith(first):
        return False
    place = len(first)
    # The first place where a piece fits is as good as any later one, so no backtracking is needed.
    for piece in between:
        found = plain.find(piece, place + 1)
        if found < 0:
            return False
        place = found + len(piece)
    return len(plain) - len(last) > place and plain.endswith(last)


@lru_cache(maxsize=4096)
def _jwt(token: str) -> str:
    """Return a placeholder with a hash of the token's claims, without those that differ in each token."""
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
    """True for a long text of letters and digits, like session cookies and request ids."""
    return _TOKEN.fullmatch(text) is not None


_NANOID = 21
"""Length of a nanoid by default."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]{54,86}={0,2}")
_S3_LENGTHS = frozenset({64, 76})
_S3_REQUEST = re.compile(r"(?=(?:[A-Z]*[0-9]){3})(?=(?:[0-9]*[A-Z]){3})[0-9A-Z]{16}")
_CHANGES = re.compile(r"(?<=[a-z])[A-Z0-9_-]|(?<=[A-Z])[0-9_-]|(?<=[0-9])[A-Za-z_-]|(?<=[_-])[A-Za-z0-9]")
_RUN = re.compile(r"[a-z]{6}|[A-Z]{6}|[0-9]{6}")
_NANOID_SHAPE = re.compile(r"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])(?=[^0-9]*[0-9])[\w-]{21}", re.ASCII)
_ENOUGH_CHANGES = 5
"""Minimal changes between kinds of characters in a nanoid: a name in camel case has fewer, or longer runs."""


def shape_of(text: str) -> str:
    """Return the type of an id that only the shape of the whole text reveals, or "". Compare such ids only if both
    sides have this type."""
    length = len(text)
    if length == _NANOID:
        if _NANOID_SHAPE.fullmatch(text) and not _RUN.search(text) and len(_CHANGES.findall(text)) >= _ENOUGH_CHANGES:
            return "<nanoid>"
    elif length == 16:
        if _S3_REQUEST.fullmatch(text):
            return "<s3-request-id>"
    elif length in _S3_LENGTHS and _BASE64.fullmatch(text) and re.search("[0-9+/]", text):
        return "<s3-host-id>"
    return ""
