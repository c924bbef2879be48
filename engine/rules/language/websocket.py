"""The steps for WebSocket connections: `echo`, `listen`, `reject`, `script`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from mockrec.engine.rules.language.reply import ANSWER_KEYS, BODY_KEYS, build_reply
from mockrec.engine.rules.language.step_entries import StepWord, bare_step, record_step
from mockrec.engine.rules.model import Echo, Reject, Script, ScriptLine, SourceLocation, WebSocketListen
from mockrec.engine.rules.yaml.containers import ByKind, List
from mockrec.engine.rules.yaml.context import LoadContext
from mockrec.engine.rules.yaml.nodes import AnyNode, MapNode
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.regex import REGEX_KEYS, regex_values
from mockrec.engine.rules.yaml.strings import Base64
from mockrec.engine.rules.yaml.types import AnyJson, Duration, FirstOf, Int, Null, Schema, Str, ValueType

_FORBIDDEN = 403
"""The default status of a rejection."""


def _options(given: ParsedMapping) -> Mapping[str, Any]:
    return dict(given.values)


_SENT = ByKind(
    scalar=Str(),
    mapping=Record(
        {"json": Key(AnyJson(), "JSON text."), "base64": Key(Base64(), "A binary message.")},
        _options,
        one_of=[("json", "base64")],
        some_of=[("json", "base64")],
    ),
)
_EXPECTED_KEYS = {
    "equals": Key(Str(), "The whole message."),
    **REGEX_KEYS,
    "includes": Key(Str(), "Text that it contains."),
    "json": Key(AnyJson(), "The whole message as JSON."),
    "jsonIncludes": Key(AnyJson(), "What the JSON message contains."),
}
_CLOSE_CODE = Int(1000, 4999)
_CLOSE = ByKind(
    scalar=FirstOf(Null(), _CLOSE_CODE),
    mapping=Record({"code": Key(_CLOSE_CODE, "The code (1000)."), "reason": Key(Str(), "The reason.")}, _options),
)
_SCRIPT: dict[str, Key] = {
    "send": Key(_SENT, "Sends a message."),
    "expect": Key(
        ByKind(
            scalar=Str(),
            mapping=Record(
                _EXPECTED_KEYS, regex_values, some_of=[tuple(key for key in _EXPECTED_KEYS if key != "syntax")]
            ),
        ),
        "Waits for a message.",
    ),
    "wait": Key(Duration(), "Waits."),
    "ping": Key(Str(), "Sends a ping."),
    "close": Key(_CLOSE, "Closes, with a code and a reason if given."),
}


def _line(given: ParsedMapping) -> ScriptLine:
    ((kind, value),) = given.values.items()
    return ScriptLine(kind, value, given.place(kind))


class _ScriptLine(ValueType[ScriptLine]):
    """One line of a script: a mapping with exactly one key."""

    expects = "a mapping with one of send, expect, wait, ping, close"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> ScriptLine:
        if not isinstance(node, MapNode) or len(node.pairs) != 1:
            raise self.unexpected(node, where, context)
        return _LINE.read(node, where, context)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {**_LINE.schema(defs), "minProperties": 1, "maxProperties": 1}


_LINE = Record(_SCRIPT, _line)


def _reject(given: ParsedMapping, place: SourceLocation) -> Reject:
    reply = build_reply(given, place)
    return Reject(place, reply=reply if "status" in given else replace(reply, status=_FORBIDDEN))


WEBSOCKET_STEPS: Final[dict[str, StepWord]] = {
    "echo": bare_step("WebSocket: accepts, and sends every message back.", Echo),
    "listen": bare_step("WebSocket: accepts, and discards every message.", WebSocketListen),
    "reject": record_step("WebSocket: refuses with a reply.", ANSWER_KEYS, _reject, one_of=[BODY_KEYS]),
    "script": StepWord(
        "WebSocket: a conversation, line by line.",
        List(_ScriptLine(), at_least=1),
        lambda value, place: Script(place, lines=tuple(value)),
    ),
}
