"""What answers by rules on one port: rules, the ways to other servers, and the listener.

A `Run` has one, and so has each worker; where its notes go is decided by them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import process
from mockrec.engine.errors import ConfigError
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.offload.pool import Helpers
from mockrec.engine.recording.connection_log import ConnectionLog
from mockrec.engine.recording.recording import Recording
from mockrec.engine.replay.serve.cassettes import Replays
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.rules.model import Passthrough
from mockrec.engine.run.settings import Hooks, RunSettings
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.deferred_matching import Judge
from mockrec.engine.server.listener import Listener
from mockrec.engine.server.refusal import Refusals
from mockrec.engine.server.tls import Interception
from mockrec.engine.steps.compile import CompileContext, compile_rules, options_of
from mockrec.engine.steps.handlers import Handlers, loaded_handlers
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.steps.unmatched import explain_plan, passing_plan
from mockrec.engine.steps.webhook import Webhooks
from mockrec.engine.tls.authority import Authority
from mockrec.engine.tls.client import ClientContexts
from mockrec.engine.tls.keylog import KeyLog
from mockrec.engine.tls.server import NoProtocol, ServerContexts
from mockrec.engine.tls.trust import ca_folder, ensure_ca, load_ca
from mockrec.engine.transport.connector import Connector
from mockrec.engine.transport.local_addresses import is_loopback, local_endpoints
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.dialer import Dialer
from mockrec.engine.usercode.calls import own_call
from mockrec.engine.wire.socks.server import AuthMethod

_LEAST_MATCHED = 10 * 1024 * 1024
"""Matchers see at least so much of a body, however little of it the log keeps."""


CheckRules = Callable[[RuleSet], None]
"""Raises ConfigError for rules that cannot be used here."""


def _any_rules(rules: RuleSet) -> None:
    """All of them can."""


class Server:
    """Made in three steps, so that everything is checked before a port is taken, and nothing is accepted before there
    is a log: `Server(…)`, `build` with bound sockets and a recording, `start`."""

    def __init__(self, settings: RunSettings, hooks: Hooks, handlers: Handlers, check: CheckRules = _any_rules) -> None:
        """Compiles the rules. Raises ConfigError (handlers, sessions, authority), or what `check` raises of rules."""
        self._settings = settings
        self._hooks = hooks
        self._check = check
        if settings.command is None:
            process.allow(settings.server.limits.connections)
        self._webhooks = Webhooks()
        self._grace = anyio.CancelScope()
        check_openness(settings, settings.loaded)
        self._key_log = KeyLog(settings.tls.key_log_file) if settings.tls.key_log_file else None
        contexts = ClientContexts(self._key_log)
        connector = Connector()
        self._upstream_client = UpstreamClient(
            Dialer(connector.connect, contexts, self._is_own),
            self._match_limit,
            SocketSettings(settings.server.limits.ws_message, settings.record.max_body_size),
        )
        self._upstream_client.before = settings.before
        self._helpers = Helpers(settings.server.limits.match_time, hooks.warn)
        self._upstream_client.helpers = self._helpers
        self._upstream_client.dialer.scripts.helpers = self._helpers
        self._options = options_of(settings.upstream, self._upstream_client)
        self._is_own_address: Callable[[str, int], bool] = lambda host, port: False
        self.ca: str | None = None
        """Path of the authority's certificate."""
        self.ca_problem: ConfigError | None = None
        """Why there is no authority: only TLS needs one."""
        self.ca_key = ""
        """Path of its key."""
        self._find_ca()
        self._replays_read: list[Replays] = []
        self._site: ServerContext | None = None
        self._compile(settings.loaded, handlers)

    @property
    def _match_limit(self) -> int:
        return max(self._settings.record.max_body_size, _LEAST_MATCHED)

    def _is_own(self, host: str, port: int) -> bool:
        return self._is_own_address(host, port)

    def _tools(self, handlers: Handlers, replays: Replays) -> CompileContext:
        return CompileContext(
            handlers,
            self._webhooks,
            self._upstream_client,
            self._options,
            replay=replays.act,
            limits=self._settings.server.limits,
            report_failure=self._hooks.failure,
        )

    def _find_ca(self) -> None:
        """The authority that is named has to be good; that of the user is made, if it can be."""
        tls = self._settings.tls
        if tls.ca_cert is not None:
            self.ca, self.ca_key = tls.ca_cert, tls.ca_key or ""
            self._authority()
            return
        try:
            cert, key = ensure_ca(ca_folder(os.environ))
        except ConfigError as error:
            self.ca_problem = error
        else:
            self.ca, self.ca_key = str(cert), str(key)

    def _authority(self) -> Authority:
        """Raises ConfigError."""
        if self.ca is None:
            raise self.ca_problem or ConfigError("there is no certificate authority")
        tls = self._settings.tls
        return Authority(load_ca(Path(self.ca), Path(self.ca_key)), key_type=tls.key_type, key_length=tls.key_length)

    def _server_contexts(self) -> ServerContexts:
        settings = self._settings
        return ServerContexts(self._authority(), settings.tls, alpn_of(settings.server.http2), self._key_log)

    @property
    def rules(self) -> RuleSet:
        """The rule set in force."""
        return self._rules

    # ── while it runs ──────────────────────────────────────────────────────────────────────────────

    def build(self, sockets: list[socket.socket], recording: Recording, kept: frozenset[str]) -> Listener:
        """What will accept on bound sockets, and note records of the types `kept` in `recording`."""
        settings = self._settings
        self._is_own_address = local_endpoints(settings.server.host, sockets[0].getsockname()[1])
        site = self._site = self._build_site(recording, kept)
        self.listener = Listener(sockets, settings.server.host, site)
        return self.listener

    async def start(self, group: TaskGroup) -> None:
        """Accept from now on, in tasks of `group`."""
        self._webhooks.start(group)
        group.start_soon(self._upstream_client.run)
        group.start_soon(self._helpers.run)
        await self.listener.start(group)

    async def use(self, loaded: Loaded) -> None:
        """Answer by other rules from now on. Raises as the constructor does, and keeps those there are."""
        check_openness(self._settings, loaded)
        self._compile(loaded, await own_call(loaded_handlers, loaded.rule_file.rules))
        if self._site is not None:
            self._site.rules = self._rules

    def _compile(self, loaded: Loaded, handlers: Handlers) -> None:
        replays = Replays(self._upstream_client.limits)
        self._replays_read.append(replays)
        rules = compile_rules(loaded.rule_file.rules, self._tools(handlers, replays))
        self._check(rules)
        self._rules = rules
        self.replays = replays
        """The sessions that rules answer from."""

    def hurry(self) -> None:
        """Give running exchanges no more time."""
        self._grace.cancel()

    def stop_answering(self) -> None:
        """Let connections end after the exchange they are at."""
        if self._site is not None:
            self._site.closing = True

    async def stop(self, serving: TaskGroup) -> None:
        """Give running exchanges the grace they have, then cancel `serving`."""
        with self._grace, anyio.move_on_after(self._settings.grace):
            self._upstream_client.limits.open.leave()
            await self.listener.stop()
            await self._webhooks.wait()
        self._upstream_client.stopping = True
        serving.cancel_scope.cancel()

    def close(self) -> None:
        """Let go of what was read and opened."""
        for replays in self._replays_read:
            replays.close()
        if self._key_log is not None:
            self._key_log.close()

    # ── how it is put together ─────────────────────────────────────────────────────────────────────

    def _build_site(self, recording: Recording, kept: frozenset[str]) -> ServerContext:
        settings, recorder = self._settings, recording.recorder
        notes = recording.exchange_log(kept)
        notes.ended = self._hooks.exchange_ended
        server, defect = settings.server, self._hooks.defect
        self._upstream_client.backpressure = recorder
        self._upstream_client.report_defect = defect
        return ServerContext(
            rules=self._rules,
            unmatched=self._unmatched_plan(),
            notes=notes,
            backpressure=recorder,
            timeouts=server.timeouts,
            limits=server.limits,
            cors=server.cors,
            match_limit=self._match_limit,
            log_limit=settings.record.max_body_size,
            report_defect=defect,
            report_failure=self._hooks.failure,
            upstream_client=self._upstream_client,
            options=self._options,
            interception=Interception(settings.tls, self._server_contexts),
            connection_notes=ConnectionLog(recording.log, kept, recording.bodies, keeps_data=settings.record.raw_data),
            is_own=self._is_own,
            refusals=Refusals(self._hooks.warn),
            judge=Judge(self._helpers),
            socks=_socks_methods(server.socks),
            http2=server.http2 != "false",
            lenient=server.lenient,
            passes_unknown="unknown-protocol" in server.passthrough,
            auth=_user_and_password(server.auth),
            is_reverse=settings.before is not None,
            shows_failures=settings.upstream.simulate_connection_errors and settings.unmatched == "passthrough",
        )

    def _unmatched_plan(self) -> CompiledSteps:
        settings = self._settings
        others = settings.unmatched == "passthrough"
        if not others and settings.before is None:
            return explain_plan(lambda: self._rules)
        tools = self._tools(Handlers(), self.replays)
        return passing_plan(lambda: self._rules, tools, self._is_own, others=others, upstream=settings.before)


def alpn_of(http2: str) -> Callable[[list[bytes]], bytes | None]:
    """The choice among a client's protocols (RFC 7301, 3.2) for a setting of `server.http2`."""
    ours = {"true": (b"h2", b"http/1.1"), "fallback": (b"http/1.1", b"h2")}.get(http2, (b"http/1.1",))

    def choose(offers: list[bytes]) -> bytes | None:
        for protocol in ours:
            if protocol in offers:
                return protocol
        others = [protocol for protocol in offers if protocol != b"h2"]
        if not others:
            raise NoProtocol  # it speaks nothing else, and we do not
        # What nobody here knows may still be HTTP, or be passed on; a client that gets no protocol may leave.
        return others[0]

    return choose


def check_openness(settings: RunSettings, loaded: Loaded) -> None:
    """A proxy that the network can reach passes on what anybody asks for. Raises ConfigError."""
    server, rules = settings.server, loaded.rule_file.rules
    if server.auth is not None or settings.is_open or is_loopback(server.host.strip("[]").lower()):
        return
    steps = [step for rule in rules for step in rule.steps]
    passes = settings.unmatched == "passthrough" or server.passthrough or settings.tls.passthrough
    if passes or settings.tls.intercept_only or any(type(step) is Passthrough for step in steps):
        raise ConfigError(
            f"whoever reaches {server.host} could use this recorder as a proxy; give a password with server.auth"
            " (user:password), or say --open"
        )


def _socks_methods(setting: object) -> tuple[AuthMethod, ...] | None:
    if setting is True:
        return ("no-auth",)
    return tuple(setting) if isinstance(setting, tuple) and setting else None


def _user_and_password(setting: str | None) -> tuple[str, str] | None:
    if setting is None:
        return None
    user, _, password = setting.partition(":")
    return user, password
