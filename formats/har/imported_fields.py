"""Convert header fields of other tools' entries to valid fields; repair them where the meaning is plain.

`rawHeaders` are Latin-1 text, one character for each byte on the wire. So a value with other characters becomes its
UTF-8 bytes, as a browser sends it. Invalid fields (RFC 9110, 5.1 and 5.5) must not get past this module: otherwise
`run`, `replay`, `filter` and every conversion would have to check again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from mockrec.formats.har.fields import items
from mockrec.formats.har.imported_repairs import EntryRepairs
from mockrec.formats.text.syntax import TOKEN, TOKEN_PATTERN

_AROUND_NAMES = "".join(map(chr, range(0x21))) + "\x7f\xa0\ufeff"
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_AT_ENDS = " \t\x00\r\n"
_LINE = re.compile(r"\r\n|\r|\n")
_REQUEST_LINE = re.compile(r"[!-~]+ [^ ]+ +HTTP/[0-9](?:\.[0-9])?", re.IGNORECASE)
_STATUS_LINE = re.compile(r"HTTP/[0-9](?:\.[0-9])? [0-9]{3}(?: .*)?", re.IGNORECASE | re.DOTALL)
_PSEUDO = {
    "request": frozenset({":method", ":scheme", ":authority", ":path", ":protocol"}),
    "response": frozenset({":status"}),
    "trailers": frozenset[str](),
}
_SPDY = frozenset({":host", ":version"})
"""Pseudo-headers that HTTP/2 does not have any more; other members of the entry have their values."""
_COLONLESS = re.compile(r":?(method|scheme|authority|path|protocol|status)[ \t]*:[ \t]*(.*)", re.DOTALL)
_COOKIE = re.compile(TOKEN_PATTERN + r"=[^;]*;.*", re.DOTALL)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:[,.'\xa0 ][0-9]{3})+")
_NEXT_COOKIE = re.compile(rf",[ \t]*(?=({TOKEN_PATTERN})=)")
_ANY = re.compile(r".*+")
_USUAL_VALUES = {"set-cookie": re.compile(r"[^,]*+"), "content-length": re.compile(r"[0-9]*+")}
_NEVER_FOLDED = ("set-cookie", "cookie")
"""Some tools join cookies with a line feed and a blank, which would look like a folded line."""


class FieldReader:
    """Reads the fields of one message."""

    def __init__(self, repairs: EntryRepairs, side: str, method: str = "") -> None:
        """`side` is `request`, `response` or `trailers`; `method` is the request's, if known."""
        self._repairs = repairs
        self._side = side
        self._method = method
        self._place = ""
        """Place of the current header in the entry."""
        self._previous_name = ""
        """Name of the previous field, in lower case."""

    def read(self, headers: Any, place: str, cookies: Any = None) -> list[list[str]]:
        """Return valid fields as `[[name, value], …]`. `cookies`: the entry's list of a response's cookies."""
        if isinstance(headers, list) and (regular := _regular_fields(headers)) is not None:
            return regular
        fields: list[list[str]] = []
        named = _cookie_names(cookies)
        for name, values in self._pairs(headers, place):
            for value in values:
                fields += self._field(name, value, named)
        return fields

    # ── forms ──────────────────────────────────────────────────────────────────────────────────────

    def _pairs(self, headers: Any, place: str) -> Iterator[tuple[str, list[str]]]:
        if isinstance(headers, dict):
            self._repairs.add("header-form", place)
            headers = [{"name": name, "value": value} for name, value in headers.items()]
        for index, header in enumerate(items(headers)):
            self._place = f"{place}[{index}]"
            if isinstance(header, list) and len(header) == 2:
                self._repairs.add("header-form", self._place)
                name, value = header
            elif isinstance(header, dict) and "name" in header:
                name, value = header["name"], header.get("value", "")
            else:
                self._repairs.add_lost("field", self._place, f"{header!r:.60}")
                continue
            if isinstance(name, str):
                yield name, self._texts(value)
            else:
                self._repairs.add_lost("field", self._place, f"{name!r:.60}")

    def _texts(self, value: Any) -> list[str]:
        if isinstance(value, str):
            return [value]
        if value is None:
            return [""]
        if isinstance(value, list):
            self._repairs.add("header-form", self._place)
            return [text for one in value if not isinstance(one, list) for text in self._texts(one)] or [""]
        if isinstance(value, bool):
            value = "true" if value else "false"
        self._repairs.add("header-form", self._place)
        return [str(value)]

    # ── fields ─────────────────────────────────────────────────────────────────────────────────────

    def _field(self, name: str, value: str, cookies: frozenset[str]) -> list[list[str]]:
        if self._is_start_line(name, value) or name in _SPDY:
            self._repairs.add("start-line", self._place, name)
            return []
        if self._previous_name == "set-cookie" and _COOKIE.fullmatch(name):
            self._repairs.add("cookie-as-name", self._place, name)
            return [["Set-Cookie", one] for one in self._values(self._previous_name, f"{name}:{value}", cookies)]
        clean = name.strip(_AROUND_NAMES)
        if not clean.strip(":"):
            return self._nameless(clean, value)
        if clean.endswith(":"):
            clean = clean.rstrip(":" + _AROUND_NAMES)
        if not self._is_name(clean):
            name_part, colon, value_part = clean.partition(":") if not clean.startswith(":") else (clean, "", "")
            name_part = name_part.rstrip(_AROUND_NAMES)
            if not colon or value.strip() or not self._is_name(name_part):
                return self._lost(clean)
            self._repairs.add("line-as-name", self._place, clean)
            clean, value = name_part, value_part.strip(_AT_ENDS)
        elif clean != name:
            self._repairs.add("trimmed-name", self._place, name)
        self._previous_name = clean.lower()
        if self._previous_name == "content-length" and value.strip(_AT_ENDS) and not _is_length(value.strip(_AT_ENDS)):
            if not _THOUSANDS.fullmatch(value.strip(_AT_ENDS)):
                return self._lost(f"{clean}: {value}")
            self._repairs.add("length-form", self._place, value)
            value = re.sub(r"[^0-9]", "", value)
        return [[clean, one] for one in self._values(self._previous_name, value, cookies)]

    def _nameless(self, colons: str, value: str) -> list[list[str]]:
        """Read a field with an empty name: some tools split lines at the first colon, with which pseudo-headers
        begin."""
        found = _COLONLESS.fullmatch(value.strip(_AT_ENDS))
        if found is not None and f":{found[1]}" in _PSEUDO[self._side]:
            self._repairs.add("pseudo-name", self._place, value)
            return [[f":{found[1]}", one] for one in self._values("", found[2], frozenset())]
        if not value.strip(_AT_ENDS):
            self._repairs.add("no-field", self._place)
            return []
        return self._lost(f"{colons}: {value}")

    def _is_start_line(self, name: str, value: str) -> bool:
        """True for a request line or status line, which tools that split a head at line ends and colons list as a
        field."""
        name, value = name.strip(_AROUND_NAMES), value.strip(_AT_ENDS)
        if " " not in name and name:
            return False
        whole = f"{name}:{value}" if name and value else name or value
        if _STATUS_LINE.fullmatch(name or value) or _REQUEST_LINE.fullmatch(whole):
            return True
        return bool(self._method) and not value and name.startswith((f"{self._method} /", f"{self._method} http"))

    def _is_name(self, name: str) -> bool:
        if name.startswith(":"):
            return name in _PSEUDO[self._side]
        return TOKEN.fullmatch(name) is not None

    def _lost(self, detail: str) -> list[list[str]]:
        self._repairs.add_lost("field", self._place, detail)
        return []

    # ── values ─────────────────────────────────────────────────────────────────────────────────────

    def _values(self, name: str, value: str, cookies: frozenset[str]) -> list[str]:
        values = [value]
        if "\n" in value or "\r" in value:
            values = self._lines(name, value)
        if name == "set-cookie" and "," in value:
            apart = [one for joined in values for one in _split_cookies(joined, cookies)]
            if len(apart) > len(values):
                self._repairs.add("joined-cookies", self._place, value)
                values = apart
        return [self._sendable(one) for one in values]

    def _lines(self, name: str, value: str) -> list[str]:
        lines: list[list[str]] = []
        folded = False
        for line in _LINE.split(value):
            if not line.strip(_AT_ENDS):
                continue
            if lines and line[:1] in " \t" and name not in _NEVER_FOLDED:
                lines[-1].append(line.strip(_AT_ENDS))
                folded = True
            else:
                lines.append([line.strip(_AT_ENDS)])
        if folded:
            self._repairs.add("folded-field", self._place, value)
        if len(lines) > 1:
            self._repairs.add("split-field", self._place, value)
        elif not folded:
            self._repairs.add("padded-value", self._place, value)
        values = [" ".join(pieces) for pieces in lines] or [""]
        # A request has only one Cookie field (RFC 6265, 5.4).
        return ["; ".join(one.rstrip("; ") for one in values)] if name == "cookie" and len(values) > 1 else values

    def _sendable(self, value: str) -> str:
        """Return a value that is valid in a field (RFC 9110, 5.5), one character for each byte."""
        clean = value.strip(_AT_ENDS)
        if clean != value:
            self._repairs.add("control-character" if "\0" in value else "padded-value", self._place, value)
        if _CONTROLS.search(clean):
            self._repairs.add("control-character", self._place, value)
            clean = _CONTROLS.sub(" ", clean).strip(_AT_ENDS)
        if not is_latin1(clean):
            self._repairs.add("utf8-value", self._place, value)
            clean = as_bytes_text(clean)
        return clean


def _regular_fields(headers: list[Any]) -> list[list[str]] | None:
    """Return the fields if all are valid and in HAR's form, as nearly all are; None if one may need a repair."""
    fields: list[list[str]] = []
    for header in headers:
        try:
            name, value = header["name"], header["value"]
        except (TypeError, KeyError, IndexError):
            return None
        if type(name) is not str or type(value) is not str or (pattern := _usual_value(name)) is None:
            return None
        if not (value.isascii() and value.isprintable() and value.strip() == value and pattern.fullmatch(value)):
            return None
        fields.append([name, value])
    return fields


@lru_cache(1024)
def _usual_value(name: str) -> re.Pattern[str] | None:
    """Return the pattern of values of this field that need no further check; None for an invalid name."""
    return _USUAL_VALUES.get(name.lower(), _ANY) if TOKEN.fullmatch(name) else None


def is_latin1(text: str) -> bool:
    """True if each character fits in a byte."""
    return text.isascii() or max(text) <= "\xff"


def as_bytes_text(text: str) -> str:
    """Return the UTF-8 encoding of a text, one character for each byte. Python programs write bytes that are not UTF-8
    as lone surrogates, which become these bytes again; other lone surrogates become question marks."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "replace")
    return data.decode("latin-1")


def sendable_reason(reason: str) -> str:
    """Return a reason phrase that is valid in a status line (RFC 9112, 4)."""
    line = _CONTROLS.sub(" ", reason).strip(_AT_ENDS)
    return line if is_latin1(line) else as_bytes_text(line)


def without_status_line(reason: str) -> str:
    """Return the reason phrase of a status line: Safari writes the whole line as the reason."""
    return reason.strip().split(" ", 2)[2] if reason.strip().count(" ") > 1 else ""


def is_status_line(text: str) -> bool:
    """True if the text is a whole status line."""
    return _STATUS_LINE.fullmatch(text.strip()) is not None


def _is_length(value: str) -> bool:
    numbers = {part.strip() for part in re.split(r"[,\r\n]", value)}
    return len(numbers) == 1 and all(number.isascii() and number.isdigit() for number in numbers)


def _cookie_names(cookies: Any) -> frozenset[str]:
    names = (cookie.get("name") for cookie in items(cookies) if isinstance(cookie, Mapping))
    return frozenset(name for name in names if isinstance(name, str) and name)


def _split_cookies(value: str, known: frozenset[str]) -> Iterator[str]:
    """Split cookies that a tool has joined with commas. A comma may also be part of a value or a date: it separates two
    cookies only if it follows an attribute, or precedes a name in the entry's list of cookies."""
    start = 0
    for found in _NEXT_COOKIE.finditer(value):
        if value.find(";", start, found.start()) >= 0 or found[1] in known:
            yield value[start : found.start()]
            start = found.end()
    yield value[start:]
