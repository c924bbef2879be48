"""A recording by one process, which answers and records."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.run.prefetch import prefetch
from mockrec.engine.run.run import Run, kept_types
from mockrec.engine.run.server import Server
from mockrec.engine.run.settings import Hooks, RunSettings
from mockrec.engine.server.listener import Listener
from mockrec.engine.transport.sockets import bind

if TYPE_CHECKING:
    from mockrec.engine.run.control.control import Control

_CONTROL_SECONDS = 0.5
"""What requests for the control API get at the end."""


class SingleProcessRun(Run):
    """A recording whose server is in this process."""

    def __init__(self, settings: RunSettings, hooks: Hooks) -> None:
        super().__init__(settings, hooks, drop=settings.drop)
        self._server: Server | None = None
        """Built when the recording begins."""
        self._control: Control | None = None
        self._sockets = bind(settings.server.host, settings.server.ports)
        self._control_sockets: list[socket.socket] = []
        if settings.control is not None:
            try:
                self._control_sockets = bind("127.0.0.1", settings.control.ports)
            except BaseException:
                self._close()
                raise

    def _listen(self) -> Listener:
        server = self._server = Server(
            self._responder, self.hooks, self._sockets, self._recording, kept_types(self.settings)
        )
        if self.settings.control is not None:
            self._control = server.attach(self.settings.control, self._control_sockets)
        if self._hurry.is_set():
            server.hurry()
        return server.listener

    @property
    def control_url(self) -> str | None:
        return None if self._control is None else self._control.url

    async def _finish_control(self) -> None:
        if self._control is not None:
            await self._control.finish()

    async def _start(self, serving: TaskGroup) -> bool:
        assert self._server is not None
        await self._server.start(serving)
        if self._control is not None:
            await self._control.start(serving)
        self._background.start_soon(prefetch)  # begins when the caller first waits: it has told that it is ready then
        return True

    async def listen_also(self, sock: socket.socket) -> None:
        assert self._server is not None
        await self._server.listener.listen_also(sock)

    async def _use(self, loaded: Loaded) -> None:
        assert self._server is not None
        await self._server.use(loaded)

    async def _stop(self, serving: TaskGroup) -> None:
        assert self._server is not None
        if self._control is not None:
            with anyio.move_on_after(_CONTROL_SECONDS):
                await self._control.stop()
        await self._server.stop(serving)

    def _close(self) -> None:
        if self._server is not None:
            self._server.listener.close()
        if self._control is not None:
            self._control.close()
        for sock in (*self._sockets, *self._control_sockets):
            sock.close()

    def _give_up(self, error: dict[str, str]) -> None:
        if self._server is not None:
            self._server.give_up(error)

    def hurry(self) -> None:
        if self._server is not None:
            self._server.hurry()
        super().hurry()

    def stop_answering(self) -> None:
        if self._server is not None:
            self._server.stop_answering()
