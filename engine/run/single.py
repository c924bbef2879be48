"""A recording by one process, which answers and records."""

from __future__ import annotations

import socket

from anyio.abc import TaskGroup

from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.run.run import Run, kept_types
from mockrec.engine.run.server import Server
from mockrec.engine.run.settings import Hooks, RunSettings
from mockrec.engine.server.listener import Listener
from mockrec.engine.transport.sockets import bind


class SingleProcessRun(Run):
    """A recording whose server is in this process."""

    def __init__(self, settings: RunSettings, hooks: Hooks) -> None:
        super().__init__(settings, hooks, drop=settings.drop)
        self._server: Server | None = None
        """Built when the recording begins."""
        self._sockets = bind(settings.server.host, settings.server.ports)

    def _listen(self) -> Listener:
        server = self._server = Server(
            self._responder, self.hooks, self._sockets, self._recording, kept_types(self.settings)
        )
        if self._hurry.is_set():
            server.hurry()
        return server.listener

    async def _start(self, serving: TaskGroup) -> bool:
        assert self._server is not None
        await self._server.start(serving)
        return True

    async def listen_also(self, sock: socket.socket) -> None:
        assert self._server is not None
        await self._server.listener.listen_also(sock)

    async def _use(self, loaded: Loaded) -> None:
        assert self._server is not None
        await self._server.use(loaded)

    async def _stop(self, serving: TaskGroup) -> None:
        assert self._server is not None
        await self._server.stop(serving)

    def _close(self) -> None:
        if self._server is not None:
            self._server.listener.close()
        for sock in self._sockets:
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
