"""The recordings of one scope. What happens on a miss is decided here, and nowhere else in the control API."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mockrec.engine.errors import ConfigError
from mockrec.engine.replay.serve.cassettes import Replays
from mockrec.engine.rules.matching.select import SPAN, CompiledRule
from mockrec.engine.rules.model import Replay, Rule, SourceLocation, When
from mockrec.engine.run.responder import Responder
from mockrec.formats.files.scope_names import PLACEHOLDER, scope_file
from mockrec.formats.text.quantities import age_of

RULE_ID: Final = "cassette"
ON_MISS: Final = ("fail", "passthrough", "record")
"""What may happen to a request without a recording: it gets a 503 that names the nearest one, or the response of the
server that is meant, which `record` adds to the cassette when the scope is closed as passed."""
_KEYS: Final = ("cassette", "onMiss", "maxAge")
_LAST: Final = SPAN
"""The position of its rule: after all others of the scope."""


@dataclass(frozen=True, slots=True)
class CassetteOptions:
    """What a PUT says about recordings."""

    path: str
    """Absolute."""
    on_miss: str
    max_age: float | None
    """Seconds."""
    is_own: bool
    """Whether the scope's name is in that of the file, so that the file need not be there."""


class ScopeCassette:
    """A recorded session that answers what no rule of the scope answers."""

    def __init__(self, options: CassetteOptions, responder: Responder) -> None:
        """Raises ConfigError for a session that cannot be used."""
        self.path = options.path
        self.records = options.on_miss == "record"
        """Whether the session may be written."""
        self.replays = Replays(responder.websocket, is_local=responder.endpoints.is_local, may_be_new=options.is_own)
        place = SourceLocation("", 0, 0, "")
        step = Replay(place, session=options.path, on_miss=options.on_miss, max_age=options.max_age)
        rule = Rule(RULE_ID, When(), (step,), "always", -1.0, place, _LAST)
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


def options_of(given: Mapping[str, Any], scope: str, folder: str | None) -> CassetteOptions | None:
    """Return what the body of a PUT says; None if it names no cassette. `folder`: of cassettes. Raises ConfigError."""
    unknown = [key for key in given if key not in _KEYS]
    if unknown:
        raise ConfigError(f"unknown key {unknown[0]!r}; expected {', '.join(_KEYS)}")
    path, on_miss, max_age = given.get("cassette"), given.get("onMiss", "fail"), given.get("maxAge")
    if on_miss not in ON_MISS:
        raise ConfigError(f"onMiss: expected {' or '.join(ON_MISS)}, got {on_miss!r}")
    if path is None:
        for key in ("onMiss", "maxAge"):
            if key in given:
                raise ConfigError(f"{key} is of a cassette, and none is given")
        return None
    if not isinstance(path, str) or not path or "\x00" in path:
        raise ConfigError(f"cassette: expected the name of a file, got {path!r}")
    seconds = None
    if max_age is not None:
        try:
            seconds = age_of(max_age if isinstance(max_age, str) else "")
        except ValueError:
            raise ConfigError(f"maxAge: expected an age such as 12h, 30d or 2w, got {max_age!r}") from None
    return CassetteOptions(path_below(folder, scope_file(path, scope)), on_miss, seconds, PLACEHOLDER in path)


def path_below(folder: str | None, name: str) -> str:
    """Return the absolute path of a cassette below `folder`. Raises ConfigError if it would lead elsewhere."""
    if folder is None:
        raise ConfigError("scopes have no cassettes here: say with --cassettes DIR below which folder they lie")
    base = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(base, name))
    if os.path.commonpath([base, path]) != base or path == base:
        raise ConfigError(f"the cassette {name!r} does not lie below the folder of --cassettes, {folder}")
    return path
