"""The steps that pass requests on, `passthrough` and `forward`, and the changes of messages, also of `change`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from mockrec.engine.rules.language.step_entries import DELAY, StepWord, delay_step
from mockrec.engine.rules.language.upstream import upstream_fields, upstream_keys
from mockrec.engine.rules.model import (
    BodyChange,
    Change,
    Forward,
    HeaderChanges,
    Passthrough,
    RequestChanges,
    ResponseChanges,
    SourceLocation,
)
from mockrec.engine.rules.patterns import replacer
from mockrec.engine.rules.yaml.containers import List, OneOrMany
from mockrec.engine.rules.yaml.context import LoadContext, Rejected, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, ListNode, ScalarNode
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.regex import REGEX
from mockrec.engine.rules.yaml.strings import HEADER_NAME, HEADERS, HOST, METHOD, TARGET, File, Handler, Pattern
from mockrec.engine.rules.yaml.types import AnyJson, Bool, Enum, FirstOf, Int, Schema, Str, ValueType
from mockrec.engine.wire.urls import split_host
from mockrec.formats.text.regex import RegexError

_PROTOCOLS: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

# ── parts of changes ───────────────────────────────────────────────────────────────────────────────

_POINTER = Pattern("a JSON pointer such as /items/0", r"(?:/(?:[^~/]|~[01])*)*")
_PATCH_KEYS = {
    "op": Key(Enum("add", "remove", "replace", "move", "copy", "test"), "The operation.", required=True),
    "path": Key(_POINTER, "Where, as a JSON pointer.", required=True),
    "from": Key(_POINTER, "Where from, for move and copy."),
    "value": Key(AnyJson(), "The value, for add, replace and test."),
}


def _operation(given: ParsedMapping) -> Mapping[str, Any]:
    """One operation of RFC 6902 (section 4)."""
    operation = given.get("op")
    needed = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from"}.get(operation)
    if needed is not None and needed not in given:
        raise given.reject("op", f"{operation} needs the key {quoted(needed)}")
    return dict(given.values)


class _Replacement(ValueType[tuple[str, str]]):
    r"""`[pattern, replacement]`; the replacement may refer to groups as `\1` or `\g<name>`."""

    expects = "a pattern and its replacement"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> tuple[str, str]:
        if not isinstance(node, ListNode):
            raise self.unexpected(node, where, context)
        if len(node.items) != 2:
            raise context.reject(node, where, f"expected {self.expects}, got a list of {len(node.items)}")
        first, second = node.items
        try:
            pattern = REGEX.read(first, f"{where}[0]", context)
        except Rejected:
            _TEXT.read(second, f"{where}[1]", context)
            raise
        replacement = _TEXT.read(second, f"{where}[1]", context)
        try:
            replacer(pattern, replacement)
        except RegexError as error:
            # The error may quote the text, and a variable's value may be a secret.
            hidden = isinstance(second, ScalarNode) and "${" in second.text
            why = "" if hidden else f": {error}"
            raise context.reject(second, f"{where}[1]", f"not a replacement for this pattern{why}") from None
        return pattern, replacement

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": "array", "prefixItems": [REGEX.schema(defs), _TEXT.schema(defs)], "minItems": 2, "maxItems": 2}


_TEXT = Str()
_REPLACEMENTS = List(_Replacement(), at_least=1)

# ── bodies and headers ─────────────────────────────────────────────────────────────────────────────

_BODY_CHANGES = {
    "body": Key(Str(), "Another body, as text."),
    "file": Key(File(), "Another body, from a file."),
    "json": Key(AnyJson(), "Another body, as JSON."),
    "mergeJson": Key(AnyJson(), "What is merged into the JSON body."),
    "patchJson": Key(List(Record(_PATCH_KEYS, _operation)), "A patch of the JSON body (RFC 6902)."),
    "matchReplaceBody": Key(_REPLACEMENTS, "Pairs of pattern and replacement for the body."),
}
_HEADER_CHANGES = {
    "headers": Key(
        Record(
            {
                "set": Key(HEADERS, "Headers that replace those of the same name."),
                "add": Key(HEADERS, "Headers that are added."),
                "remove": Key(OneOrMany(HEADER_NAME), "Names of headers that are removed."),
            },
            lambda given: HeaderChanges(**given.fields()),
        ),
        "Changes of single headers.",
    ),
    "replaceHeaders": Key(HEADERS, "All headers, instead of the given ones."),
}


def _body(given: ParsedMapping) -> BodyChange | None:
    """The change of the body; the record accepts at most one."""
    key = next((key for key in _BODY_CHANGES if key in given), None)
    if key is None:
        return None
    value = given.get(key)
    match key:
        case "body":
            return BodyChange(data=value.encode())
        case "file":
            return BodyChange(file=value)
        case "json":
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            return BodyChange(data=text.encode("utf-8", "surrogatepass"), is_json=True)
        case "mergeJson":
            return BodyChange(merge_json=value, has_merge=True)
        case "patchJson":
            return BodyChange(patch_json=value)
        case _:
            return BodyChange(match_replace=value)


def _headers(given: ParsedMapping) -> HeaderChanges:
    if "replaceHeaders" in given:
        return HeaderChanges(replace=given.get("replaceHeaders"))
    changes: HeaderChanges = given.get("headers", HeaderChanges())
    return changes


# ── requests and responses ─────────────────────────────────────────────────────────────────────────


def _request(given: ParsedMapping) -> RequestChanges:
    named = given.fields(
        *(
            "method",
            "host",
            "protocol",
            "updateHostHeader",
            "matchReplaceHost",
            "matchReplacePath",
            "matchReplaceQuery",
        ),
        "python",
    )
    if "protocol" in named:
        named["protocol"] = _PROTOCOLS[named["protocol"]]
    return RequestChanges(**named, headers=_headers(given), body=_body(given))


def _response(given: ParsedMapping) -> ResponseChanges:
    return ResponseChanges(given.get("status"), _headers(given), _body(given), given.get("python"))


_REQUEST_CHANGES = Record(
    {
        "method": Key(METHOD, "Another method."),
        "host": Key(HOST, "Another host."),
        "protocol": Key(Enum(*_PROTOCOLS), "Another protocol."),
        "updateHostHeader": Key(FirstOf(Bool(), HOST), "Whether Host follows, or what it becomes."),
        "matchReplaceHost": Key(_REPLACEMENTS, "Pairs of pattern and replacement for the host."),
        "matchReplacePath": Key(_REPLACEMENTS, "Pairs of pattern and replacement for the path."),
        "matchReplaceQuery": Key(_REPLACEMENTS, "Pairs of pattern and replacement for the query."),
        **_HEADER_CHANGES,
        **_BODY_CHANGES,
        "python": Key(Handler(), "A function of yours that changes the request, or answers it."),
    },
    _request,
    one_of=[("host", "matchReplaceHost"), ("headers", "replaceHeaders"), tuple(_BODY_CHANGES)],
)
_RESPONSE_CHANGES = Record(
    {
        "status": Key(Int(200, 599), "Another status."),
        **_HEADER_CHANGES,
        **_BODY_CHANGES,
        "python": Key(Handler(), "A function of yours that changes the response."),
    },
    _response,
    one_of=[("headers", "replaceHeaders"), tuple(_BODY_CHANGES)],
)

# ── the steps ──────────────────────────────────────────────────────────────────────────────────────

_PASSTHROUGH_KEYS = {
    **upstream_keys(),
    "request": Key(_REQUEST_CHANGES, "Changes of the request on its way to the server."),
    "response": Key(_RESPONSE_CHANGES, "Changes of the response on its way to the client."),
    "delay": Key(DELAY, "A pause before the response."),
}


def _fields(given: ParsedMapping) -> dict[str, Any]:
    """The fields that both steps have."""
    named = {"upstream": upstream_fields(given), **given.fields("request", "response")}
    if "delay" in given:
        named["delay"] = delay_step(given.get("delay"), given.place("delay"))
    return named


def _passthrough(given: ParsedMapping | None, place: SourceLocation) -> Passthrough:
    """`given` is None for the step without options."""
    return Passthrough(place) if given is None else Passthrough(place, **_fields(given))


def _forward(given: ParsedMapping, place: SourceLocation) -> Forward:
    scheme, found, rest = given.get("to").partition("://")
    host, port = split_host((rest if found else scheme).rstrip("/"))
    protocol = _PROTOCOLS[scheme.lower()] if found else None
    return Forward(place, **_fields(given), to_protocol=protocol, to_host=host, to_port=port)


def _change(given: ParsedMapping, place: SourceLocation) -> Change:
    return Change(place, **given.fields("request", "response"))


PASSTHROUGH_STEPS: Final[dict[str, StepWord]] = {
    "passthrough": StepWord(
        "Passes the request on to the server it is meant for.",
        Record(_PASSTHROUGH_KEYS, lambda given: given, may_be_nothing=True),
        _passthrough,
        bare=True,
    ),
    "forward": StepWord(
        "Passes the request on to another server.",
        Record({"to": Key(TARGET, "The server.", required=True), **_PASSTHROUGH_KEYS}, lambda given: given),
        _forward,
    ),
    "change": StepWord(
        "Changes the request for later rules, and the answer that one of them gives; for rules with `continue: true`.",
        Record(
            {
                "request": Key(_REQUEST_CHANGES, "Changes of the request, before later rules are evaluated."),
                "response": Key(_RESPONSE_CHANGES, "Changes of the answer, whatever rule gives it."),
            },
            lambda given: given,
            some_of=[("request", "response")],
        ),
        _change,
        final=False,
    ),
}
