"""JSON strings under secret names: in truncated JSON, in JSON Lines, in lists, in JSON inside JSON strings."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from mockrec.engine.redaction.edits import Edit
from mockrec.engine.redaction.patterns import RegexMatch
from mockrec.engine.redaction.secret_map import bytes_of

IN_STRING = rb'([^"\\]*+(?:\\(?:.|\Z)[^"\\]*+)*+)(?:"|\Z)'
"""A string after its opening quote, with the closing quote unless it is truncated."""
STRING = re.compile(IN_STRING, re.DOTALL)
_LIST_TOKEN = re.compile(rb'"' + IN_STRING + rb"|[\[\]{}]", re.DOTALL)
_COLON = re.compile(rb"\s*:")
_LIST, _OBJECT, _QUOTE = b'[{"'


class Strings:
    """Finds JSON strings under secret names in one pass."""

    def __init__(
        self,
        names: Any,
        is_secret: Callable[[str], bool],
        placeholder: Callable[[bytes, str], bytes],
        kept: frozenset[int],
    ) -> None:
        """`names`: the pattern of a name up to its value. Strings that begin at one of `kept` stay."""
        self._names = names
        self._is_secret = is_secret
        self._placeholder = placeholder
        self._kept = kept

    def edits(self, data: bytes) -> list[Edit]:
        """Return the edits, sorted by their starts except for lists in lists."""
        found: list[Edit] = []
        at, search = 0, self._names.search
        while (match := search(data, at)) is not None:
            at = self._value(match, data, found)
        return found

    def _value(self, match: RegexMatch, data: bytes, found: list[Edit]) -> int:
        """Add the edits of one value to `found`; return where the search continues."""
        slashes, start = match.group(1), match.end()
        if match.group(3) != slashes or not self._is_secret(text_of(match.group(2))):
            return start
        if slashes:
            return self._escaped_value(slashes, start, data, found)
        opening = data[start : start + 1]
        if opening == b"[":
            return self._list(start, data, found)
        if opening != b'"' or start + 1 in self._kept:
            return start
        string = STRING.match(data, start + 1)
        assert string is not None  # it matches the empty string too
        found.append(self._string(string))
        return string.end()

    def _string(self, string: re.Match[bytes]) -> Edit:
        return string.start(1), string.end(1), self._placeholder(string[1], unescaped(string[1]))

    def _list(self, start: int, data: bytes, found: list[Edit]) -> int:
        """Add the edits of a list under a secret name; return where it ends. Objects in it have names of their own."""
        is_secret: list[bool] = []
        """For each enclosing list and object, whether its strings are secret."""
        is_named = True
        """Whether the next value has a secret name."""
        for token in _LIST_TOKEN.finditer(data, start):
            sign = data[token.start()]
            if sign == _LIST:
                is_secret.append(is_named or is_secret[-1])
                is_named = False
            elif sign == _OBJECT:
                is_secret.append(False)
                is_named = False
            elif sign != _QUOTE:
                is_secret.pop()
                if not is_secret:
                    return token.end()
            elif is_secret[-1]:
                if token.start(1) not in self._kept:
                    found.append(self._string(token))
            elif _COLON.match(data, token.end()):
                is_named = self._is_secret(unescaped(token[1]))
            elif is_named:
                is_named = False
                if token.start(1) not in self._kept:
                    found.append(self._string(token))
        return len(data)

    def _escaped_value(self, slashes: bytes, start: int, data: bytes, found: list[Edit]) -> int:
        """Add the edit of a value of JSON in a JSON string: its quotes are preceded by these backslashes."""
        quote = slashes + b'"'
        if not data.startswith(quote, start):
            return start
        start += len(quote)
        end = data.find(quote, start)
        while end > 0 and data[end - 1 : end] == b"\\":
            end = data.find(quote, end + 1)
        end = len(data) if end < 0 else end
        value = text_of(data[start:end])
        for _ in range(len(slashes).bit_length() + 1):
            value = unescaped(bytes_of(value))
        found.append((start, end, self._placeholder(data[start:end], value)))
        return end


def unescaped(data: bytes) -> str:
    """Return the value of a JSON string, given without quotes; the text itself if it is not valid JSON."""
    if b"\\" not in data:
        return text_of(data)
    try:
        return str(orjson.loads(b'"' + data + b'"'))
    except orjson.JSONDecodeError:
        return text_of(data)


def text_of(data: bytes) -> str:
    """Decode any bytes to text; `bytes_of` is the inverse."""
    return data.decode("utf-8", "surrogateescape")
