"""The control API of a run: its listening port, what it may change, and what it counts."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from mockrec.engine.config import Limits, Timeouts, TlsSettings
from mockrec.engine.recording.connection_log import ConnectionLog
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.recording.recording import Recording
from mockrec.engine.replay.send.recorded_exchange import REPLAY_OF
from mockrec.engine.replay.serve.tags import EXPIRED, MISSED
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.run.control.api import ControlApi
from mockrec.engine.run.control.metrics import Metrics
from mockrec.engine.run.control.rules import RuntimeRules
from mockrec.engine.run.control.scope_files import ScopeFiles
from mockrec.engine.run.control.secrets import marking
from mockrec.engine.run.control.settings import ControlSettings
from mockrec.engine.run.control.store import ExchangeStore
from mockrec.engine.run.control.views import View, Views
from mockrec.engine.run.responder import Responder
from mockrec.engine.run.settings import Hooks
from mockrec.engine.server.admission import Admission
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.listener import Listener
from mockrec.engine.server.tls import Interception
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.transport.local_addresses import LocalEndpoints
from mockrec.engine.usercode.calls import own_call
from mockrec.formats.query import Plan
from mockrec.formats.query.checks import compile_any
from mockrec.formats.schema.errors import FormatError, worse

HOST = "127.0.0.1"
_BODY_LIMIT = 16 * 1024 * 1024
_AT_ONCE = 256 * 1024
"""Bytes of lines that are read in the event loop; more are read in a thread."""
_TURNS = 4
"""Turns of the event loop after which everything that a client can have received is in the log."""


class Control:
    """Everything that the control API acts on. One for each run with `--control`."""

    def __init__(
        self,
        settings: ControlSettings,
        sockets: list[socket.socket],
        clients: Listener,
        context: ServerContext,
        responder: Responder,
        recording: Recording,
        hooks: Hooks,
    ) -> None:
        """`clients` and `context` are those of the server that is controlled. It admits requests by this object from
        now on."""
        self.settings = settings
        self.folder = responder.settings.loaded.rule_file.folder
        """The folder of the rule file."""
        self.responder = responder
        self._metrics = Metrics()
        self._counts = _Counts()
        self._clients = clients
        self._context = context
        self._recording = recording
        self._redactor = recording.redactor
        self._hooks = hooks
        self._selecting = anyio.Lock()
        self.closing = anyio.Lock()
        """Held while the files of a scope are written, so that no scope is written twice."""
        outputs = responder.settings.outputs
        self._bodies = Path(f"{outputs[0]}.bodies") if recording.body_files is not None and outputs else None
        self._store = ExchangeStore(self._bodies)
        self.files = ScopeFiles(settings, recording, self._bodies, responder.settings.file_mode)
        self._unscoped = 0
        recording.recorder.tap = self._tap
        silent = ExchangeLog(recording.recorder, frozenset(), recording.bodies)
        port = sockets[0].getsockname()[1]
        steps = CompiledSteps([ControlApi(self).handle], never_blocks=False)
        self.admission = Admission(LocalEndpoints(HOST, port), silent, steps)
        self.rules = RuntimeRules(responder, self._use, lambda: self.admission.open == 0)
        context.control = self.admission
        context.exchange_log.ended = self._exchange_ended
        self._listener = Listener(sockets, HOST, _own_context(context, silent, steps, responder, recording))

    @property
    def url(self) -> str:
        """The URL of the control API."""
        return self._listener.url

    @property
    def proxy_password(self) -> str:
        """What follows the user name in the URL of the proxy: a colon and the password, if there is one."""
        auth = self.responder.settings.server.auth
        return "" if auth is None else ":" + quote(auth.partition(":")[2], safe="")

    @property
    def server_url(self) -> str:
        """The URL of the server that is controlled."""
        return self._clients.url

    @property
    def redacts(self) -> bool:
        """Whether secrets are replaced in the log."""
        return self._redactor is not None

    @property
    def session_id(self) -> str:
        """The id of the session that is recorded."""
        return str(self._recording.parts.header.get("sessionId", ""))

    @property
    def metrics_text(self) -> str:
        """The metrics for Prometheus."""
        return self._metrics.text(
            queue=self._recording.recorder.queued,
            connections=self._clients.open_connections,
            open_exchanges=self.admission.open,
        )

    # ── its life ───────────────────────────────────────────────────────────────────────────────────

    async def start(self, group: TaskGroup) -> None:
        """Accept requests from now on, in tasks of `group`."""
        await self._listener.start(group)

    async def stop(self) -> None:
        """Accept no more, and end each connection after its present request."""
        await self._listener.stop()

    async def finish(self) -> None:
        """The run ends: write the sessions of the scopes that are open, and give the rules of the file all their uses.
        Raises FormatError; what could not be written is kept then."""
        failure: FormatError | None = None
        if self.settings.output is not None:
            await self.flush()
            for scope in list(self.admission.scopes.values()):
                try:
                    await self.files.write(scope, (), passed=False)
                except FormatError as error:  # the other scopes are written all the same
                    failure = worse(failure, error)
            if self._unscoped:
                self._hooks.warn(
                    f"exchanges that belong to no scope are in no file ({self._unscoped}):"
                    f" {self.settings.output} is for those of scopes; add another -o for all"
                )
        for name, path in self.files.owed:
            self._hooks.warn(f"the records of the scope {name!r} could not be written; they are kept in {path}")
        self.rules.finish()
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Close the port, and delete what is kept of open scopes."""
        self._listener.close()
        self.files.close()

    # ── what it does ───────────────────────────────────────────────────────────────────────────────

    async def settle(self) -> None:
        """Return when all that a client can have received so far is in the log's queue."""
        for _ in range(_TURNS):
            await anyio.lowlevel.checkpoint()
        await self._recording.settle()
        self._recording.recorder.flush()

    async def flush(self) -> int:
        """Return when all that has ended is in the log and can be read; return the number of the last record."""
        await self.settle()
        return await self._recording.recorder.written()

    async def reset(self) -> None:
        """Begin again, as after the start."""
        await self.settle()
        async with self._selecting:
            await self.rules.reset()
            self._store.reset()
            self._counts = _Counts()

    async def exchanges(self, plan: Plan | None, scope: str | None, limit: int | None) -> list[View]:
        """Return the exchanges since the last reset that have ended and match."""
        await self.settle()
        checks = compile_any if self._redactor is None else marking(self._redactor.placeholder)
        async with self._selecting:
            size, batches = self._store.size, self._store.take()

            def make() -> list[View]:
                views = Views(self._bodies)
                return [views.exchange(records) for records in self._store.select(batches, plan, scope, limit, checks)]

            return make() if size <= _AT_ONCE else await own_call(make)

    def _tap(self, batch: bytes) -> None:
        self._store.add(batch)
        self.files.add(batch)

    def _use(self, rules: RuleSet) -> None:
        self._context.rules = rules

    def _exchange_ended(self, exchange: LoggedExchange) -> None:
        self.admission.open -= 1
        scope, missed = exchange.scope, MISSED in exchange.tags
        end = exchange.aborted_at or exchange.response_sent_at or exchange.ws_closed_at or exchange.started_at
        self._metrics.add(
            "" if exchange.rule is None else exchange.rule.rule.id,
            0 if exchange.response_head is None else exchange.response_head.status,
            (end - exchange.started_at) / 1000,
            aborted=exchange.aborted_at is not None,
            unmatched=exchange.unmatched,
            missed=missed,
        )
        if scope is None and len(self.responder.settings.outputs) == 0:
            self._unscoped += 1
        if exchange.id >= self._store.begins_at:
            self._counts.add(missed=missed, unmatched=exchange.unmatched)
            if scope is not None:
                scope.exchanges += 1
                scope.missed += missed
                scope.expired += EXPIRED in exchange.tags
                scope.served += any(tag.startswith(REPLAY_OF) for tag in exchange.tags) and not missed
                scope.unmatched += exchange.unmatched
        if self._hooks.exchange_ended is not None:
            self._hooks.exchange_ended(exchange)

    def described(self) -> dict[str, Any]:
        """Return what `GET /v1/session` shows."""
        counts = self._counts
        return {
            "sessionId": self.session_id,
            "url": self.server_url,
            "port": self._clients.port,
            "exchanges": counts.exchanges,
            "unmatched": counts.unmatched,
            "missed": counts.missed,
            "openExchanges": self.admission.open,
            "scopes": list(self.admission.scopes),
            "rules": self.rules.listed(),
        }


@dataclass(slots=True)
class _Counts:
    """What is counted since the last reset."""

    exchanges: int = 0
    missed: int = 0
    unmatched: int = 0

    def add(self, *, missed: bool, unmatched: bool) -> None:
        """Count an exchange that has ended."""
        self.exchanges += 1
        self.missed += missed
        self.unmatched += unmatched


class _NeverBehind:
    """Requests for the control API do not wait for the disk."""

    behind = False

    async def wait_for_room(self) -> None:
        """See `Backpressure`."""


def _own_context(
    context: ServerContext, silent: ExchangeLog, steps: CompiledSteps, responder: Responder, recording: Recording
) -> ServerContext:
    """Return the context of the control API's own port: no rule, no log, no way to another server."""
    return replace(
        context,
        rules=RuleSet(()),
        unmatched=steps,
        exchange_log=silent,
        connection_log=ConnectionLog(recording.log, frozenset(), recording.bodies, keeps_data=False),
        backpressure=_NeverBehind(),
        timeouts=Timeouts(),
        limits=Limits(),
        cors=None,
        match_limit=_BODY_LIMIT,
        interception=Interception(TlsSettings(), responder.server_contexts),
        socks_methods=None,
        relays_unknown=False,
        proxy_auth=None,
        is_reverse_proxy=True,
        simulates_connection_errors=False,
        control=None,
    )
