"""Known secrets: the values that were replaced, in all the forms that they may have elsewhere."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

import orjson

from mockrec.engine.redaction.escapes import Unescaped, is_unusual
from mockrec.engine.redaction.lookup import Lookup, Span, spliced

SHORTEST_KNOWN: Final = 6
"""Characters of the shortest value that is replaced wherever it appears: shorter ones occur by chance."""
MOST_VALUES: Final = 4096
MOST_CHARACTERS: Final = 256 * 1024
"""Values, and characters of all of them, that are remembered of one record or body; the rest is replaced only there. An
exchange remembers its latest values up to the same limits, however long it lasts, and at least those of one record."""
_MOST_ENCODED: Final = 16 * 1024
"""Characters of all values up to which they are searched in base64 and UTF-16 too: that takes ten times the memory."""
_DEEPEST: Final = 3
"""How many times an escaped text may be escaped again; a line of the log escapes everything once more."""

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
"""Values that URLs, JSON and HTML contain unescaped."""
_OF_PLACEHOLDERS: Final = "redacted-"


class SecretValues:
    """The secrets found in one record or body. None may be added after the first search for them."""

    def __init__(self) -> None:
        self.placeholders: dict[str, str] = {}
        """Value, or the form in which it was found → placeholder."""
        self._values: dict[str, str] = {}
        self.characters = 0
        self._is_plain: bool | None = None
        self._forms: dict[bytes, bytes] | None = None
        self._lookup: Lookup | None = None
        self._needles: Lookup | None = None

    def add(self, values: Iterable[str], placeholder: str) -> None:
        """See `SecretMap.add`."""
        is_first = True
        for value in values:
            if len(value) < SHORTEST_KNOWN or value in self.placeholders or value in _OF_PLACEHOLDERS:
                continue
            if len(self.placeholders) >= MOST_VALUES or self.characters + len(value) > MOST_CHARACTERS:
                return
            self.placeholders[value] = placeholder
            self.characters += len(value)
            if is_first:
                self._values[value] = placeholder
            is_first = False

    def joined(self, other: SecretValues) -> SecretValues:
        """Return a map of both."""
        both = SecretValues()
        both.placeholders = self.placeholders | other.placeholders
        both._values = self._values | other._values
        both.characters = self.characters + other.characters
        return both

    # Made on first use. Two threads may make them at the same time; it does not matter which result stays.

    @property
    def is_plain(self) -> bool:
        """Whether no value has characters that any format requires to be escaped."""
        if self._is_plain is None:
            self._is_plain = all(_PLAIN.fullmatch(value) for value in self._values)
        return self._is_plain

    @property
    def forms(self) -> dict[bytes, bytes]:
        """All forms that are searched for → placeholder."""
        if self._forms is None:
            forms = {bytes_of(value): bytes_of(placeholder) for value, placeholder in self.placeholders.items()}
            encodes = self.characters <= _MOST_ENCODED
            for value, placeholder in self._values.items():
                replacement = bytes_of(placeholder)
                for form in _escaped(value):
                    forms.setdefault(form, replacement)
                for form in _encoded(value) if encodes else ():
                    forms.setdefault(form, replacement)
            self._forms = forms
        return self._forms

    @property
    def lookup(self) -> Lookup:
        """The look-up of all forms in a text."""
        if self._lookup is None:
            self._lookup = Lookup(self.forms)
        return self._lookup

    @property
    def needles(self) -> Lookup:
        """The look-up of all forms in JSON whose strings contain the text."""
        if self._needles is None:
            self._needles = Lookup({_inside_json(form): placeholder for form, placeholder in self.forms.items()})
        return self._needles


class SecretMap:
    """The secrets of one record or body, or of an exchange so far, and how many times they were replaced."""

    __slots__ = ("_parts", "count")

    def __init__(self, parts: tuple[SecretValues, ...] = ()) -> None:
        self.count = 0
        self._parts = parts
        """The oldest first, each at least twice as large as the next: values that are added one by one are merged, and
        their forms made again, only a few times."""

    @property
    def placeholders(self) -> dict[str, str]:
        """Value, or the form in which it was found → placeholder."""
        return {value: placeholder for part in self._parts for value, placeholder in part.placeholders.items()}

    def __bool__(self) -> bool:
        return any(part.placeholders for part in self._parts)

    def add(self, values: Iterable[str], placeholder: str) -> None:
        """Add a value, the other forms in which it was found, and their placeholder. Not after the first search."""
        if not self._parts:
            self._parts = (SecretValues(),)
        self._parts[-1].add(values, placeholder)

    def joined(self, other: SecretMap) -> SecretMap:
        """Return a map of both; `other` is the newer one."""
        mine, others = self._parts, other._parts
        if other is self or (
            len(mine) == len(others) == 1 and others[0].placeholders.keys() <= mine[0].placeholders.keys()
        ):
            return self
        if not other:
            return self
        if not self:
            return other
        if all(any(value in part.placeholders for part in mine) for one in others for value in one.placeholders):
            return self
        parts = list(self._parts)
        for part in other._parts:
            parts.append(part)
            while len(parts) > 1 and len(parts[-2].placeholders) < 2 * len(parts[-1].placeholders):
                last = parts.pop()
                parts[-1] = parts[-1].joined(last)
        while len(parts) > 1 and (
            sum(len(part.placeholders) for part in parts) > MOST_VALUES
            or sum(part.characters for part in parts) > MOST_CHARACTERS
        ):
            del parts[0]
        return SecretMap(tuple(parts))

    # ── search ─────────────────────────────────────────────────────────────────────────────────────

    def occurs(self, data: bytes) -> bool:
        """Return whether a text contains one of the secrets."""
        for part in self._parts:
            if part.lookup.occurs(data):
                return True
        return bool(self._parts and self._spans(data))

    def occurs_in_line(self, line: bytes) -> bool:
        """Return whether a string in a line of JSON may contain one of the secrets."""
        for part in self._parts:
            if part.needles.occurs(line):
                return True
        return bool(self._parts and self._spans(line))

    def replaced(self, data: bytes) -> tuple[bytes, int]:
        """Return a text with placeholders for the secrets, and how many there are."""
        count = 0
        for part in self._parts:
            data, more = part.lookup.replaced(data)
            count += more
        if self._parts and (spans := self._spans(data)):
            data = spliced(data, spans)
            count += len(spans)
        return data, count

    def _may_be_escaped(self, data: bytes) -> bool:
        if b"%" not in data and b"\\" not in data and b"&" not in data:
            return False
        return any(is_unusual(data, has_plain=part.is_plain) for part in self._parts)

    def _spans(self, data: bytes) -> list[Span]:
        """Return the spans of secrets that are escaped differently from their forms."""
        if not self._may_be_escaped(data):
            return []
        text = Unescaped.of(data)
        spans: list[Span] = []
        for _ in range(_DEEPEST + 1):
            for part in self._parts:
                spans += [
                    (*text.raw(start, end), placeholder) for start, end, placeholder in part.lookup.spans(text.data)
                ]
            if spans or (inner := text.again()) is None:
                break
            text = inner
        spans.sort()
        return spans


def _escaped(value: str) -> Iterable[bytes]:
    if not _PLAIN.fullmatch(value):
        data = bytes_of(value)
        yield _inside_json(data)
        yield quote(data, safe="").encode()
        yield quote_plus(data).encode()


def _encoded(value: str) -> Iterable[bytes]:
    data = bytes_of(value)
    if value.isascii():
        for coding in ("utf-16-le", "utf-16-be"):
            yield value.encode(coding)
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data)
        # The first and the last character also encode bits of the adjacent bytes.
        whole = encoded[(0, 2, 3)[before] : (before + len(data)) * 8 // 6]
        yield whole
        yield whole.translate(_URL_SAFE)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _inside_json(form: bytes) -> bytes:
    try:
        return orjson.dumps(form.decode("utf-8", "surrogateescape"))[1:-1]
    except orjson.JSONEncodeError:  # half a surrogate pair: the log cannot contain it either
        return form


def bytes_of(text: str) -> bytes:
    """Encode any text to bytes; the inverse of `text_of` for bytes that are not UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
