"""What a recording is asked for, how it ends, and what the command line wants to hear of it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mockrec.engine.config import RecordSettings, ServerSettings, TlsSettings, UpstreamSettings
from mockrec.engine.message.summary import ExchangeSummary
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.recording.outputs import Rotate
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.usercode.failure import Failure
from mockrec.formats.schema.errors import FormatError


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What to record, where, and how to end. Durations in seconds."""

    loaded: Loaded
    server: ServerSettings
    record: RecordSettings
    tls: TlsSettings = field(default_factory=TlsSettings)
    upstream: UpstreamSettings = field(default_factory=UpstreamSettings)
    unmatched: str = "reject"
    """`reject` or `passthrough`."""
    before: tuple[str, str, int] | None = None
    """Protocol, host and port of the server that we stand before (a reverse proxy)."""
    is_open: bool = False
    """Whether everybody may use the proxy without a password, also from other machines."""
    outputs: tuple[str, ...] = ()
    """Paths, `-` for stdout; empty: nothing is recorded."""
    output_format: str | None = None
    force: bool = False
    file_mode: int = 0o600
    rotate: Rotate | None = None
    """When the log goes on in a next file."""
    inline_bodies: bool = False
    """Keep long bodies in the log, not beside it."""
    drop: bool = False
    """Leave records out where the disk is too slow, instead of slowing the traffic down."""
    grace: float = 2.0
    command: tuple[str, ...] | None = None


@dataclass(slots=True)
class Ending:
    """Why a run ends, and with which exit code."""

    reason: str
    exit_code: int = 0


@dataclass(slots=True)
class Hooks:
    """What the command line wants to hear."""

    exchange_ended: Callable[[LoggedExchange], None] | None = None
    defect: Callable[[BaseException], None] = field(default=lambda error: None)
    failure: Callable[[Failure], None] = field(default=lambda failure: None)
    """A function of the user's has failed."""
    progress: Callable[[int, int, Sequence[ExchangeSummary]], None] = field(
        default=lambda exchanges, unmatched, ended: None
    )
    """The same from workers, now and then: how many have ended, how many matched no rule, and what to tell of them."""
    lost: Callable[[str, int], None] = field(default=lambda words, ended: None)
    """A worker has died: which and why, and how many exchanges and tunnels it had open."""
    failed: Callable[[FormatError], None] = field(default=lambda error: None)
    """The recording cannot be kept, and why: called at once, the run ends after that."""
    warn: Callable[[str], None] = field(default=lambda sentence: None)
    """Something that the user should know and may mend, in a sentence. To be told once, however often it comes."""
    settle: Callable[[Ending], Ending] = field(default=lambda ending: ending)
    """Called when everything has ended but the log: the last word on reason and exit code."""
