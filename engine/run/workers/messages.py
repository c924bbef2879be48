"""The messages between parent and worker: dataclasses, pickled, over a private pair of sockets."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mockrec.engine.message.summary import ExchangeSummary
from mockrec.engine.pickle_frames import LENGTH_BYTES
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.run.settings import RunSettings
from mockrec.engine.usercode.failure import Failure

# ── from the parent ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Assignment:
    """The first message: what to serve."""

    settings: RunSettings
    types: frozenset[str]
    """Types of the records that are made."""
    redaction_key: bytes | None
    """The key of placeholders, unless a variable gives one; None if secrets are not redacted."""
    anchor: float
    """The session's wall clock, see `clock.anchor`."""
    reports_exchanges: bool
    """Whether the parent shows each exchange that ends."""
    version: int = 0
    """The version of the rules: how often they were reloaded."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Answer by these rules from now on."""

    loaded: Loaded
    version: int


@dataclass(frozen=True, slots=True)
class StopAnswering:
    """End each connection after its present exchange."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End, with the grace of the settings."""


@dataclass(frozen=True, slots=True)
class Hurry:
    """End without more grace."""


# ── from a worker ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker accepts connections."""


@dataclass(frozen=True, slots=True)
class StartRefused:
    """The worker cannot start, or cannot use the reloaded rules, for a reason that the user can fix."""

    reason: str


@dataclass(frozen=True, slots=True)
class ProgressMessage:
    """What has happened since the last such message."""

    exchanges: int
    unmatched: int
    ended: Sequence[ExchangeSummary]
    version: int
    used: Sequence[tuple[int, int]]
    """Index of a rule of that version → how often it was used."""
    truncated: int
    redactions: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was left out of the log since the last such message, and may not be in a `gap` record yet."""

    counts: Mapping[str, int]
    """Type of record → how many."""
    ended: Sequence[str]
    """Exchanges and tunnels whose first record is in the log, and whose last one was left out."""


@dataclass(frozen=True, slots=True)
class Defect:
    """An exception that must not happen."""

    name: str
    traceback: str


@dataclass(frozen=True, slots=True)
class UserFailure:
    """A function of the user's has failed."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning for the user."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A body file cannot be written, so that the recording is not complete."""

    file: str
    message: str


Message = (  # fmt: skip
    Assignment
    | Reload
    | StopAnswering
    | Stop
    | Hurry
    | Ready
    | StartRefused
    | ProgressMessage
    | LeftOut
    | Defect
    | UserFailure
    | Warned
    | Failed
)


async def receive(reader: asyncio.StreamReader) -> Any:
    """Return the next message; None at the end of the stream, also in the middle of a message."""
    try:
        length = int.from_bytes(await reader.readexactly(LENGTH_BYTES))
        return pickle.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
