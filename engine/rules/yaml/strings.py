"""Value types of texts with a grammar: header fields, paths, URLs, regular expressions, names of files."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

from mockrec.engine.rules.json_paths import compile_path
from mockrec.engine.rules.model import HeaderPairs
from mockrec.engine.rules.patterns import check_regex
from mockrec.engine.rules.yaml.containers import ByKind, Checked, List, MapOf
from mockrec.engine.rules.yaml.context import LoadContext, Rejected, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, ListNode, ScalarNode
from mockrec.engine.rules.yaml.types import TEXT_TYPES, InvalidValue, ScalarType, Schema, Str, ValueType
from mockrec.engine.wire.syntax import TOKEN_PATTERN
from mockrec.formats.text.late_regex import late_regex
from mockrec.formats.text.regex import RegexError

_FORBIDDEN_IN_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_HOST_LABELS = re.compile(r"[^\s/?#@:\[\]\\]+|\[[0-9A-Fa-f:.]+\]")
_HANDLER = re.compile(r"(.+\.py):([A-Za-z_][A-Za-z0-9_]*)")
URL_SCHEMES: Final = ("http", "https", "ws", "wss")


class Pattern(ScalarType[str]):
    """Text that matches a regular expression; a function may check it further (InvalidValue), or change it."""

    def __init__(self, expects: str, pattern: str, check: Callable[[str], str] | None = None) -> None:
        """`pattern` has to match the whole text, and to mean the same in JSON Schema's dialect (ECMA-262)."""
        self.expects = expects
        self._pattern = late_regex(pattern)
        self._check = check

    def parse(self, text: str, plain: bool) -> str:
        if self._pattern.fullmatch(text) is None:
            raise InvalidValue
        return text if self._check is None else self._check(text)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": list(TEXT_TYPES), "pattern": f"^(?:{self._pattern.pattern})$"}


class RegexType(ScalarType[str]):
    """A regular expression in RE2's syntax."""

    expects = "a regular expression"

    def __init__(self, *, python_allowed: bool = True) -> None:
        """`python_allowed`: whether Python's syntax can be given at this place (`regex.py`)."""
        self._python_allowed = python_allowed

    def parse(self, text: str, plain: bool) -> str:
        try:
            check_regex(text, python_allowed=self._python_allowed)
        except RegexError as error:
            raise InvalidValue(str(error)) from None
        return text

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": list(TEXT_TYPES)}


class Base64(ScalarType[bytes]):
    """Base64 (RFC 4648, section 4), white space anywhere → bytes."""

    expects = "base64"

    def parse(self, text: str, plain: bool) -> bytes:
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidValue(f"not base64: {error}") from None

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": list(TEXT_TYPES), "contentEncoding": "base64"}


class File(ValueType[str]):
    """The name of a file that exists, relative to the rule file's folder → absolute path."""

    expects = "the name of a file"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> str:
        return context.existing(_FILE_NAME.read(node, where, context), node, where)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return _FILE_NAME.schema(defs)


class FileName(ValueType[str]):
    """The name of a file that may not exist yet, as written."""

    expects = "the name of a file"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> str:
        return _FILE_NAME.read(node, where, context)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return _FILE_NAME.schema(defs)


class FolderType(ValueType[str]):
    """The name of a folder that exists, relative to the rule file's folder → absolute path."""

    expects = "the name of a folder"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> str:
        return context.folder(_FILE_NAME.read(node, where, context), node, where)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return _FILE_NAME.schema(defs)


class Handler(ValueType[str]):
    """`handlers.py:name` → `/folder/handlers.py:name`. The file has to exist; it is not imported."""

    expects = "a function such as handlers.py:name"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> str:
        if not context.allows_functions:
            raise context.reject(node, where, "Python functions cannot be used in rules that are added")
        file, _, name = _HANDLER_NAME.read(node, where, context).rpartition(":")
        return f"{context.existing(file, node, where)}:{name}"

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return _HANDLER_NAME.schema(defs)


MOST_STEPS: Final = 100
"""Limit of steps of a JSONPath. Documents that are nested deeper are not searched either."""


class JsonPath(ScalarType[str]):
    """A JSONPath query (RFC 9535)."""

    expects = "a JSONPath such as $.user.id"

    def parse(self, text: str, plain: bool) -> str:
        import jsonpath_rfc9535  # slow to import, and few rule files use it

        try:
            steps = len(compile_path(text).segments)
        except (jsonpath_rfc9535.JSONPathError, RecursionError) as error:
            raise InvalidValue(f"not a JSONPath: {str(error) or quoted(text)}") from None
        if steps > MOST_STEPS:  # a look-up takes a frame of Python's stack for each
            raise InvalidValue(f"a JSONPath of {steps} steps, of which there may be {MOST_STEPS}")
        return text

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": "string", "pattern": r"^\$"}


class Headers(ValueType[HeaderPairs]):
    """Header fields as pairs in order: a mapping whose values may be lists, or a list of pairs."""

    def __init__(self) -> None:
        value = ByKind(scalar=HEADER_VALUE, items=List(HEADER_VALUE))
        self._mapping = MapOf(value, key=HEADER_NAME)
        self._pairs = List(_Pair())
        self._either = ByKind(mapping=self._mapping, items=self._pairs)
        self.expects = "a mapping of header names to values, or a list of pairs"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> HeaderPairs:
        if isinstance(node, ScalarNode):
            raise self.unexpected(node, where, context)
        found = self._either.read(node, where, context)
        if isinstance(found, tuple):
            return found
        pairs: list[tuple[str, str]] = []
        for name, value in found.items():
            pairs += [(name, one) for one in (value if isinstance(value, tuple) else (value,))]
        return tuple(pairs)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return self._either.schema(defs)


class _Pair(ValueType[tuple[str, str]]):
    """`[name, value]`, one header field."""

    expects = "a pair of name and value"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> tuple[str, str]:
        if not isinstance(node, ListNode) or len(node.items) != 2:
            raise self.unexpected(node, where, context)
        name, value = node.items
        try:
            read_name = HEADER_NAME.read(name, f"{where}[0]", context)
        except Rejected:
            HEADER_VALUE.read(value, f"{where}[1]", context)
            raise
        return read_name, HEADER_VALUE.read(value, f"{where}[1]", context)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {
            "type": "array",
            "prefixItems": [HEADER_NAME.schema(defs), HEADER_VALUE.schema(defs)],
            "minItems": 2,
            "maxItems": 2,
        }


class HeaderValue(ScalarType[str]):
    """A field value (RFC 9110, 5.5): visible characters, spaces and tabs, in Latin-1 as on the wire."""

    expects = "a header value"

    def parse(self, text: str, plain: bool) -> str:
        found = _FORBIDDEN_IN_VALUE.search(text)
        if found is not None and ord(found[0]) > 0xFF:
            raise InvalidValue(f"a header value is Latin-1 text; {quoted(found[0])} is not")
        if found is not None:
            raise InvalidValue(f"a header value has no line breaks and no control characters; found {found[0]!r}")
        return text

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": list(TEXT_TYPES), "pattern": r"^[\t\x20-\x7e\x80-\xff]*$"}


def check_authority(text: str) -> str:
    """Check `host` or `host:port`; an IPv6 address is in brackets."""
    if text.count(":") > 1 and not text.startswith("["):
        raise InvalidValue("an IPv6 address stands in brackets")
    host, colon, port = (text, "", "") if text.endswith("]") or ":" not in text else text.rpartition(":")
    if _HOST_LABELS.fullmatch(host) is None:
        raise InvalidValue(f"not a host: {quoted(host)}")
    if colon and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise InvalidValue(f"not a port: {quoted(port)}")
    return text


def _webhook_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise InvalidValue(f"not an absolute URL: {quoted(text)}")
    return text


def _target(text: str) -> str:
    """Check `forward.to`: a server without a path."""
    scheme, found, rest = text.partition("://")
    if found and scheme.lower() not in URL_SCHEMES:
        raise InvalidValue(f"the scheme is http, https, ws or wss, got {quoted(scheme)}")
    rest = rest if found else text
    if any(character in rest.rstrip("/") for character in "/?#"):
        raise InvalidValue("a server has no path; the request's own path is kept")
    check_authority(rest.rstrip("/"))
    return text


def pair_of(
    value_type: ValueType[Any], expects: str, more: Callable[[tuple[Any, Any]], tuple[Any, Any]]
) -> ValueType[tuple[Any, Any]]:
    """A list of exactly two values; `more` checks them further, and raises InvalidValue."""

    def check(values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(values) != 2:
            raise InvalidValue(f"expected {expects}, got a list of {len(values)}")
        return more((values[0], values[1]))

    return cast(ValueType[tuple[Any, Any]], Checked(List(value_type), check))


_FILE_NAME: Final = Str(empty=False)
_HANDLER_NAME: Final = Pattern("a function such as handlers.py:name", _HANDLER.pattern)
HEADER_NAME: Final = Pattern("a header name (letters, digits and -)", TOKEN_PATTERN)
HEADER_VALUE: Final = HeaderValue()
HEADERS: Final = Headers()
METHOD: Final = Pattern("a method such as GET", TOKEN_PATTERN, str.upper)
HOST: Final = Pattern("a host, with its port unless it is the default", r"[^\s/?#@]+", check_authority)
WEBHOOK_URL: Final = Pattern("an absolute http or https URL", r"[Hh][Tt][Tt][Pp][Ss]?://[^\s]+", _webhook_url)
TARGET: Final = Pattern("a server such as http://localhost:3000", r"[^\s]+", _target)
