"""What all connections of a server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mockrec.engine.config import Cors, Limits, Timeouts
from mockrec.engine.message.target_uri import TargetUri
from mockrec.engine.recording.backpressure import Backpressure
from mockrec.engine.recording.connection_log import ConnectionLog
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.server.admission import Admission
from mockrec.engine.server.deferred_matching import DeferredMatcher
from mockrec.engine.server.refusal import Refusals
from mockrec.engine.server.tls import Interception
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.engine.usercode.failure import Failure
from mockrec.engine.wire.socks.server import AuthMethod


@dataclass(slots=True)
class ServerContext:
    """The rules in force, the logs, the limits and the way to other servers. `rules` may be replaced at any time."""

    rules: RuleSet
    unmatched: CompiledSteps
    """The steps for a request that no rule matches."""
    exchange_log: ExchangeLog
    connection_log: ConnectionLog
    backpressure: Backpressure
    timeouts: Timeouts
    limits: Limits
    cors: Cors | None
    match_limit: int
    """Bytes of a request body that are kept for matchers, templates and handlers."""
    log_limit: int
    """Bytes of a body that are kept for the log."""
    report_defect: Callable[[BaseException], None]
    """Called with exceptions that must not happen. The connection on which one happened is lost, nothing else."""
    upstream_client: UpstreamClient
    upstream_options: UpstreamOptions
    """How servers are reached if no rule says otherwise."""
    interception: Interception
    is_local_endpoint: Callable[[str, int], bool]
    """Whether an address (or a name for one) and a port refer to a listening socket of this recorder."""
    refusals: Refusals
    """Warns the user of refused requests."""
    deferred_matcher: DeferredMatcher | None = None
    """Evaluates matchers that could take long, in helper processes; None: all are evaluated at once."""
    socks_methods: tuple[AuthMethod, ...] | None = None
    """The authentication methods of SOCKS, or None if SOCKS is switched off."""
    http2: bool = True
    """Whether HTTP/2 is accepted."""
    lenient: bool = False
    """Whether malformed requests with only one possible meaning are repaired."""
    relays_unknown: bool = False
    """Whether protocols other than HTTP are relayed to where the tunnel leads."""
    proxy_auth: tuple[str, str] | None = None
    """User and password that clients of the proxy have to give."""
    report_failure: Callable[[Failure], None] = field(default=lambda failure: None)
    """Called when a function of the user's fails; its exchange is answered and recorded all the same."""
    is_reverse_proxy: bool = False
    """Whether a request that names any host is for this recorder: it is a reverse proxy."""
    simulates_connection_errors: bool = False
    """Whether clients see how a server fails, instead of a 502."""
    control: Admission | None = None
    """Decides what belongs to the control API and to scopes; None without a control API."""
    closing: bool = field(default=False, init=False)
    """Whether connections end after their present exchange."""

    def is_proxy_request(self, target_uri: TargetUri) -> bool:
        """Whether a request is for another server than this one, so that this one is used as a proxy."""
        if target_uri.is_absolute:
            return True
        return not (self.is_reverse_proxy or self.is_local_endpoint(target_uri.hostname.strip("[]"), target_uri.port))
