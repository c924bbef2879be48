"""A recording by one process: it answers and records."""

from __future__ import annotations

from anyio.abc import TaskGroup

from mockrec.engine.run.run import Run, kept_types
from mockrec.engine.run.server import Server
from mockrec.engine.run.settings import Hooks, RunSettings
from mockrec.engine.server.listener import Listener
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.transport.sockets import bind


class Single(Run):
    """A recording whose server is here."""

    def __init__(self, settings: RunSettings, hooks: Hooks) -> None:
        super().__init__(settings, hooks, drop=settings.drop)
        self._listener: Listener | None = None
        self._sockets = bind(settings.server.host, settings.server.ports)

    def _make_server(self, handlers: Handlers) -> Server:
        return Server(self.settings, self.hooks, handlers)

    def _listen(self) -> Listener:
        self._listener = self._server.build(self._sockets, self._recording, kept_types(self.settings))
        return self._listener

    async def _start(self, serving: TaskGroup) -> bool:
        await self._server.start(serving)
        return True

    async def _stop(self, serving: TaskGroup) -> None:
        await self._server.stop(serving)

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for sock in self._sockets:
            sock.close()

    def _give_up(self, error: dict[str, str]) -> None:
        if self._listener is not None:
            self._listener.give_up(error)

    def hurry(self) -> None:
        self._server.hurry()
        super().hurry()

    def stop_answering(self) -> None:
        self._server.stop_answering()
