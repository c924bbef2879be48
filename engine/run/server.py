"""The server of one process: accepts connections, answers by the rules of a `Responder`, and records."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from mockrec.engine.recording.connection_log import ConnectionLog
from mockrec.engine.recording.recording import Recording
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.run.responder import Responder
from mockrec.engine.run.settings import Hooks
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.deferred_matching import DeferredMatcher
from mockrec.engine.server.listener import Listener
from mockrec.engine.server.refusal import Refusals
from mockrec.engine.server.tls import Interception
from mockrec.engine.wire.socks.server import AuthMethod

if TYPE_CHECKING:
    from mockrec.engine.run.control.control import Control
    from mockrec.engine.run.control.settings import ControlSettings


class Server:
    """Built on bound sockets and a recording that has begun; accepts connections from `start` to `stop`."""

    def __init__(
        self,
        responder: Responder,
        hooks: Hooks,
        sockets: list[socket.socket],
        recording: Recording,
        types: frozenset[str],
    ) -> None:
        """`types` are the types of the records that are made."""
        self._responder = responder
        self._recording = recording
        self._hooks = hooks
        self._control: Control | None = None
        self._grace = anyio.CancelScope()
        self._context = _server_context(responder, hooks, recording, types)
        self.listener = Listener(sockets, responder.settings.server.host, self._context)
        responder.endpoints.add(self.listener.port)

    async def start(self, group: TaskGroup) -> None:
        """Accept connections from now on, in tasks of `group`."""
        self._responder.start(group)
        await self.listener.start(group)

    async def use(self, loaded: Loaded) -> None:
        """Answer by other rules from now on; see `Responder.use`."""
        if self._control is not None:
            await self._control.rules.use(loaded)
        else:
            await self._responder.use(loaded)
            self._context.rules = self._responder.rules

    def attach(self, settings: ControlSettings, sockets: list[socket.socket]) -> Control:
        """Let the control API of these settings control this server. `sockets` are those that it listens on."""
        # Imported here: a run without it starts sooner.
        from mockrec.engine.run.control.control import Control

        self._control = Control(
            settings, sockets, self.listener, self._context, self._responder, self._recording, self._hooks
        )
        return self._control

    def stop_answering(self) -> None:
        """End each connection after its present exchange."""
        self._context.closing = True

    def hurry(self) -> None:
        """Give running exchanges no more time."""
        self._grace.cancel()

    async def stop(self, serving: TaskGroup) -> None:
        """Give running exchanges the grace of the settings, then cancel `serving`."""
        upstream_client = self._responder.upstream_client
        with self._grace, anyio.move_on_after(self._responder.settings.grace):
            self._responder.websocket.open.leave()
            await self.listener.stop()
            await self._responder.webhooks.wait()
        upstream_client.begin_shutdown()
        serving.cancel_scope.cancel()

    def give_up(self, error: dict[str, str]) -> None:
        """Abort every open exchange with `error`. May be called while the event loop is blocked."""
        self.listener.give_up(error)


def _server_context(responder: Responder, hooks: Hooks, recording: Recording, types: frozenset[str]) -> ServerContext:
    settings = responder.settings
    server = settings.server
    exchange_log = recording.exchange_log(types)
    exchange_log.ended = hooks.exchange_ended
    return ServerContext(
        rules=responder.rules,
        unmatched=responder.unmatched_steps(),
        exchange_log=exchange_log,
        connection_log=ConnectionLog(recording.log, types, recording.bodies, keeps_data=settings.record.raw_data),
        backpressure=recording.recorder,
        timeouts=server.timeouts,
        limits=server.limits,
        cors=server.cors,
        match_limit=responder.match_limit,
        log_limit=settings.record.max_body_size,
        report_defect=hooks.defect,
        report_failure=hooks.failure,
        upstream_client=responder.upstream_client,
        upstream_options=responder.options,
        interception=Interception(settings.tls, responder.server_contexts),
        is_local_endpoint=responder.endpoints.is_local,
        refusals=Refusals(hooks.warn),
        deferred_matcher=DeferredMatcher(responder.helpers),
        socks_methods=_socks_methods(server.socks),
        http2=server.http2 != "false",
        lenient=server.lenient,
        relays_unknown="unknown-protocol" in server.passthrough,
        proxy_auth=_user_and_password(server.auth),
        is_reverse_proxy=settings.reverse_target is not None,
        simulates_connection_errors=settings.upstream.simulate_connection_errors
        and settings.unmatched == "passthrough",
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
