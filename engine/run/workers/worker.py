"""The process that is one worker: a server whose records go to its parent.

Started as `python -P -m mockrec.engine.run.workers.worker CONTROL LINK SOCKET…`, all of them file descriptors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import threading
import traceback

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.errors import ConfigError
from mockrec.engine.process import has_uvloop, keep_from_forks, tune_garbage_collection
from mockrec.engine.recording.recording import Recording
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.run.server import Server
from mockrec.engine.run.settings import Hooks
from mockrec.engine.run.workers import batches, messages
from mockrec.engine.run.workers.left_out import LeftOutNotes
from mockrec.engine.run.workers.messages import Assignment, packed, receive
from mockrec.engine.run.workers.progress import WorkerProgress
from mockrec.engine.run.workers.socket_sink import LinkSink
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.usercode.calls import report_failures
from mockrec.engine.usercode.failure import Failure
from mockrec.engine.usercode.watch import left_behind, watch_functions
from mockrec.formats.schema.errors import FormatError, OutputError

_TELL_SECONDS = 0.04
_ORPHAN_SECONDS = 2.0
"""What a worker takes to end when its parent is gone: then nobody reads its records."""


class Worker:
    """One, with its two sockets."""

    def __init__(
        self, assignment: Assignment, writer: asyncio.StreamWriter, link: socket.socket, sockets: list[socket.socket]
    ) -> None:
        """Raises ConfigError."""
        clock.use_anchor(assignment.anchor)
        settings = assignment.settings
        redact, secrets = settings.record.redact, settings.loaded.secrets
        self._redactor = Redactor.of(redact, os.environ, secrets, assignment.redaction_key)
        self._tally = WorkerProgress(self._redactor, tells_exchanges=assignment.tells_exchanges)
        self._tally.renew(assignment.version)
        self._writer = writer
        self._stop = anyio.Event()
        self._reloading = anyio.Lock()
        hooks = Hooks(self._tally.ended, self._defect, failure=self._failure, warn=self._warn)
        self._server = Server(settings, hooks, Handlers())
        sinks = [LinkSink(link)] if assignment.kept else []
        self._recording = Recording(
            settings, self._redactor, self._failed, drop=settings.drop, sinks=sinks, pack=batches.pack
        )
        self._left_out = LeftOutNotes()
        self._recording.recorder.on_left_out = self._left_out.add
        self._listener = self._server.build(sockets, self._recording, assignment.kept)

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Until the parent says stop, or is gone."""
        report_failures(self._failure)
        async with anyio.create_task_group() as background:
            background.start_soon(watch_functions, self._warn)
            background.start_soon(self._obey, reader, background)
            async with anyio.create_task_group() as serving:
                await self._server.start(serving)
                background.start_soon(self._tell)
                tune_garbage_collection()
                self._send(messages.Ready())
                await self._stop.wait()
                await self._server.stop(serving)
            background.cancel_scope.cancel()
        for sentence in left_behind():
            self._warn(sentence)
        self._listener.close()
        await self._recording.close(None)
        self._server.close()
        self._tell_progress()
        with contextlib.suppress(ConnectionError):  # the parent may be gone
            await self._writer.drain()

    async def _obey(self, reader: asyncio.StreamReader, background: TaskGroup) -> None:
        while (message := await receive(reader)) is not None:
            match message:
                case messages.Reload(loaded, version):
                    background.start_soon(self._reload, loaded, version)
                case messages.StopAnswering():
                    self._server.stop_answering()
                case messages.Stop():
                    self._stop.set()
                case messages.Hurry():
                    self._server.hurry()
        self._orphaned()

    async def _reload(self, loaded: Loaded, version: int) -> None:
        async with self._reloading:
            try:
                await self._server.use(loaded)
            except ConfigError as error:  # handlers that this process cannot load
                self._send(messages.StartRefused(str(error)))
                return
            self._tally.renew(version)
            if self._redactor is not None:
                self._redactor.remember_values(loaded.secrets)

    def _orphaned(self) -> None:
        timer = threading.Timer(_ORPHAN_SECONDS, os._exit, (1,))  # whatever still runs then
        timer.daemon = True
        timer.start()
        self._server.hurry()
        self._stop.set()

    async def _tell(self) -> None:
        while True:
            await anyio.sleep(_TELL_SECONDS)
            self._tell_progress()

    def _tell_progress(self) -> None:
        progress = self._tally.progress(self._server.rules, self._recording.bodies)
        if progress is not None:
            self._send(progress)
        left_out = self._left_out.take()
        if left_out is not None:
            self._send(left_out)

    def _defect(self, error: BaseException) -> None:
        text, name = "".join(traceback.format_exception(error)), f"{type(error).__name__}: {error}"
        if self._redactor is not None:
            text, name = self._redactor.text(text), self._redactor.text(name)
        self._send(messages.Defect(name, text))

    def _warn(self, sentence: str) -> None:
        self._send(messages.Warned(sentence))

    def _failure(self, failure: Failure) -> None:
        self._send(messages.UserFailure(failure))

    def _failed(self, error: FormatError) -> None:
        told = (error.file, error.message) if isinstance(error, OutputError) else ("the log", str(error))
        self._send(messages.Failed(*told))

    def _send(self, message: messages.Message) -> None:
        if not self._writer.is_closing():  # else the parent is gone
            self._writer.write(packed(message))


async def _work(control: int, link: int, listening: list[int]) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=control))
    assignment = await receive(reader)
    if assignment is None:
        return
    sockets = [socket.socket(fileno=fd) for fd in listening]
    try:
        worker = Worker(assignment, writer, socket.socket(fileno=link), sockets)
    except ConfigError as error:
        writer.write(packed(messages.StartRefused(str(error))))
        await writer.drain()
        return
    await worker.serve(reader)
    writer.close()
    with contextlib.suppress(OSError), anyio.move_on_after(_ORPHAN_SECONDS):
        await writer.wait_closed()  # what it still holds has gone out then
    with contextlib.suppress(OSError, ValueError):  # a function of the user's may have closed them
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)  # all is said; threads and tasks that the user's functions have left would keep the process


def main() -> None:
    """The entry of the process."""
    control, link, *listening = map(int, sys.argv[1:])
    for descriptor in (control, link, *listening):
        # What a handler starts must not hold them: the parent would wait for its end too.
        os.set_inheritable(descriptor, False)
    keep_from_forks(lambda: (control, link))
    anyio.run(_work, control, link, listening, backend_options={"use_uvloop": has_uvloop()})


if __name__ == "__main__":
    main()
