"""The process of one worker: a server whose records go to its parent.

Started as `python -P -m mockrec.engine.run.workers.worker CONTROL RECORDS SOCKET…`: file descriptors of the socket for
messages, the socket for records, and the listening sockets.
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
from mockrec.engine.pickle_frames import to_frame
from mockrec.engine.process import has_uvloop, keep_from_forks, tune_garbage_collection
from mockrec.engine.recording.recording import Recording
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.run.prefetch import prefetch
from mockrec.engine.run.responder import Responder
from mockrec.engine.run.server import Server
from mockrec.engine.run.settings import Hooks
from mockrec.engine.run.workers import batches, messages
from mockrec.engine.run.workers.left_out import LeftOutRecords
from mockrec.engine.run.workers.messages import Assignment, receive
from mockrec.engine.run.workers.progress import WorkerProgress
from mockrec.engine.run.workers.socket_sink import SocketSink
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.usercode.calls import report_failures
from mockrec.engine.usercode.failure import Failure
from mockrec.engine.usercode.watch import left_behind, watch_functions
from mockrec.formats.schema.errors import FormatError, OutputError

_REPORT_SECONDS = 0.04
_ORPHAN_SECONDS = 2.0
"""What a worker gets to end when its parent has died, which then reads no more records."""


class Worker:
    """One worker, with its two sockets."""

    def __init__(
        self, assignment: Assignment, writer: asyncio.StreamWriter, records: socket.socket, sockets: list[socket.socket]
    ) -> None:
        """Raises ConfigError."""
        clock.use_anchor(assignment.anchor)
        settings = assignment.settings
        redact, secrets = settings.record.redact, settings.loaded.secrets
        self._redactor = Redactor.of(redact, os.environ, secrets, assignment.redaction_key)
        self._progress = WorkerProgress(self._redactor, reports_exchanges=assignment.reports_exchanges)
        self._progress.rules_replaced(assignment.version)
        self._writer = writer
        self._stop = anyio.Event()
        self._reloading = anyio.Lock()
        hooks = Hooks(self._progress.exchange_ended, self._send_defect, failure=self._send_failure, warn=self._warn)
        self._responder = Responder(settings, hooks, Handlers())
        sinks = [SocketSink(records)] if assignment.types else []
        self._recording = Recording(
            settings, self._redactor, self._recording_failed, drop=settings.drop, sinks=sinks, pack=batches.pack
        )
        self._left_out = LeftOutRecords()
        self._recording.recorder.on_left_out = self._left_out.add
        self._server = Server(self._responder, hooks, sockets, self._recording, assignment.types)

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Serve until the parent sends `Stop`, or has died."""
        report_failures(self._send_failure)
        async with anyio.create_task_group() as background:
            background.start_soon(watch_functions, self._warn)
            background.start_soon(self._take_messages, reader, background)
            async with anyio.create_task_group() as serving:
                await self._server.start(serving)
                background.start_soon(self._report_regularly)
                tune_garbage_collection()
                self._send(messages.Ready())
                background.start_soon(prefetch)
                await self._stop.wait()
                await self._server.stop(serving)
            background.cancel_scope.cancel()
        for sentence in left_behind():
            self._warn(sentence)
        self._server.listener.close()
        await self._recording.close(None)
        self._responder.close()
        self._report()
        with contextlib.suppress(ConnectionError):  # the parent may have died
            await self._writer.drain()

    async def _take_messages(self, reader: asyncio.StreamReader, background: TaskGroup) -> None:
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
        self._end_as_orphan()

    async def _reload(self, loaded: Loaded, version: int) -> None:
        async with self._reloading:
            try:
                await self._server.use(loaded)
            except ConfigError as error:  # it names handlers that this process cannot load
                self._send(messages.StartRefused(str(error)))
                return
            self._progress.rules_replaced(version)
            if self._redactor is not None:
                self._redactor.remember_values(loaded.secrets)

    def _end_as_orphan(self) -> None:
        """End soon: the parent has died."""
        timer = threading.Timer(_ORPHAN_SECONDS, os._exit, (1,))  # even if a function of the user's still runs
        timer.daemon = True
        timer.start()
        self._server.hurry()
        self._stop.set()

    async def _report_regularly(self) -> None:
        while True:
            await anyio.sleep(_REPORT_SECONDS)
            self._report()

    def _report(self) -> None:
        progress = self._progress.take(self._responder.rules, self._recording.bodies)
        if progress is not None:
            self._send(progress)
        left_out = self._left_out.take()
        if left_out is not None:
            self._send(left_out)

    def _send_defect(self, error: BaseException) -> None:
        text, name = "".join(traceback.format_exception(error)), f"{type(error).__name__}: {error}"
        if self._redactor is not None:
            text, name = self._redactor.text(text), self._redactor.text(name)
        self._send(messages.Defect(name, text))

    def _warn(self, sentence: str) -> None:
        self._send(messages.Warned(sentence))

    def _send_failure(self, failure: Failure) -> None:
        self._send(messages.UserFailure(failure))

    def _recording_failed(self, error: FormatError) -> None:
        file, text = (error.file, error.message) if isinstance(error, OutputError) else ("the log", str(error))
        self._send(messages.Failed(file, text))

    def _send(self, message: messages.Message) -> None:
        if not self._writer.is_closing():  # otherwise the parent has died
            self._writer.write(to_frame(message))


async def _serve(control: int, records: int, listening: list[int]) -> None:
    """Receive the assignment and serve it; end the process."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=control))
    assignment = await receive(reader)
    if assignment is None:
        return
    sockets = [socket.socket(fileno=fd) for fd in listening]
    try:
        worker = Worker(assignment, writer, socket.socket(fileno=records), sockets)
    except ConfigError as error:
        writer.write(to_frame(messages.StartRefused(str(error))))
        await writer.drain()
        return
    await worker.serve(reader)
    writer.close()
    with contextlib.suppress(OSError), anyio.move_on_after(_ORPHAN_SECONDS):
        await writer.wait_closed()  # until its buffer is sent
    with contextlib.suppress(OSError, ValueError):  # a function of the user's may have closed them
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)  # threads that the user's functions have left behind would keep the process alive


def main() -> None:
    """Run the worker."""
    control, records, *listening = map(int, sys.argv[1:])
    for descriptor in (control, records, *listening):
        # A process that a handler starts must not inherit them: the parent would wait for its end as well.
        os.set_inheritable(descriptor, False)
    keep_from_forks(lambda: (control, records))
    anyio.run(_serve, control, records, listening, backend_options={"use_uvloop": has_uvloop()})


if __name__ == "__main__":
    main()
