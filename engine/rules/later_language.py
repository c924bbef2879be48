"""The words of the steps that speak WebSocket or replay: checked by this version, not run.

They are read like everything else, so that a file that is right stays right when they can be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mockrec.engine.rules.containers import ByKind, List, OneOrMany
from mockrec.engine.rules.model import Later
from mockrec.engine.rules.nodes import AnyNode, MapNode
from mockrec.engine.rules.reading import Reading
from mockrec.engine.rules.records import Given, Key, Record
from mockrec.engine.rules.reply_language import BODY_KEYS, REPLY_KEYS
from mockrec.engine.rules.shapes import Duration, Enum, FirstOf, Free, Int, Null, Schema, Shape, Str
from mockrec.engine.rules.step_parts import NoOptions, StepWord
from mockrec.engine.rules.texts import Base64, File, Pattern, Regex


def _options(given: Given) -> Mapping[str, Any]:
    return dict(given.values)


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
    "echo": _later("echo", "WebSocket: accepts, and sends every message back.", NoOptions(), bare=True),
    "listen": _later("listen", "WebSocket: accepts, and discards every message.", NoOptions(), bare=True),
    "reject": _later("reject", "WebSocket: refuses with a reply.", Record(REPLY_KEYS, _options, one_of=[BODY_KEYS])),
    "script": _later("script", "WebSocket: a conversation, line by line.", List(_ScriptLine(), at_least=1)),
    "replay": _later("replay", "Answers from a recorded session.", _REPLAY),
}
