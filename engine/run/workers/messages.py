"""What parent and worker tell each other: dataclasses, pickled, over a private pair of sockets."""

from __future__ import annotations

import asyncio
import copyreg
import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mockrec.engine.message.summary import ExchangeSummary
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.run.settings import RunSettings
from mockrec.engine.usercode.failure import Failure

_LENGTH_BYTES = 4


# ── from the parent ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Assignment:
    """The first message: what to serve."""

    settings: RunSettings
    kept: frozenset[str]
    """Types of records that are made."""
    redaction_key: bytes | None
    """For marks, where no variable says one; None where secrets stay."""
    anchor: float
    """The session's wall clock, see `clock.anchor`."""
    tells_exchanges: bool
    """Whether somebody wants to see each exchange that ends."""
    version: int = 0
    """Which reading of the rules it has."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Answer by these rules from now on."""

    loaded: Loaded
    version: int


@dataclass(frozen=True, slots=True)
class StopAnswering:
    """Let connections end after the exchange they are at."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End, with the grace of the settings."""


@dataclass(frozen=True, slots=True)
class Hurry:
    """No more grace."""


# ── from a worker ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Ready:
    """It accepts connections."""


@dataclass(frozen=True, slots=True)
class StartRefused:
    """It cannot start, for a reason that the user can mend."""

    reason: str


@dataclass(frozen=True, slots=True)
class ProgressMessage:
    """What has happened since the last one."""

    exchanges: int
    unmatched: int
    ended: Sequence[ExchangeSummary]
    version: int
    used: Sequence[tuple[int, int]]
    """Place of a rule of that version in the file → how often it was used."""
    truncated: int
    redactions: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What it has left out of the log since the last one, and has not said in a `gap` record yet."""

    counts: Mapping[str, int]
    """Type of record → how many."""
    ended: Sequence[str]
    """Exchanges and tunnels whose first record is in the log, and whose last one was left out."""


@dataclass(frozen=True, slots=True)
class Defect:
    """Something of ours went wrong."""

    name: str
    traceback: str


@dataclass(frozen=True, slots=True)
class UserFailure:
    """A function of the user's has failed."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that the user should know and may mend."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Failed:
    """What it makes cannot be kept: a body beside the log."""

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
    """The next message; None at the end, also where it comes in the middle of one."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
        return pickle.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def packed(message: Message) -> bytes:
    """A message with its length before it."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, pickle.HIGHEST_PROTOCOL)
    # Rules hold read-only views, which pickle does not know.
    pickler.dispatch_table = copyreg.dispatch_table | {MappingProxyType: _plain}
    pickler.dump(message)
    data = file.getvalue()
    return len(data).to_bytes(_LENGTH_BYTES) + data


def _plain(view: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return _view, (dict(view),)


def _view(plain: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(plain)
