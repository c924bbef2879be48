"""The words of `when`: every matcher's shape, read into `model.When`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from mockrec.engine.rules.language.regex import REGEX, REGEX_KEYS, regex_values
from mockrec.engine.rules.model import Condition, Expected, MultipartPart, When
from mockrec.engine.rules.patterns import PythonRegex
from mockrec.engine.rules.yaml.containers import ByKind, List, MapOf, Named, OneOrMany
from mockrec.engine.rules.yaml.context import LoadContext, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, ScalarNode
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.schema_check import schema_fault
from mockrec.engine.rules.yaml.strings import (
    EXACT_QUERY,
    HEADER_NAME,
    HOST,
    HOSTNAME,
    METHOD,
    PATH,
    PATH_TEMPLATE,
    URL,
    URL_SCHEMES,
    Handler,
    JsonPath,
)
from mockrec.engine.rules.yaml.types import TEXT_TYPES, AnyJson, Bool, Enum, Int, Number, Schema, Str, ValueType

# ── values and conditions ──────────────────────────────────────────────────────────────────────────


class _PlainList(ValueType[tuple[Any, ...]]):
    """A list of free data."""

    expects = "a list"

    def read(self, node: AnyNode, where: str, reading: LoadContext) -> tuple[Any, ...]:
        return tuple(reading.plain(node, where))

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


def _condition_shape(equals: ValueType[Any]) -> Record[Expected]:
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
_TEXT: Final[ByKind] = ByKind(scalar=Str(), items=List(Str(), at_least=1), mapping=_condition_shape(Str()))
VALUE: Final = Named("expectedValue", lambda: _VALUE, "a value, a list or a condition")
_VALUE: Final[ByKind] = ByKind(scalar=_PlainScalar(), items=_PlainList(), mapping=_condition_shape(AnyJson()))

# ── JSON Schema ────────────────────────────────────────────────────────────────────────────────────


class _JsonSchema(ValueType[Any]):
    """A JSON Schema, inline or in a file → the schema, checked. `source` keeps what was written."""

    expects = "a JSON Schema or the name of a file that holds one"

    def read(self, node: AnyNode, where: str, reading: LoadContext) -> Any:
        source = reading.plain(node, where)
        schema = source
        if isinstance(source, str) and isinstance(node, ScalarNode):
            content = reading.content(source, node, where)
            try:
                schema = json.loads(content)
            except (ValueError, RecursionError) as error:
                raise reading.reject(node, where, f"the file {source} is not JSON: {error}") from None
        if not isinstance(schema, Mapping | bool):
            raise self.unexpected(node, where, reading)
        if fault := schema_fault(schema):
            raise reading.reject(node, where, f"not a JSON Schema: {fault}")
        return schema, source

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": ["string", "object", "boolean"]}


# ── the record ─────────────────────────────────────────────────────────────────────────────────────

_PART = Record(
    {
        "name": Key(Str(), "The part's name."),
        "filename": Key(Str(), "The part's file name."),
        "content": Key(Str(), "The part's content as text."),
    },
    lambda given: MultipartPart(**given.values),
)
_JSON_RPC = Record(
    {
        "method": Key(Str(empty=False), "The method that is called."),
        "params": Key(AnyJson(), "Parameters; those given must be there."),
    },
    lambda given: dict(given.values),
)


_SEGMENT: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")


def _when(given: ParsedMapping) -> When:
    named: dict[str, Any] = given.fields()
    sources = {key: _source(value) for key, value in given.values.items()}
    if "jsonSchema" in given:
        named["json_schema"], sources["jsonSchema"] = given.get("jsonSchema")
    if "ANY" in named.get("method", ()):
        named["method"] = None
    if "not" in named:
        named["not_"] = named.pop("not")
    for key in ("path", "url"):
        if _SEGMENT.search(written := str(given.get(key, ""))):
            template = f"pathTemplate: {quoted(written)}" if key == "path" else "`pathTemplate`"
            given.reading.warn(
                given.place(key), f"braces stand for themselves in `{key}`; {template} matches any value"
            )
    order = tuple(key for key in given.keys if key in given.values)
    return When(**named, given=order, source=sources)


def _source(value: Any) -> Any:
    """A read value as the plain data that was written."""
    if isinstance(value, When):
        return value.source
    if isinstance(value, PythonRegex):
        return {"regex": str(value), "syntax": "python"}
    if isinstance(value, Condition | MultipartPart):
        default = type(value)()
        fields = ((name, getattr(value, name)) for name in value.__slots__)
        given = {name: item for name, item in fields if item is not getattr(default, name)}
        return given | _source(given["regex"]) if isinstance(given.get("regex"), PythonRegex) else given
    if isinstance(value, tuple):
        items = [_source(item) for item in value]
        return items[0] if len(items) == 1 and isinstance(items[0], str) else items
    if isinstance(value, dict):
        return {name: _source(item) for name, item in value.items()}
    return value


WHEN: Final = Named("when", lambda: _WHEN)
_WHEN: Final[Record[When]] = Record(
    {
        "method": Key(OneOrMany(METHOD), "The method, a list of methods, or ANY."),
        "url": Key(URL, "`/path`, `http://host/path` or `host/path`; the query does not count."),
        "path": Key(PATH, "The exact path, without the query."),
        "pathTemplate": Key(PATH_TEMPLATE, "A path with named segments such as `/users/{id}`."),
        "pathRegex": Key(REGEX, "A regular expression that is found in the path."),
        "urlRegex": Key(REGEX, "A regular expression that is found in the URL without its query."),
        "host": Key(HOST, "The host, with its port unless that is the default."),
        "hostname": Key(HOSTNAME, "The host's name on any port; `*` stands for any text."),
        "port": Key(Int(1, 65535), "The port."),
        "protocol": Key(Enum(*URL_SCHEMES), "http, https, ws or wss."),
        "headers": Key(MapOf(TEXT, key=HEADER_NAME, fold_case=True), "Headers that must be there."),
        "query": Key(MapOf(TEXT), "Query parameters that must be there, decoded."),
        "cookies": Key(MapOf(TEXT), "Cookies that must be there."),
        "form": Key(MapOf(TEXT), "Fields of a URL-encoded form that must be there."),
        "exactQuery": Key(EXACT_QUERY, "The raw query with its `?`, or nothing."),
        "multipart": Key(List(_PART), "Parts of a multipart form; each must match one part."),
        "body": Key(Str(), "The whole body as text."),
        "bodyIncludes": Key(Str(), "Text that the body contains."),
        "bodyRegex": Key(REGEX, "A regular expression that is found in the body."),
        "json": Key(AnyJson(), "The whole body as JSON."),
        "jsonIncludes": Key(AnyJson(), "What the JSON body contains, at any depth of what is given."),
        "jsonPath": Key(MapOf(VALUE, key=JsonPath()), "JSONPath (RFC 9535) → value or condition."),
        "jsonSchema": Key(_JsonSchema(), "A JSON Schema that the body fits, inline or as a file."),
        "jsonRpc": Key(_JSON_RPC, "A JSON-RPC 2.0 call."),
        "websocket": Key(Bool(), "Only WebSocket upgrades."),
        "not": Key(WHEN, "Matchers that do not all match."),
        "anyOf": Key(List(WHEN, at_least=1), "Several sets of matchers, one of which matches."),
        "python": Key(Handler(), "handlers.py:name, called with the request, returns true or false."),
    },
    _when,
    may_be_nothing=True,
)
