"""What answers requests: the compiled rules, and what their steps share on the way to other servers."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import TYPE_CHECKING, TypeVar

from anyio.abc import TaskGroup

from mockrec.engine import process
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.offload.pool import Helpers
from mockrec.engine.replay.serve.cassettes import Replays
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.rules.matching.select import CompiledRule, RuleSet
from mockrec.engine.rules.model import Rule
from mockrec.engine.run.ca import RunAuthority
from mockrec.engine.run.open_proxy import check_open_proxy, check_open_proxy_rules
from mockrec.engine.run.settings import Hooks, RunSettings
from mockrec.engine.steps.compile import compile_rules
from mockrec.engine.steps.handlers import Handlers, loaded_handlers
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.steps.spec import CompileContext
from mockrec.engine.steps.unmatched import explain_plan, passing_plan
from mockrec.engine.steps.upstream_options import options_of
from mockrec.engine.steps.webhook_delivery import Webhooks
from mockrec.engine.tls.client import ClientContexts
from mockrec.engine.tls.keylog import KeyLog
from mockrec.engine.transport.connector import Connector
from mockrec.engine.transport.local_addresses import LocalEndpoints
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.dialer import Dialer
from mockrec.engine.upstream.proxy_scripts import ProxyScripts
from mockrec.engine.usercode.calls import own_call

if TYPE_CHECKING:
    from mockrec.engine.replay.serve.cassette import Cassette
    from mockrec.engine.tls.server import ServerContexts

_LEAST_MATCHED = 10 * 1024 * 1024
"""Bytes of a body that matchers see at least, even if the log keeps less of it."""

_FEW = 500
"""Rules that are compiled in the event loop; more are compiled in a thread."""
T = TypeVar("T")

CheckRules = Callable[[RuleSet], None]
"""Raises ConfigError for rules that cannot be used here."""


async def if_many(rules: Sized, function: Callable[[], T]) -> T:
    """Call a function whose work grows with these rules: if there are many, in a thread, while others are answered."""
    return function() if len(rules) <= _FEW else await own_call(function)


def _accept_all(rules: RuleSet) -> None:
    """Every rule set can be used."""


class Responder:
    """The rules in force, the upstream client and the certificate authority of one process.

    It is built before a port is taken and before an output is opened, so that every mistake of the user's that can
    be found is found first. `Server` needs the port and the recording, and is built afterwards.
    """

    def __init__(
        self, settings: RunSettings, hooks: Hooks, handlers: Handlers, check_rules: CheckRules = _accept_all
    ) -> None:
        """Compile the rules. Raises ConfigError (handlers, sessions, authority), or what `check_rules` raises."""
        self.settings = settings
        self._hooks = hooks
        self._check_rules = check_rules
        if settings.command is None:  # a command would inherit the limit
            process.allow(settings.server.limits.connections)
        check_open_proxy(settings, settings.loaded)
        self._key_log = KeyLog(settings.tls.key_log_file) if settings.tls.key_log_file else None
        self.match_limit = max(settings.record.max_body_size, _LEAST_MATCHED)
        """Bytes of a body that are kept for matchers, templates and handlers."""
        self.endpoints = LocalEndpoints(settings.server.host)
        self.websocket = SocketSettings(settings.server.limits.ws_message, settings.record.max_body_size)
        self.helpers = Helpers(settings.server.limits.match_time, hooks.warn)
        connector, contexts = Connector(), ClientContexts(self._key_log)
        webhook_dialer = Dialer(connector.connect, contexts, lambda host, port: False)
        self.webhooks = Webhooks(webhook_dialer)
        self.upstream_client = UpstreamClient(
            Dialer(connector.connect, contexts, self.endpoints.is_local, ProxyScripts(self.helpers)),
            self.match_limit,
            helpers=self.helpers,
            reverse_target=settings.reverse_target,
            report_defect=hooks.defect,
        )
        self._dialers = (self.upstream_client.dialer, webhook_dialer)
        self.options = options_of(settings.upstream, self.upstream_client)
        """How servers are reached if a rule does not say otherwise."""
        self.ca = RunAuthority(settings.tls)
        self._all_replays: list[Replays] = []
        self.rules, self.replays = self._compile(settings.loaded, handlers)

    def _compile(self, loaded: Loaded, handlers: Handlers) -> tuple[RuleSet, Replays]:
        """Compile rules, and open the sessions that they replay."""
        replays = Replays(
            self.websocket,
            is_local=self.endpoints.is_local,
            keeps_exchanges=self.settings.kept_log is not None,
        )
        self._all_replays.append(replays)
        rules = compile_rules(loaded.rule_file.rules, self._compile_context(handlers, replays))
        self._check_rules(rules)
        return rules, replays

    def _compile_context(self, handlers: Handlers, replays: Replays) -> CompileContext:
        return CompileContext(
            handlers,
            self.webhooks,
            self.upstream_client,
            self.options,
            replay=replays.act,
            limits=self.settings.server.limits,
            websocket=self.websocket,
            report_failure=self._hooks.failure,
        )

    @property
    def reached(self) -> list[str]:
        """The servers to which connections were made, or attempted, as `host:port`."""
        return sorted({name for dialer in self._dialers for name in dialer.reached})

    @property
    def recorded(self) -> list[Cassette]:
        """The cassettes of all rules of this run to which exchanges are added when it ends."""
        return [cassette for replays in self._all_replays for cassette in replays.recorded]

    async def use(self, loaded: Loaded) -> None:
        """Answer by other rules from now on. Raises as the constructor does, and keeps the present rules then."""
        check_open_proxy(self.settings, loaded)
        handlers = await own_call(loaded_handlers, loaded.rule_file.rules)
        self.rules, self.replays = await if_many(loaded.rule_file.rules, lambda: self._compile(loaded, handlers))

    def compile_more(self, loaded: Loaded, replays: Replays | None = None) -> RuleSet:
        """Compile rules in addition to those in force. `replays` takes the sessions that they replay, and is closed by
        the caller; without it, they stay open until the end. Raises ConfigError."""
        check_open_proxy(self.settings, loaded)
        context = self._compile_context(Handlers(), self.replays if replays is None else replays)
        return compile_rules(loaded.rule_file.rules, context)

    def recompile(self, rule: Rule, replays: Replays) -> CompiledRule:
        """Compile a rule with recordings of its own. Raises ConfigError."""
        check_open_proxy_rules(self.settings, [rule])
        (compiled,) = compile_rules([rule], self._compile_context(Handlers(), replays)).rules
        return compiled

    def unmatched_steps(self, rules: Callable[[], RuleSet] | None = None) -> CompiledSteps:
        """The steps for a request that no rule matches: pass it on, or explain the miss. `rules` returns the rules in
        force, by default those of this responder."""
        settings, in_force = self.settings, rules or (lambda: self.rules)
        others = settings.unmatched == "passthrough"
        if not others and settings.reverse_target is None:
            return explain_plan(in_force)
        context = self._compile_context(Handlers(), self.replays)
        is_local, target = self.endpoints.is_local, settings.reverse_target
        return passing_plan(in_force, context, is_local, others=others, upstream=target)

    def server_contexts(self) -> ServerContexts:
        """The server side of TLS. Raises ConfigError if there is no authority."""
        from mockrec.engine.tls.server import ServerContexts, alpn_selector

        settings = self.settings
        return ServerContexts(self.ca.load(), settings.tls, alpn_selector(settings.server.http2), self._key_log)

    def start(self, group: TaskGroup) -> None:
        """Run what works in the background in tasks of `group`."""
        self.webhooks.start(group)
        group.start_soon(self.upstream_client.run)
        group.start_soon(self.helpers.run)

    def close(self) -> None:
        """Close the sessions that were replayed and the key log."""
        for replays in self._all_replays:
            replays.close()
        if self._key_log is not None:
            self._key_log.close()
