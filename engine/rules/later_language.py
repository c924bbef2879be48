"""The words of the step that replays: checked by this version, not run.

They are read like everything else, so that a file that is right stays right when it can be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mockrec.engine.rules.containers import ByKind, OneOrMany
from mockrec.engine.rules.model import Later
from mockrec.engine.rules.records import Given, Key, Record
from mockrec.engine.rules.shapes import Enum, Shape, Str
from mockrec.engine.rules.step_parts import StepWord
from mockrec.engine.rules.texts import File, Pattern


def _options(given: Given) -> Mapping[str, Any]:
    return dict(given.values)


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
    "replay": _later("replay", "Answers from a recorded session.", _REPLAY),
}
