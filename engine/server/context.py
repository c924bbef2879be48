"""What all connections of a run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mockrec.engine.config import Cors, Limits, Timeouts
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import TargetUri
from mockrec.engine.recording.backpressure import Backpressure
from mockrec.engine.recording.connection_log import ConnectionLog
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.server.deferred_matching import Judge
from mockrec.engine.server.refusal import Refusals
from mockrec.engine.server.tls import Interception
from mockrec.engine.server.tunnel import is_allowed
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.engine.usercode.failure import Failure
from mockrec.engine.wire.socks.server import AuthMethod


@dataclass(slots=True)
class ServerContext:
    """The rules in force, and where everything else goes. `rules` may be replaced at any time."""

    rules: RuleSet
    unmatched: CompiledSteps
    notes: ExchangeLog
    backpressure: Backpressure
    timeouts: Timeouts
    limits: Limits
    cors: Cors | None
    match_limit: int
    """Bytes of a request body that are kept for matchers, templates and handlers."""
    log_limit: int
    """Bytes of a body that are kept for the log."""
    report_defect: Callable[[BaseException], None]
    """Told of exceptions that must not happen; the connection they happened on is lost, nothing else."""
    upstream_client: UpstreamClient
    options: UpstreamOptions
    """The way to servers where no rule says another."""
    interception: Interception
    connection_notes: ConnectionLog
    is_own: Callable[[str, int], bool]
    """Whether we listen on an address (or a name for one) and port."""
    refusals: Refusals
    """Tells the user of requests that were refused."""
    judge: Judge | None = None
    """Answers matchers that could take long; None: all of them are answered at once."""
    socks: tuple[AuthMethod, ...] | None = None
    """The authentication methods of SOCKS, or None where it is not spoken."""
    http2: bool = True
    """Whether HTTP/2 is spoken."""
    lenient: bool = False
    """Whether odd requests are repaired."""
    passes_unknown: bool = False
    """Whether protocols that we do not speak are passed on."""
    auth: tuple[str, str] | None = None
    """User and password that clients of the proxy have to give."""
    report_failure: Callable[[Failure], None] = field(default=lambda failure: None)
    """Told of the user's functions that fail; their exchange is answered and recorded all the same."""
    is_reverse: bool = False
    """Whether requests that name any host are for us: we stand before a server."""
    shows_failures: bool = False
    """Whether clients of what is passed on see how a server fails, instead of a 502."""
    closing: bool = field(default=False, init=False)
    """Whether connections end after the exchange they are at."""

    @property
    def accepts_user(self) -> Callable[[bytes, bytes], bool] | None:
        """Judges a user name and password, where clients have to give them."""
        auth = self.auth
        return None if auth is None else lambda user, password: is_allowed((user, password), auth)

    def is_for_others(self, address: TargetUri, peer: ClientConnection) -> bool:
        """Whether a request is one for a proxy: it names another server than this one."""
        if address.is_absolute:
            return True
        return not (self.is_reverse or self.is_own(address.hostname.strip("[]"), address.port))
