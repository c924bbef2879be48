"""Value types of matchers: URLs and paths, conditions, JSON Schemas, parts, JSON-RPC calls."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from mockrec.engine.rules.model import Condition, Expected, MultipartPart
from mockrec.engine.rules.yaml.containers import ByKind, List, Named
from mockrec.engine.rules.yaml.context import LoadContext, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, ScalarNode
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.regex import REGEX_KEYS, regex_values
from mockrec.engine.rules.yaml.schema_check import schema_fault
from mockrec.engine.rules.yaml.strings import URL_SCHEMES, Pattern, check_authority
from mockrec.engine.rules.yaml.types import (
    TEXT_TYPES,
    AnyJson,
    Bool,
    Enum,
    InvalidValue,
    Number,
    Schema,
    Str,
    ValueType,
)

# ── URLs and paths ─────────────────────────────────────────────────────────────────────────────────

_SEGMENT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")


def _url(text: str) -> str:
    """Check `url`: `/path`, `http://host/path` or `host/path`, without a query."""
    if "?" in text:
        raise InvalidValue("a URL here has no query; match it with `query` or `exactQuery`")
    if text.startswith("/"):
        return text
    scheme, found, rest = text.partition("://")
    if found and scheme.lower() not in URL_SCHEMES:
        raise InvalidValue(f"the scheme is http, https, ws or wss, got {quoted(scheme)}")
    check_authority((rest if found else text).partition("/")[0])
    return text


def _path(text: str) -> str:
    if "?" in text:
        raise InvalidValue("a path has no query; match it with `query` or `exactQuery`")
    return text


def _path_template(text: str) -> str:
    names = _SEGMENT.findall(_path(text))
    if any(brace in _SEGMENT.sub("", text) for brace in "{}"):
        raise InvalidValue("a name in braces is letters, digits, _ and -, for example /users/{id}")
    if repeated := [name for index, name in enumerate(names) if name in names[:index]]:
        raise InvalidValue(f"the name {{{repeated[0]}}} is used twice")
    return text


URL: Final = Pattern("a URL or a path", r"[^\s]+(?: [^\s]+)*", _url)
PATH: Final = Pattern('a path that begins with "/"', r"\*|/[^\r\n]*", _path)
PATH_TEMPLATE: Final = Pattern('a path that begins with "/"', r"/[^\r\n]*", _path_template)
HOSTNAME: Final = Pattern(
    "a host name without a port (* stands for any text)",
    r"[^\s/?#@:\[\]]+|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?",
)
EXACT_QUERY: Final = Pattern('a query that begins with "?", or nothing', r"(?:\?[^\r\n]*)?")

# ── values and conditions ──────────────────────────────────────────────────────────────────────────


class _PlainList(ValueType[tuple[Any, ...]]):
    """A list of any JSON data."""

    expects = "a list"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> tuple[Any, ...]:
        return tuple(context.plain(node, where))

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": "array"}


class _PlainScalar(AnyJson):
    """Text, a number, a boolean or null."""

    expects = "a value"

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": list(TEXT_TYPES)}


def _condition(given: ParsedMapping) -> Expected:
    values = regex_values(given)
    if "absent" in given and len(values) > 1:
        raise given.reject("absent", "what is absent cannot be tested further")
    if "equals" in given and values["equals"] is None:
        if len(values) > 1:
            raise given.reject("equals", "what is null cannot be tested further")
        return None
    return Condition(**values)


def _condition_record(equals: ValueType[Any]) -> Record[Expected]:
    keys = {
        "equals": Key(equals, "The whole value."),
        **REGEX_KEYS,
        "includes": Key(Str(), "Text that it contains."),
        "absent": Key(Bool(only=True), "It is not there at all."),
        "present": Key(Bool(only=True), "It is there, whatever its value."),
        "gt": Key(Number(), "A number above this one."),
        "gte": Key(Number(), "A number above or equal to this one."),
        "lt": Key(Number(), "A number below this one."),
        "lte": Key(Number(), "A number below or equal to this one."),
    }
    return Record(keys, _condition, some_of=[tuple(key for key in keys if key != "syntax")])


TEXT: Final = Named(
    "expectedText",
    lambda: _TEXT,
    "text, a list or a condition",
)
_TEXT: Final[ByKind] = ByKind(scalar=Str(), items=List(Str(), at_least=1), mapping=_condition_record(Str()))
VALUE: Final = Named("expectedValue", lambda: _VALUE, "a value, a list or a condition")
_VALUE: Final[ByKind] = ByKind(scalar=_PlainScalar(), items=_PlainList(), mapping=_condition_record(AnyJson()))

# ── JSON Schema ────────────────────────────────────────────────────────────────────────────────────


class LoadedSchema(msgspec.Struct, frozen=True):
    """A checked JSON Schema, and the schema or file name as written in the rule file."""

    schema: Mapping[str, Any] | bool
    source: Any


class JsonSchema(ValueType[LoadedSchema]):
    """A JSON Schema, inline or in a file."""

    expects = "a JSON Schema or the name of a file that holds one"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> LoadedSchema:
        source = context.plain(node, where)
        schema = source
        if isinstance(source, str) and isinstance(node, ScalarNode):
            content = context.content(source, node, where)
            try:
                schema = json.loads(content)
            except (ValueError, RecursionError) as error:
                raise context.reject(node, where, f"the file {source} is not JSON: {error}") from None
        if not isinstance(schema, Mapping | bool):
            raise self.unexpected(node, where, context)
        if fault := schema_fault(schema):
            raise context.reject(node, where, f"not a JSON Schema: {fault}")
        return LoadedSchema(schema, source)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": ["string", "object", "boolean"]}


# ── multipart and JSON-RPC ─────────────────────────────────────────────────────────────────────────

PART: Final = Record(
    {
        "name": Key(Str(), "The part's name."),
        "filename": Key(Str(), "The part's file name."),
        "content": Key(Str(), "The part's content as text."),
    },
    lambda given: MultipartPart(**given.values),
)
GRAPHQL: Final = Record(
    {
        "operation": Key(Str(empty=False), "The operation's name."),
        "type": Key(Enum("query", "mutation", "subscription"), "The operation's type."),
        "variables": Key(AnyJson(), "Variables; those given must be there."),
    },
    lambda given: dict(given.values),
)
JSON_RPC: Final = Record(
    {
        "method": Key(Str(empty=False), "The method that is called."),
        "params": Key(AnyJson(), "Parameters; those given must be there."),
    },
    lambda given: dict(given.values),
)
