"""The words of the steps that pass requests on, speak WebSocket or replay: checked by this version, not run.

They are read like everything else, so that a file that is right stays right when they can be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mockrec.engine.rules.containers import ByKind, List, OneOrMany
from mockrec.engine.rules.model import Later
from mockrec.engine.rules.nodes import AnyNode, MapNode
from mockrec.engine.rules.reading import Reading, quoted
from mockrec.engine.rules.records import Given, Key, Record
from mockrec.engine.rules.reply_language import BODY_KEYS, REPLY_KEYS
from mockrec.engine.rules.shapes import (
    Bool,
    Duration,
    Enum,
    FirstOf,
    Free,
    Int,
    Null,
    Schema,
    Shape,
    Str,
)
from mockrec.engine.rules.step_parts import DELAY, NoOptions, StepWord
from mockrec.engine.rules.texts import (
    HEADER_NAME,
    HEADERS,
    HOST,
    METHOD,
    TARGET,
    Base64,
    File,
    Pattern,
    Regex,
    pair_of,
)
from mockrec.engine.rules.upstream_settings import upstream_keys


def _options(given: Given) -> Mapping[str, Any]:
    return dict(given.values)


# ── transforms ─────────────────────────────────────────────────────────────────────────────────────

_POINTER = Pattern("a JSON pointer such as /items/0", r"(?:/(?:[^~/]|~[01])*)*")
_PATCH_KEYS = {
    "op": Key(Enum("add", "remove", "replace", "move", "copy", "test"), "The operation.", required=True),
    "path": Key(_POINTER, "Where, as a JSON pointer.", required=True),
    "from": Key(_POINTER, "Where from, for move and copy."),
    "value": Key(Free(), "The value, for add, replace and test."),
}


def _operation(given: Given) -> Mapping[str, Any]:
    """One operation of RFC 6902 (section 4)."""
    operation = given.get("op")
    needed = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from"}.get(operation)
    if needed is not None and needed not in given:
        raise given.reject("op", f"{operation} needs the key {quoted(needed)}")
    return _options(given)


def _pattern_first(pair: tuple[str, str]) -> tuple[str, str]:
    Regex().parse(pair[0], False)
    return pair


_REPLACEMENTS = List(pair_of(Str(), "a pattern and its replacement", _pattern_first), at_least=1)
_BODY_CHANGES = {
    "body": Key(Str(), "Another body, as text."),
    "file": Key(File(), "Another body, from a file."),
    "json": Key(Free(), "Another body, as JSON."),
    "mergeJson": Key(Free(), "What is merged into the JSON body."),
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
            _options,
        ),
        "Changes of single headers.",
    ),
    "replaceHeaders": Key(HEADERS, "All headers, instead of the given ones."),
}
_REQUEST_CHANGES = Record(
    {
        "method": Key(METHOD, "Another method."),
        "host": Key(HOST, "Another host."),
        "protocol": Key(Enum("http", "https", "ws", "wss"), "Another protocol."),
        "updateHostHeader": Key(FirstOf(Bool(), HOST), "Whether Host follows, or what it becomes."),
        "matchReplaceHost": Key(_REPLACEMENTS, "Pairs of pattern and replacement for the host."),
        "matchReplacePath": Key(_REPLACEMENTS, "Pairs of pattern and replacement for the path."),
        "matchReplaceQuery": Key(_REPLACEMENTS, "Pairs of pattern and replacement for the query."),
        **_HEADER_CHANGES,
        **_BODY_CHANGES,
    },
    _options,
    one_of=[("host", "matchReplaceHost"), ("headers", "replaceHeaders"), tuple(_BODY_CHANGES)],
)
_RESPONSE_CHANGES = Record(
    {"status": Key(Int(200, 599), "Another status."), **_HEADER_CHANGES, **_BODY_CHANGES},
    _options,
    one_of=[("headers", "replaceHeaders"), tuple(_BODY_CHANGES)],
)
_PASSTHROUGH_KEYS = {
    **upstream_keys(later=False),
    "request": Key(_REQUEST_CHANGES, "Changes of the request on its way to the server."),
    "response": Key(_RESPONSE_CHANGES, "Changes of the response on its way to the client."),
    "delay": Key(DELAY, "A pause before the response."),
}

# ── WebSocket scripts ──────────────────────────────────────────────────────────────────────────────

_SENT = ByKind(
    scalar=Str(),
    mapping=Record(
        {"json": Key(Free(), "JSON text."), "base64": Key(Base64(), "A binary message.")},
        _options,
        one_of=[("json", "base64")],
        some_of=[("json", "base64")],
    ),
)
_EXPECTED_KEYS = {
    "equals": Key(Str(), "The whole message."),
    "regex": Key(Regex(), "A regular expression that is found in it."),
    "includes": Key(Str(), "Text that it contains."),
    "json": Key(Free(), "The whole message as JSON."),
    "jsonIncludes": Key(Free(), "What the JSON message contains."),
}
_CLOSE_CODE = Int(1000, 4999)
_CLOSE = ByKind(
    scalar=FirstOf(Null(), _CLOSE_CODE),
    mapping=Record({"code": Key(_CLOSE_CODE, "The code (1000)."), "reason": Key(Str(), "The reason.")}, _options),
)
_SCRIPT: dict[str, Key] = {
    "send": Key(_SENT, "Sends a message."),
    "expect": Key(
        ByKind(scalar=Str(), mapping=Record(_EXPECTED_KEYS, _options, some_of=[tuple(_EXPECTED_KEYS)])),
        "Waits for a message.",
    ),
    "wait": Key(Duration(), "Waits."),
    "ping": Key(Str(), "Sends a ping."),
    "close": Key(_CLOSE, "Closes, with a code and a reason if given."),
}


class _ScriptLine(Shape[Any]):
    """One line of a script: a mapping with exactly one of its words."""

    expects = "a mapping with one of send, expect, wait, ping, close"

    def read(self, node: AnyNode, where: str, reading: Reading) -> Any:
        if not isinstance(node, MapNode) or len(node.pairs) != 1:
            raise self.unexpected(node, where, reading)
        return _LINE.read(node, where, reading)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {**_LINE.schema(defs), "minProperties": 1, "maxProperties": 1}


_LINE = Record(_SCRIPT, _options)

# ── replay ─────────────────────────────────────────────────────────────────────────────────────────

_MATCHED_BY = Pattern(
    "method, url, query, body, json, host or headers:NAME", r"(?:method|url|query|body|json|host|headers:\S+)"
)
_REPLAY = ByKind(
    scalar=File(),
    mapping=Record(
        {
            "session": Key(File(), "The recorded session.", required=True),
            "match": Key(
                OneOrMany(_MATCHED_BY), "What a recorded request has to have in common ([method, url, body])."
            ),
            "ignore": Key(OneOrMany(Str(empty=False)), "Selectors of what does not count."),
            "latency": Key(
                Pattern("recorded, none or a factor such as 2x", r"recorded|none|[0-9]+(?:\.[0-9]+)?x"),
                "How long answers take (none).",
            ),
            "afterLast": Key(Enum("repeat", "fail"), "What follows the last recorded answer (repeat)."),
        },
        _options,
    ),
)

# ── the table ──────────────────────────────────────────────────────────────────────────────────────


def _later(name: str, about: str, shape: Shape[Any], *, bare: bool = False) -> StepWord:
    return StepWord(about, shape, lambda value, place: Later(place, kind=name), bare=bare, later=True)


LATER_STEPS: Final[dict[str, StepWord]] = {
    "passthrough": _later(
        "passthrough",
        "Passes the request on to the server it is meant for.",
        Record(_PASSTHROUGH_KEYS, _options, may_be_nothing=True),
        bare=True,
    ),
    "forward": _later(
        "forward",
        "Passes the request on to another server.",
        Record({"to": Key(TARGET, "The server.", required=True), **_PASSTHROUGH_KEYS}, _options),
    ),
    "echo": _later("echo", "WebSocket: accepts, and sends every message back.", NoOptions(), bare=True),
    "listen": _later("listen", "WebSocket: accepts, and discards every message.", NoOptions(), bare=True),
    "reject": _later("reject", "WebSocket: refuses with a reply.", Record(REPLY_KEYS, _options, one_of=[BODY_KEYS])),
    "script": _later("script", "WebSocket: a conversation, line by line.", List(_ScriptLine(), at_least=1)),
    "replay": _later("replay", "Answers from a recorded session.", _REPLAY),
}
