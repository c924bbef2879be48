"""The event classes of the recording itself: its first and last record, and faults of the recording."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from mockrec.formats.schema.base import Event
from mockrec.formats.schema.codec import LogObject, log_object
from mockrec.formats.schema.objects import ErrorInfo

__all__ = [
    "CallbackError",
    "Gap",
    "RulesReloaded",
    "SessionEnded",
    "SessionStarted",
    "UnknownEvent",
]


@log_object
class Listen(LogObject):
    """An address on which the recorder listens."""

    url: str
    """The URL for clients."""
    host: str
    """The address."""
    port: int
    """The port."""


@log_object
class RuleInfo(LogObject):
    """A rule of the run."""

    id: str
    """Its `id`, or `rule-N` by position."""
    line: int | None = None
    """Its line in the rule file, counted from 1."""
    explanation: str | None = None
    """The rule as a sentence."""


@log_object
class RuleUse(LogObject):
    """How often a rule was used."""

    id: str
    """As in `session-started`."""
    used: int
    """How often it was selected."""
    pending: bool
    """Whether it was used less often than the rule requires."""


@log_object
class Ci(LogObject):
    """The CI run that recorded the session."""

    provider: str | None = None
    """For example `github`."""
    run_url: str | None = None
    """The page of the run."""
    commit: str | None = None
    """The tested commit."""


@log_object
class SessionStarted(Event, name="session-started"):
    """The first record of a session, and of each part of a rotated one."""

    schema_version: int
    """The version of the schema, 1. Readers refuse files with a higher version than they know."""
    mockrec_version: str
    """The version that wrote the file."""
    session_id: str
    """The recording's own id."""
    start_time: float
    """Milliseconds since the Unix epoch."""
    start_timestamp: float
    """The same moment on the monotonic clock that all `*Timestamp` keys use."""
    listen: Listen | None = None
    """The address on which it listens; absent in a replay to a server."""
    rules: list[RuleInfo] | None = None
    """The rules of the run."""
    rules_sha256: str | None = None
    """Hash of the rule file."""
    events: list[str] | None = None
    """The types that are recorded."""
    bodies: str | None = None
    """`decoded`, `raw` or `both`."""
    command: list[str] | None = None
    """The command of `run -- COMMAND`."""
    ci: Ci | None = None
    """The CI run, if it was recorded in CI."""
    redaction: dict[str, Any] = field(default_factory=dict)
    """The redaction in force: what is replaced before it is logged."""
    protobuf: str | None = None
    """The descriptors of `record.protobuf` (a `FileDescriptorSet`, base64), up to 1 MiB, by which readers name the
    fields of gRPC messages."""
    part: int | None = None
    """The number of the part of a rotated session, from 1; `seq` continues from the part before."""
    derived: dict[str, Any] = field(default_factory=dict)
    """`from` and `expression`, if the session was filtered from another one: `seq` then has gaps."""
    replay: dict[str, Any] = field(default_factory=dict)
    """`of` (the id of a session), `from`, `to` and `pace`, if the requests are those of that session, sent again."""


@log_object
class SessionEnded(Event, name="session-ended"):
    """The last record of a session. A session without it was cut off."""

    reason: str
    """For example `SIGINT`, `command ended` or `stop-after`; `rotated`: another part follows."""
    part: int | None = None
    """The number of the part that ends, if another part follows."""
    exit_code: int | None = None
    """The exit code of mockrec."""
    counts: dict[str, int] = field(default_factory=dict)
    """Records by type."""
    rules: list[RuleUse] | None = None
    """How often each rule was used."""
    truncated_bodies: int | None = None
    """How many bodies were recorded only in part."""
    redactions: int | None = None
    """How many values were replaced."""


@log_object
class Gap(Event, name="gap"):
    """Records were left out because the disk was too slow and `--on-full drop` is set."""

    counts: dict[str, int]
    """The number of left-out records by type."""


@log_object
class RulesReloaded(Event, name="rules-reloaded"):
    """The rules were replaced during the recording."""

    rules: list[RuleInfo]
    """The new rules."""
    rules_sha256: str | None = None
    """Hash of the new rule file."""


@log_object
class CallbackError(Event, name="callback-error"):
    """A function of `record.callbacks` raised an exception. No callback gets this record."""

    id: str | None = None
    """The exchange of the event with which the function was called."""
    connection_id: str | None = None
    """The client connection of that event."""
    event_type: str | None = None
    """The type of that event."""
    callback: str | None = None
    """The function as named in the rule file."""
    error: ErrorInfo
    """The exception."""


@log_object
class UnknownEvent(Event):
    """A record of a type that this version does not know; all keys but those of `Event` are in `extra`."""
