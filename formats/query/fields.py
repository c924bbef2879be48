"""The names of the language, and the values of a record that each of them means.

A field has sources: a path of JSON keys in the record, the record types in which that path means this field, and
for some sources a function that makes values of the recorded value. A field may have several values in a record
(repeated headers, tags); a test holds if it holds for any of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mockrec.formats.query import extract
from mockrec.formats.query.errors import FilterError, nearest
from mockrec.formats.query.extract import Extract
from mockrec.formats.query.field import Field, FieldPath
from mockrec.formats.query.operation_fields import OPERATION_FIELDS
from mockrec.formats.query.own_names import own_field, own_names
from mockrec.formats.query.tokens import Name
from mockrec.formats.query.values import FieldType, Folding

REQUESTS = frozenset({"request-initiated", "request", "websocket-request", "abort"})
"""Types of records that are the head of a request."""
RESPONSES = frozenset({"response-initiated", "response", "websocket-accepted"})
"""Types of records that are the head of the final response."""


_UPPER = Folding(case="upper")
_LOWER = Folding(case="lower")
_ID = Folding(case="lower", prefix_of=36)
_ADDRESSES = (("url",), ("request", "url"))


def _plain(name: str, kind: FieldType, *paths: tuple[str, ...], **more: Any) -> Field:
    return Field(name, kind, tuple(FieldPath(path) for path in paths), **more)


def _address(name: str, kind: FieldType, of_url: Extract, of_destination: Extract | None = None, **more: Any) -> Field:
    sources = [FieldPath(path, None, of_url) for path in _ADDRESSES]
    if of_destination is not None:
        sources.append(FieldPath(("destination",), None, of_destination))
    return Field(name, kind, tuple(sources), first=True, **more)


def _tls(name: str, key: str) -> Field:
    return _plain(name, FieldType.TEXT, ("tlsMetadata", key), ("request", "tlsMetadata", key), folding=_LOWER)


_PLAIN = {
    field.name: field
    for field in (
        _plain("type", FieldType.TEXT, ("type",), folding=_LOWER),
        _plain("method", FieldType.TEXT, ("method",), ("request", "method"), folding=_UPPER),
        _plain("url", FieldType.TEXT, *_ADDRESSES),
        _address("host", FieldType.TEXT, extract.host, extract.destination, folding=_LOWER),
        _address("hostname", FieldType.TEXT, extract.hostname, extract.destination_hostname, folding=_LOWER),
        _address("port", FieldType.NUMBER, extract.port, extract.destination_port),
        _address("path", FieldType.TEXT, extract.path),
        _address("query", FieldType.TEXT, extract.query),
        Field(
            "status",
            FieldType.STATUS,
            (
                FieldPath(("statusCode",), RESPONSES),
                FieldPath(("response", "statusCode"), frozenset({"abort", "client-error"})),
            ),
        ),
        _plain("duration", FieldType.DURATION, ("duration",)),
        _plain("protocol", FieldType.TEXT, ("protocol",), ("request", "protocol"), folding=_LOWER),
        _plain("version", FieldType.TEXT, ("httpVersion",), ("request", "httpVersion"), folding=Folding(version=True)),
        _plain("id", FieldType.TEXT, ("id",), folding=_ID),
        _plain("connection", FieldType.TEXT, ("connectionId",), folding=_ID),
        _plain("scope", FieldType.TEXT, ("scope",)),
        _plain("rule", FieldType.TEXT, ("matchedRuleId",), ("ruleId",)),
        _plain("continued_rule", FieldType.TEXT, ("continuedRuleIds",)),
        _plain("tag", FieldType.TEXT, ("tags",), ("request", "tags")),
        _plain("ip", FieldType.TEXT, ("remoteIpAddress",), ("request", "remoteIpAddress"), folding=_LOWER),
        _tls("sni", "sniHostname"),
        _tls("ja3", "ja3Fingerprint"),
        _tls("ja4", "ja4Fingerprint"),
        _plain(
            "error",
            FieldType.TEXT,
            *(("error", key) for key in ("code", "name", "message")),
            ("errorCode",),
            ("errorMessage",),
            ("failureCause",),
        ),
        _plain("time", FieldType.TIME, ("timestamp",)),
        _plain("close_code", FieldType.NUMBER, ("closeCode",)),
        Field(
            "ws.count",
            FieldType.NUMBER,
            (),
            counted=frozenset({"websocket-message-received", "websocket-message-sent"}),
        ),
    )
} | OPERATION_FIELDS
ALIASES = {
    "dur": "duration",
    "tags": "tag",
    "size": "response.size",
    "body": "response.body",
    "json": "response.json",
    "response.status": "status",
    **{f"request.{name}": name for name in ("method", "url", "host", "path", "query", "version")},
}
WITH_ARGUMENT = {
    "header": "user-agent",
    "request.header": "accept",
    "response.header": "content-type",
    "query": "page",
    "cookie": "session",
    "json": "$.user.id",
    "request.json": "$.user.id",
    "response.json": "$.user.id",
}
"""Names with brackets, each with an example of an argument."""
_ALL = "`mockrec filter --help` lists all"
_BODY_FIELDS = ("request.body", "response.body", "request.size", "response.size", "body", "size")
_REQUEST_BODIES: tuple[FieldPath, ...] = (
    FieldPath(("body",), frozenset({"request", "websocket-request"})),
    FieldPath(("requestBody",), frozenset({"abort"})),
    FieldPath(("request", "body"), frozenset({"client-error"})),
)
_RESPONSE_BODIES: tuple[FieldPath, ...] = (
    FieldPath(("body",), frozenset({"response", "websocket-accepted"})),
    FieldPath(("response", "body"), frozenset({"abort", "client-error"})),
)
_OWN_BODIES = tuple(FieldPath(path) for path in (("body",), ("content",), ("requestBody",), ("response", "body")))
"""With `--records`, `body` is any body of the record."""


def names(*, records: bool = False) -> list[str]:
    """All names without brackets, for messages and shell completion."""
    known = {*_PLAIN, *ALIASES, *_BODY_FIELDS, *own_names()}
    return sorted(known - ({"ws.count"} if records else set()))


def resolve(expression: str, name: Name, *, records: bool) -> Field:
    """The field of a name in an expression. Raises `FilterError` with the most similar name."""
    text = name.text
    if name.argument is not None:
        if text not in WITH_ARGUMENT:
            known = nearest(text, WITH_ARGUMENT)
            message = f"{text!r} takes no brackets; those that do: {', '.join(WITH_ARGUMENT)}{known}"
            raise FilterError(expression, name.position, message)
        if not name.argument:
            place = name.argument_position
            raise FilterError(expression, place, f"expected a name, as in {text}[{WITH_ARGUMENT[text]}]")
        return _with_argument(expression, name, records=records)
    if text in _PLAIN:
        field = _PLAIN[text]
        if field.counted and records:
            raise FilterError(expression, name.position, f"{text} is of exchanges, it cannot be used with --records")
        return field
    if text in _BODY_FIELDS:
        return _body_field(text, records=records)
    if text in ALIASES and text not in WITH_ARGUMENT:
        return replace(_PLAIN[ALIASES[text]], name=text)
    if text in WITH_ARGUMENT:
        message = f"expected brackets after {text}, as in {text}[{WITH_ARGUMENT[text]}]"
        raise FilterError(expression, name.position + len(text), message)
    own = own_field(text)
    if own is None:
        known = nearest(text, [*names(records=records), *WITH_ARGUMENT])
        raise FilterError(expression, name.position, f"expected a field, found {text!r}{known}; {_ALL}")
    return own


def with_query(field: Field) -> Field:
    """The field for a comparison with a value that contains `?` or `&`: for `path`, path and query together count, too,
    because a record's own `path` has the query."""
    if field.name not in ("path", "request.path"):
        return field
    return replace(field, sources=tuple(replace(one, extract=extract.path_or_target) for one in field.sources))


def other_side(field: Field) -> Field:
    """For `body` and `json[…]`, which mean the response, the same field of the request; other fields unchanged."""
    name = field.name
    if name != "body" and not name.startswith("json["):
        return field
    sources = tuple(replace(one, extract=field.sources[0].extract) for one in _REQUEST_BODIES)
    return replace(field, name=f"request.{name}", sources=sources)


def _with_argument(expression: str, name: Name, *, records: bool) -> Field:
    text, argument = name.text, name.argument or ""
    shown = f"{text}[{argument}]"
    if text.endswith("json"):
        try:
            value = extract.json_value(argument)
        except ValueError as error:
            raise FilterError(expression, name.argument_position, f"no JSON path: {error}") from None
        return Field(shown, FieldType.ANY, _bodies(text.removesuffix("json"), value, records=records))
    if text == "query":
        return _address(shown, FieldType.TEXT, extract.query_value(argument))
    if text == "cookie":
        return Field(
            shown,
            FieldType.TEXT,
            (
                FieldPath(("headers", "cookie"), None, extract.cookie(argument)),
                FieldPath(("headers", "set-cookie"), None, extract.set_cookie(argument)),
                FieldPath(("request", "headers", "cookie"), None, extract.cookie(argument)),
                FieldPath(("response", "headers", "set-cookie"), None, extract.set_cookie(argument)),
            ),
        )
    key = argument.lower()
    of_request: tuple[FieldPath, ...] = (FieldPath(("headers", key), REQUESTS), FieldPath(("request", "headers", key)))
    heads = RESPONSES | {"response-information"}
    of_response: tuple[FieldPath, ...] = (FieldPath(("headers", key), heads), FieldPath(("response", "headers", key)))
    of_any = (FieldPath(("headers", key)), of_request[1], of_response[1])
    sources = {"request.header": of_request, "response.header": of_response}.get(text, of_any)
    return Field(shown, FieldType.TEXT, sources)


def _body_field(text: str, *, records: bool) -> Field:
    side, _, what = text.rpartition(".")
    side = f"{side}." if side else ""
    if what == "size":
        sources = tuple(
            FieldPath((*source.path, "size"), source.types) for source in _bodies(side, None, records=records)
        )
        return Field(text, FieldType.SIZE, sources)
    return Field(text, FieldType.TEXT, _bodies(side, extract.body_text, records=records))


def _bodies(side: str, made: Extract | None, *, records: bool) -> tuple[FieldPath, ...]:
    own = _OWN_BODIES if records else _RESPONSE_BODIES
    sources = {"request.": _REQUEST_BODIES, "response.": _RESPONSE_BODIES}.get(side, own)
    return tuple(replace(source, extract=made) for source in sources)
