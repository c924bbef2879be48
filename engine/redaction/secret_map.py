"""What is known to be secret: values that were replaced, by everything that they may look like elsewhere."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

import orjson

from mockrec.engine.redaction.escapes import Unescaped, is_unusual
from mockrec.engine.redaction.lookup import Lookup, Span, spliced

LEAST_SPREAD: Final = 6
"""Characters of the shortest value that is replaced wherever it appears: shorter ones are words of other things."""
MOST_VALUES: Final = 4096
MOST_CHARACTERS: Final = 256 * 1024
"""Of what one body or record is found to hold, so many values, and so much of them, are looked for elsewhere; an
exchange, however long it lasts, knows the last ones that are together as many, or all of one record's."""
_MOST_ENCODED: Final = 16 * 1024
"""Characters of values that are looked for in base64 and UTF-16 too: that takes ten times the memory."""
_DEEPEST: Final = 3
"""How many times what is escaped may be escaped again; a line of the log escapes everything once more."""

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
"""What URLs, JSON and HTML have as it is."""
_OF_PLACEHOLDERS: Final = "redacted-"


class SecretValues:
    """Those that were found in one thing. Nothing is added any more once somebody looks for them."""

    def __init__(self) -> None:
        self.placeholders: dict[str, str] = {}
        """Value, or how it was seen → placeholder."""
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
            if len(value) < LEAST_SPREAD or value in self.placeholders or value in _OF_PLACEHOLDERS:
                continue
            if len(self.placeholders) >= MOST_VALUES or self.characters + len(value) > MOST_CHARACTERS:
                return
            self.placeholders[value] = placeholder
            self.characters += len(value)
            if is_first:
                self._values[value] = placeholder
            is_first = False

    def joined(self, other: SecretValues) -> SecretValues:
        """Both together."""
        both = SecretValues()
        both.placeholders = self.placeholders | other.placeholders
        both._values = self._values | other._values
        both.characters = self.characters + other.characters
        return both

    # Made when they are asked for; several threads may ask, and then it does not matter whose are kept.

    @property
    def is_plain(self) -> bool:
        """Whether no value has characters that are escaped anywhere by those who escape what they must."""
        if self._is_plain is None:
            self._is_plain = all(_PLAIN.fullmatch(value) for value in self._values)
        return self._is_plain

    @property
    def forms(self) -> dict[bytes, bytes]:
        """Everything that is looked for, and what it is replaced by."""
        if self._forms is None:
            forms = {bytes_of(value): bytes_of(placeholder) for value, placeholder in self.placeholders.items()}
            encodes = self.characters <= _MOST_ENCODED
            for value, placeholder in self._values.items():
                told = bytes_of(placeholder)
                for form in _escaped(value):
                    forms.setdefault(form, told)
                for form in _encoded(value) if encodes else ():
                    forms.setdefault(form, told)
            self._forms = forms
        return self._forms

    @property
    def lookup(self) -> Lookup:
        """In bytes."""
        if self._lookup is None:
            self._lookup = Lookup(self.forms)
        return self._lookup

    @property
    def needles(self) -> Lookup:
        """In JSON whose strings hold the bytes."""
        if self._needles is None:
            self._needles = Lookup({_inside_json(form): placeholder for form, placeholder in self.forms.items()})
        return self._needles


class SecretMap:
    """The secrets of one thing, or of everything in an exchange so far; and how many times something was replaced."""

    __slots__ = ("_parts", "count")

    def __init__(self, parts: tuple[SecretValues, ...] = ()) -> None:
        self.count = 0
        self._parts = parts
        """The oldest first; each about twice as large as the next, so that what is added again and again is put
        together, and its forms made, a few times only."""

    @property
    def placeholders(self) -> dict[str, str]:
        """Value, or how it was seen → placeholder."""
        return {value: placeholder for part in self._parts for value, placeholder in part.placeholders.items()}

    def __bool__(self) -> bool:
        return any(part.placeholders for part in self._parts)

    def add(self, values: Iterable[str], placeholder: str) -> None:
        """Remember a value, the other forms it was seen in, and their placeholder. Only before the first look-up."""
        if not self._parts:
            self._parts = (SecretValues(),)
        self._parts[-1].add(values, placeholder)

    def joined(self, other: SecretMap) -> SecretMap:
        """Both together; `other` is the newer one."""
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

    # ── looking ────────────────────────────────────────────────────────────────────────────────────

    def occurs(self, data: bytes) -> bool:
        """Whether something of it is in a text."""
        for part in self._parts:
            if part.lookup.occurs(data):
                return True
        return bool(self._parts and self._spans(data))

    def occurs_in_line(self, line: bytes) -> bool:
        """Whether something of it may be in a string of JSON."""
        for part in self._parts:
            if part.needles.occurs(line):
                return True
        return bool(self._parts and self._spans(line))

    def replaced(self, data: bytes) -> tuple[bytes, int]:
        """A text with placeholders in its place, and how many those are."""
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
        """Where it stands escaped in a way that its forms do not have."""
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
        # The first and the last letter belong to what is around as well.
        whole = encoded[(0, 2, 3)[before] : (before + len(data)) * 8 // 6]
        yield whole
        yield whole.translate(_URL_SAFE)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _inside_json(form: bytes) -> bytes:
    try:
        return orjson.dumps(form.decode("utf-8", "surrogateescape"))[1:-1]
    except orjson.JSONEncodeError:  # half a surrogate pair: it is no text of the log either
        return form


def bytes_of(text: str) -> bytes:
    """Any text as bytes."""
    try:
        return text.encode("utf-8", "surrogateescape")  # bytes that are no text came so
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
