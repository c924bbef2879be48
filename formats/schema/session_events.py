"""The event classes of the recording itself: its first and last record, and what went wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mockrec.formats.schema.base import Event
from mockrec.formats.schema.codec import LogObject
from mockrec.formats.schema.objects import ErrorInfo

__all__ = [
    "CallbackError",
    "Gap",
    "RulesReloaded",
    "SessionEnded",
    "SessionStarted",
    "UnknownEvent",
]


@dataclass(kw_only=True)
class Listen(LogObject):
    """An address the recorder listens on."""

    url: str
    """As clients may call it."""
    host: str
    """The address."""
    port: int
    """The port."""


@dataclass(kw_only=True)
class RuleInfo(LogObject):
    """A rule of the run."""

    id: str
    """Its `id`, or `rule-N` by position."""
    line: int | None = None
    """In the rule file, counted from 1."""
    explanation: str | None = None
    """The rule as a sentence."""


@dataclass(kw_only=True)
class RuleUse(LogObject):
    """How often a rule was used."""

    id: str
    """As in `session-started`."""
    used: int
    """How often it was chosen."""
    pending: bool
    """It was used less often than it says."""


@dataclass(kw_only=True)
class Ci(LogObject):
    """The CI run that recorded the session."""

    provider: str | None = None
    """For example `github`."""
    run_url: str | None = None
    """The page of the run."""
    commit: str | None = None
    """What was tested."""


@dataclass(kw_only=True)
class SessionStarted(Event, name="session-started"):
    """The first record of a session, and of each part of a rotated one."""

    schema_version: int
    """The version of the schema, 1. Readers refuse files of a higher one than they know."""
    mockrec_version: str
    """The version that wrote the file."""
    session_id: str
    """The recording's own id."""
    start_time: float
    """Milliseconds since the Unix epoch."""
    start_timestamp: float
    """The same moment on the monotonic clock that all `*Timestamp` keys use."""
    listen: Listen | None = None
    """Where it listens; not of a session that was sent again."""
    rules: list[RuleInfo] | None = None
    """The rules of the run."""
    rules_sha256: str | None = None
    """Hash of the rule file."""
    events: list[str] | None = None
    """The types that are recorded."""
    bodies: str | None = None
    """`decoded`, `raw` or `both`."""
    command: list[str] | None = None
    """Of `run -- COMMAND`."""
    ci: Ci | None = None
    """Where it was recorded, in CI."""
    redaction: dict[str, Any] = field(default_factory=dict)
    """What is replaced before it reaches the log."""
    part: int | None = None
    """Counted from 1 in a rotated session; `seq` goes on from the part before."""
    derived: dict[str, Any] = field(default_factory=dict)
    """`from` and `expression`, when this was filtered out of another session: `seq` then has holes."""
    replay: dict[str, Any] = field(default_factory=dict)
    """`of` (the id of a session), `from`, `to` and `pace`, when the exchanges are that session's, sent again."""


@dataclass(kw_only=True)
class SessionEnded(Event, name="session-ended"):
    """The last record of a session. A session without it was cut off."""

    reason: str
    """For example `SIGINT`, `command ended` or `stop-after`; `rotated`: the session goes on in the next part."""
    part: int | None = None
    """The part that ends here, of a session that goes on in the next one."""
    exit_code: int | None = None
    """What mockrec ends with."""
    counts: dict[str, int] = field(default_factory=dict)
    """Records by type."""
    rules: list[RuleUse] | None = None
    """How often each rule was used."""
    truncated_bodies: int | None = None
    """How many bodies were kept in part only."""
    redactions: int | None = None
    """How many values were replaced."""


@dataclass(kw_only=True)
class Gap(Event, name="gap"):
    """Records were left out because the disk was too slow and `--on-full drop` was asked for."""

    counts: dict[str, int]
    """How many, by type."""


@dataclass(kw_only=True)
class RulesReloaded(Event, name="rules-reloaded"):
    """The rules were replaced while recording."""

    rules: list[RuleInfo]
    """The new rules."""
    rules_sha256: str | None = None
    """Hash of the new rule file."""


@dataclass(kw_only=True)
class CallbackError(Event, name="callback-error"):
    """A function of `record.callbacks` raised. This record is handed to no callback."""

    id: str | None = None
    """The exchange of the event the function was called with."""
    connection_id: str | None = None
    """The client connection of that event."""
    event_type: str | None = None
    """The type of that event."""
    callback: str | None = None
    """The function as the rule file names it."""
    error: ErrorInfo
    """What was raised."""


@dataclass(kw_only=True)
class UnknownEvent(Event):
    """A record of a type this version does not know; everything but the envelope is in `extra`."""
