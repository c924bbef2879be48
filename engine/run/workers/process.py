"""One worker as its parent sees it: a process, and the two sockets to it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence

import anyio
from anyio.abc import Process

from mockrec.engine.pickle_frames import to_frame
from mockrec.engine.run.workers.messages import Assignment, Message, receive

_READ_BYTES = 256 * 1024


class WorkerProcess:
    """A worker from its start to its end."""

    def __init__(
        self,
        number: int,
        take_records: Callable[[bytes], Awaitable[None]],
        take_message: Callable[[Message], None],
    ) -> None:
        """`take_records` gets the bytes of batches (`batches.py`), `take_message` the messages."""
        self.number = number
        """From 1."""
        self.ready = False
        self._take_records = take_records
        self._take_message = take_message
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.taking = False
        """Whether its records are being taken, for which it may have to wait."""
        self.last_sign = anyio.current_time()
        """When it last sent anything, in the event loop's seconds."""

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def __str__(self) -> str:
        return f"worker {self.number}" + (f" (pid {self._process.pid})" if self._process is not None else "")

    async def run(
        self, assignment: Callable[[], Assignment], sockets: Sequence[socket.socket], *, stdout: int | None
    ) -> str:
        """Run the process to its end. Return how it ended, in words; empty for a normal end.

        `assignment` is called when the process has been started: rules may be reloaded meanwhile.
        """
        control, its_control = socket.socketpair()
        records, its_records = socket.socketpair()
        inherited = [its_control, its_records, *sockets]
        with records:
            records.setblocking(False)
            try:
                # In a session of its own: a terminal's Ctrl-C is for the parent, which decides when a worker ends.
                process = self._process = await anyio.open_process(
                    [
                        sys.executable,
                        "-P",
                        "-m",
                        "mockrec.engine.run.workers.worker",
                        *(str(one.fileno()) for one in inherited),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=None,
                    pass_fds=[one.fileno() for one in inherited],
                    start_new_session=True,
                )
            finally:
                its_control.close()
                its_records.close()
            ours = [records, control.dup()]
            reader, self._writer = await asyncio.open_connection(sock=control)
            self.send(assignment())
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._read_records, records)
                    group.start_soon(_end_with, process, ours)
                    while (message := await receive(reader)) is not None:
                        self.last_sign = anyio.current_time()
                        self._take_message(message)
                return _words(await process.wait())
            finally:
                self._writer.close()
                ours[1].close()
                if process.returncode is None:
                    self.kill()
                    with anyio.CancelScope(shield=True):
                        await process.wait()

    async def _read_records(self, records: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while data := await loop.sock_recv(records, _READ_BYTES):
                self.last_sign = anyio.current_time()
                self.taking = True
                await self._take_records(data)
                self.taking = False

    def send(self, message: Message) -> None:
        """Send a message. Does nothing if the process has not been started or has ended."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(to_frame(message))

    def kill(self) -> None:
        """Kill the process."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


async def _end_with(process: Process, sockets: Sequence[socket.socket]) -> None:
    """When the process has ended, end the input of its sockets; what was received until then is still read.

    A process that a handler has forked may hold the other ends open.
    """
    await process.wait()
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RD)


def _words(code: int) -> str:
    """How a process with this return code has ended."""
    if code == 0:
        return ""
    if code > 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
