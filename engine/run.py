"""One recording from its first record to its last: rules, outputs, listener, and their orderly end."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from mockrec.engine.config import RecordSettings, ServerSettings, TlsSettings, UpstreamSettings
from mockrec.engine.errors import ConfigError
from mockrec.engine.exchange.connection_notes import ConnectionNotes
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.notes import wanted_types
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.net.connect import Connector
from mockrec.engine.net.listener import Listener, bind
from mockrec.engine.net.own import own_addresses
from mockrec.engine.net.secure import Interception
from mockrec.engine.net.site import Site
from mockrec.engine.record.callbacks import Callbacks
from mockrec.engine.record.framing import session_ended, session_started, told_rules
from mockrec.engine.record.recording import Recording
from mockrec.engine.record.redact import Redactor
from mockrec.engine.replay.replays import Replays
from mockrec.engine.rulefile import load_file
from mockrec.engine.rules.load import Loaded
from mockrec.engine.rules.model import Passthrough
from mockrec.engine.steps.compile import Tools, compile_rules, options_of
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.steps.plan import Plan
from mockrec.engine.steps.unmatched import explain_plan, passing_plan
from mockrec.engine.steps.webhook import Webhooks
from mockrec.engine.tls.authority import Authority
from mockrec.engine.tls.client import ClientContexts
from mockrec.engine.tls.keylog import KeyLog
from mockrec.engine.tls.server import NoProtocol, ServerContexts
from mockrec.engine.tls.trust import ca_folder, ensure_ca, load_ca
from mockrec.engine.upstream.dial import Dialer
from mockrec.engine.upstream.gateway import Gateway
from mockrec.engine.wire.socks import AuthMethod
from mockrec.formats.errors import FormatError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LEAST_MATCHED = 10 * 1024 * 1024
"""Matchers see at least so much of a body, however little of it the log keeps."""


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

    exchange_ended: Callable[[Exchange], None] | None = None
    defect: Callable[[BaseException], None] = field(default=lambda error: None)
    settle: Callable[[Ending], Ending] = field(default=lambda ending: ending)
    """Called when everything has ended but the log: the last word on reason and exit code."""


class Run:
    """A recording. `Run(settings)` checks everything and takes the port; `record` does the rest."""

    def __init__(self, settings: RunSettings, hooks: Hooks) -> None:
        """Raises ConfigError (handlers, port); no connection is accepted and no file is touched yet."""
        self.settings = settings
        self.failure: FormatError | None = None
        """Why the recording could not be kept."""
        self.stop_asked = anyio.Event()
        """Set when the run cannot go on: its log failed."""
        self.hooks = hooks
        self.redactor = Redactor.of(settings.record.redact, os.environ, settings.loaded.secrets)
        """What keeps secrets out of the log; None where they stay."""
        self._webhooks = Webhooks()
        self._grace = anyio.CancelScope()
        self._patience = anyio.CancelScope()
        handlers = Handlers()
        server = settings.server
        _check_openness(settings, settings.loaded)
        self._key_log = KeyLog(settings.tls.key_log_file) if settings.tls.key_log_file else None
        contexts = ClientContexts(self._key_log)
        connector = Connector()
        self._gateway = Gateway(
            Dialer(connector.connect, contexts, self._is_own),
            self._match_limit,
            SocketSettings(server.limits.ws_message, settings.record.max_body_size),
        )
        self._gateway.before = settings.before
        self._options = options_of(settings.upstream, self._gateway)
        self._is_own_address: Callable[[str, int], bool] = lambda host, port: False
        self.ca: str | None = None
        """Path of the authority's certificate."""
        self.ca_problem: ConfigError | None = None
        """Why there is no authority: only TLS needs one."""
        self._ca_key = ""
        self._find_ca(settings.tls)
        self.replays = Replays(self._gateway.limits)
        """The sessions that rules answer from."""
        self._replays_read = [self.replays]
        rules = compile_rules(settings.loaded.rule_file.rules, self._tools(handlers, self.replays))
        self._callbacks = _callbacks(settings.record, handlers)
        self._sockets = bind(server.host, server.ports)
        self._is_own_address = own_addresses(server.host, self._sockets[0].getsockname()[1])
        self._rules = rules

    @property
    def _match_limit(self) -> int:
        return max(self.settings.record.max_body_size, _LEAST_MATCHED)

    def _is_own(self, host: str, port: int) -> bool:
        return self._is_own_address(host, port)

    def _tools(self, handlers: Handlers, replays: Replays) -> Tools:
        return Tools(handlers, self._webhooks, self._gateway, self._options, replay=replays.act)

    def _find_ca(self, tls: TlsSettings) -> None:
        """The authority that is named has to be good; that of the user is made, if it can be."""
        if tls.ca_cert is not None:
            self.ca, self._ca_key = tls.ca_cert, tls.ca_key or ""
            self._authority()
            return
        try:
            cert, key = ensure_ca(ca_folder(os.environ))
        except ConfigError as error:
            self.ca_problem = error
        else:
            self.ca, self._ca_key = str(cert), str(key)

    def _authority(self) -> Authority:
        """Raises ConfigError."""
        if self.ca is None:
            raise self.ca_problem or ConfigError("there is no certificate authority")
        tls = self.settings.tls
        return Authority(load_ca(Path(self.ca), Path(self._ca_key)), key_type=tls.key_type, key_length=tls.key_length)

    def _server_contexts(self) -> ServerContexts:
        return ServerContexts(self._authority(), self.settings.tls, alpn_of(self.settings.server.http2), self._key_log)

    @property
    def url(self) -> str:
        """Where clients find the recorder."""
        return self._listener.url

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def rules(self) -> Any:
        """The rule set in force."""
        return self._site.rules

    async def record(self, body: Callable[[Run], Awaitable[Ending]]) -> Ending:
        """Record while `body` runs, and end as it says. Raises OutputError if an output cannot be opened."""
        settings = self.settings
        try:
            recording = Recording(
                settings, self.redactor, self._recording_failed, drop=settings.drop, callbacks=self._callbacks
            )
        except BaseException:
            for sock in self._sockets:
                sock.close()
            raise
        recorder, log = recording.recorder, recording.log
        self._listener = Listener(self._sockets, settings.server.host, self._build_site(recording))
        ending = Ending("failed", 70)
        async with anyio.create_task_group() as background:
            if self._callbacks is not None:
                self._callbacks.start(background, log.add)
            types = wanted_types(settings.record.events)
            log.add(session_started(settings, self._listener, types, recording.redaction))
            try:
                async with anyio.create_task_group() as serving:
                    self._webhooks.start(serving)
                    serving.start_soon(self._gateway.run)
                    await self._listener.start(serving)
                    ending = await body(self)
                    await self._stop(serving)
                ending = self.hooks.settle(ending)
            finally:
                with anyio.CancelScope(shield=True):
                    self._listener.close()
                    with self._patience:
                        await recorder.finish_callbacks()
                    await recording.close(lambda: self._last_record(ending, recording))
                    with self._patience:
                        await recorder.finish_callbacks()  # one may wait for the last record
                for replays in self._replays_read:
                    replays.close()
                if self._key_log is not None:
                    self._key_log.close()
                background.cancel_scope.cancel()
        return ending

    def _last_record(self, ending: Ending, recording: Recording) -> dict[str, Any]:
        counts = recording.recorder.counts
        return session_ended(ending, counts, self._site.rules, recording.bodies, recording.redactions)

    def _build_site(self, recording: Recording) -> Site:
        settings = self.settings
        kept = wanted_types(settings.record.events)
        if not settings.outputs:
            kept = frozenset(settings.record.callbacks)
        recorder, bodies = recording.recorder, recording.bodies
        notes = recording.notes(kept)
        notes.ended = self.hooks.exchange_ended
        limit, server = settings.record.max_body_size, settings.server
        self._gateway.backpressure = recorder
        self._gateway.report_defect = self.hooks.defect
        self._site = Site(
            rules=self._rules,
            unmatched=self._unmatched_plan(),
            notes=notes,
            backpressure=recorder,
            timeouts=server.timeouts,
            limits=server.limits,
            cors=server.cors,
            match_limit=self._match_limit,
            log_limit=limit,
            report_defect=self.hooks.defect,
            gateway=self._gateway,
            options=self._options,
            interception=Interception(settings.tls, self._server_contexts),
            connection_notes=ConnectionNotes(recording.log, kept, bodies, keeps_data=settings.record.raw_data),
            is_own=self._is_own,
            socks=_socks_methods(server.socks),
            http2=server.http2 != "false",
            passes_unknown="unknown-protocol" in server.passthrough,
            auth=_user_and_password(server.auth),
            is_reverse=settings.before is not None,
        )
        return self._site

    def _unmatched_plan(self) -> Plan:
        settings = self.settings
        others = settings.unmatched == "passthrough"
        if not others and settings.before is None:
            return explain_plan(lambda: self._site.rules)
        tools = self._tools(Handlers(), self.replays)
        return passing_plan(lambda: self._site.rules, tools, self._is_own, others=others, upstream=settings.before)

    # ── while it runs ──────────────────────────────────────────────────────────────────────────────

    def reload(self) -> Loaded:
        """Read the rule file again. Raises ConfigError or RuleFileError, and keeps the rules there are."""
        loaded = load_file(Path(self.settings.loaded.rule_file.path))
        _check_openness(self.settings, loaded)
        replays = Replays(self._gateway.limits)
        self._replays_read.append(replays)
        rules = compile_rules(loaded.rule_file.rules, self._tools(Handlers(), replays))
        if self.redactor is not None:
            self.redactor.learn_values(loaded.secrets)
        self._site.rules, self.replays = rules, replays
        self._site.notes.rules_reloaded(told_rules(loaded.rule_file), loaded.rule_file.sha256)
        return loaded

    def hurry(self) -> None:
        """Give running exchanges and waiting callbacks no more time."""
        self._grace.cancel()
        self._patience.cancel()

    def stop_answering(self) -> None:
        """Let connections end after the exchange they are at."""
        self._site.closing = True

    def _recording_failed(self, error: FormatError) -> None:
        # A closed pipe and a full disk may come together: the one that is worse is told.
        if self.failure is None or self.failure.exit_code == 141:
            self.failure = error
        self.stop_asked.set()

    async def _stop(self, serving: TaskGroup) -> None:
        with self._grace, anyio.move_on_after(self.settings.grace):
            self._gateway.limits.open.leave()
            await self._listener.stop()
            await self._webhooks.wait()
        self._gateway.stopping = True
        serving.cancel_scope.cancel()


def alpn_of(http2: str) -> Callable[[list[bytes]], bytes | None]:
    """The choice among a client's protocols (RFC 7301, 3.2) for a setting of `server.http2`."""
    ours = {"true": (b"h2", b"http/1.1"), "fallback": (b"http/1.1", b"h2")}.get(http2, (b"http/1.1",))

    def choose(offers: list[bytes]) -> bytes | None:
        for protocol in ours:
            if protocol in offers:
                return protocol
        if b"h2" in offers:
            raise NoProtocol  # it speaks nothing else, and we do not
        return None

    return choose


def _check_openness(settings: RunSettings, loaded: Loaded) -> None:
    """A proxy that the network can reach passes on what anybody asks for. Raises ConfigError."""
    server, rules = settings.server, loaded.rule_file.rules
    if server.auth is not None or settings.is_open or server.host.strip("[]") in _LOOPBACK:
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


def _callbacks(record: RecordSettings, handlers: Handlers) -> Callbacks | None:
    if not record.callbacks:
        return None
    functions = {kind: handlers.resolve(name) for kind, name in record.callbacks.items()}
    names = {kind: os.path.basename(name) for kind, name in record.callbacks.items()}
    return Callbacks(functions, names)


def check_callbacks(record: RecordSettings) -> list[str]:
    """Sentences about callbacks that would never be called, because nothing of their type is recorded."""
    types = wanted_types(record.events)
    return [
        f"record.callbacks: {kind} is not among the recorded events, so {os.path.basename(name)} is never called"
        for kind, name in record.callbacks.items()
        if kind not in types
    ]
