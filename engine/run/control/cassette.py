"""The recordings of one scope. What happens on a miss is decided here, and nowhere else in the control API."""

from __future__ import annotations

import os
from typing import Final

from mockrec.engine.errors import ConfigError
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.replay.serve.cassettes import Replays
from mockrec.engine.rules.matching.select import SPAN, CompiledRule
from mockrec.engine.rules.model import Replay, Rule, SourceLocation, When
from mockrec.engine.run.responder import Responder

RULE_ID: Final = "cassette"
ON_MISS: Final = ("fail",)
"""What may happen to a request without a recording: it gets a 503 that names the nearest one."""
_LAST: Final = SPAN
"""The position of its rule: after all others of the scope."""


class ScopeCassette:
    """A recorded session that answers what no rule of the scope answers."""

    def __init__(self, path: str, on_miss: str, responder: Responder, limits: SocketSettings) -> None:
        """`path` is absolute. Raises ConfigError for a session that cannot be used."""
        self.path = path
        self.on_miss = on_miss
        self.replays = Replays(limits)
        step = Replay(SourceLocation("", 0, 0, ""), session=path)
        rule = Rule(RULE_ID, When(), (step,), "always", -1.0, SourceLocation("", 0, 0, ""), _LAST)
        try:
            self.rule: CompiledRule = responder.recompile(rule, self.replays)
        except BaseException:
            self.replays.close()
            raise

    @property
    def unused(self) -> int:
        """Recordings that were not served since the last reset."""
        return sum(cassette.unused_since_reset for cassette in self.replays.cassettes)

    def reset(self) -> None:
        """Begin again: the first recording of each request is served next."""
        self.replays.reset()


def path_below(folder: str | None, name: str) -> str:
    """Return the absolute path of a cassette below `folder`. Raises ConfigError if it would lead elsewhere."""
    if folder is None:
        raise ConfigError("scopes have no cassettes here: say with --cassettes DIR below which folder they lie")
    base = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(base, name))
    if os.path.commonpath([base, path]) != base or path == base:
        raise ConfigError(f"the cassette {name!r} does not lie below the folder of --cassettes, {folder}")
    return path
