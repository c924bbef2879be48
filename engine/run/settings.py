"""The settings of a recording, and the hooks through which it reports to the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from mockrec.engine.config import RecordSettings, ServerSettings, TlsSettings, UpstreamSettings
from mockrec.engine.message.summary import ExchangeSummary
from mockrec.engine.recording.ending import Ending
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.recording.outputs import Rotate
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.run.control.settings import ControlSettings
from mockrec.engine.usercode.failure import Failure
from mockrec.formats.schema.errors import FormatError


class RunSettings(msgspec.Struct, frozen=True):
    """What to record, where, and how to end. Durations in seconds."""

    loaded: Loaded
    server: ServerSettings
    record: RecordSettings
    tls: TlsSettings = msgspec.field(default_factory=TlsSettings)
    upstream: UpstreamSettings = msgspec.field(default_factory=UpstreamSettings)
    unmatched: str = "reject"
    """`reject` or `passthrough`."""
    reverse_target: tuple[str, str, int] | None = None
    """Protocol, host and port of the origin server, if this is a reverse proxy."""
    is_open: bool = False
    """Whether other machines may use the proxy without a password."""
    outputs: tuple[str, ...] = ()
    """Paths, `-` for stdout; empty if nothing is recorded."""
    output_format: str | None = None
    force: bool = False
    file_mode: int = 0o600
    rotate: Rotate | None = None
    """When the log continues in another file."""
    inline_bodies: bool = False
    """Keep long bodies in the log, not in files next to it."""
    drop: bool = False
    """Leave records out if the disk is too slow, instead of slowing the traffic down."""
    grace: float = 2.0
    command: tuple[str, ...] | None = None
    control: ControlSettings | None = None
    """The control API; None: there is none."""
    kept_log: str | None = None
    """The path among the outputs of a log for `replay` steps with `onMiss: record`: what is added to their sessions
    when the run ends. None: no rule may have such a step."""


class Hooks(msgspec.Struct):
    """Functions of the command line that a recording calls."""

    exchange_ended: Callable[[LoggedExchange], None] | None = None
    defect: Callable[[BaseException], None] = msgspec.field(default=lambda error: None)
    """An exception that must not happen."""
    failure: Callable[[Failure], None] = msgspec.field(default=lambda failure: None)
    """A function of the user's has failed."""
    progress: Callable[[int, int, Sequence[ExchangeSummary]], None] = msgspec.field(
        default=lambda exchanges, unmatched, ended: None
    )
    """Exchanges that ended in workers: how many, how many matched no rule, and a description of each."""
    lost: Callable[[str, int], None] = msgspec.field(default=lambda words, ended: None)
    """A worker has died: which one and why, and how many exchanges and tunnels it had open."""
    failed: Callable[[FormatError], None] = msgspec.field(default=lambda error: None)
    """The recording cannot be written, and why. Called at once; the run ends after that."""
    warn: Callable[[str], None] = msgspec.field(default=lambda sentence: None)
    """A warning, in a sentence. The command line shows each sentence once."""
    settle: Callable[[Ending], Ending] = msgspec.field(default=lambda ending: ending)
    """Called when everything but the log has ended: decides on the reason and the exit code."""
