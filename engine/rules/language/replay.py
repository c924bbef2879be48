"""The step `replay`, which answers from a recorded session."""

from __future__ import annotations

from typing import Any, Final

from mockrec.engine.rules.language.names import SelectorType
from mockrec.engine.rules.language.step_entries import StepWord
from mockrec.engine.rules.model import Replay, SourceLocation
from mockrec.engine.rules.yaml.containers import ByKind, OneOrMany
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.strings import File, FileName, Pattern
from mockrec.engine.rules.yaml.types import Age, Bool, Enum

_MATCHED_BY = Pattern(
    "method, url, path, query, body, json, host or headers:NAME",
    r"(?:method|url|path|query|body|json|host|headers:\S+)",
)


def _options(given: ParsedMapping) -> dict[str, Any]:
    name, node, where = given.values["session"], given.nodes["session"], f"{given.where}.session"
    context = given.context
    # Only a session that is recorded need not be there.
    records = given.values.get("onMiss") == "record"
    return {**given.values, "session": context.absolute(name) if records else context.existing(name, node, where)}


_REPLAY = ByKind(
    scalar=File(),
    mapping=Record(
        {
            "session": Key(FileName(), "The recorded session.", required=True),
            "match": Key(
                OneOrMany(_MATCHED_BY), "What a recorded request has to have in common ([method, url, body])."
            ),
            "ignore": Key(OneOrMany(SelectorType()), "Selectors of what does not count."),
            "strictMatch": Key(Bool(), "Whether what is volatile by nature counts, too (false)."),
            "latency": Key(
                Pattern("recorded, none or a factor such as 2x", r"recorded|none|[0-9]+(?:\.[0-9]+)?x"),
                "How long answers take (none).",
            ),
            "afterLast": Key(Enum("repeat", "fail"), "What follows the last recorded answer (repeat)."),
            "onMiss": Key(
                Enum("fail", "passthrough", "record"),
                "What a request without a recording gets: a 503, or the answer of its server, which `record` adds to"
                " the session (fail).",
            ),
            "maxAge": Key(Age(), "Older recordings are misses, by the time at which they were made (no limit)."),
        },
        _options,
    ),
)


def _replay(value: Any, place: SourceLocation) -> Replay:
    if isinstance(value, str):
        return Replay(place, session=value)
    others = ("afterLast", "strictMatch", "onMiss", "maxAge")
    named = {name: given for name, given in value.items() if name not in others}
    return Replay(
        place,
        **named,
        strict_match=bool(value.get("strictMatch")),
        repeat=value.get("afterLast") != "fail",
        on_miss=value.get("onMiss", "fail"),
        max_age=value.get("maxAge"),
    )


REPLAY_STEPS: Final[dict[str, StepWord]] = {
    "replay": StepWord("Answers from a recorded session.", _REPLAY, _replay),
}
