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

from mockrec.engine.run.workers.messages import Assignment, Message, packed, receive

_READ_BYTES = 256 * 1024


class WorkerProcess:
    """A process, from its start to its end. `take` gets its records (`batches.py`) as bytes, `hear` messages."""

    def __init__(self, number: int, take: Callable[[bytes], Awaitable[None]], hear: Callable[[Message], None]) -> None:
        self.number = number
        """From 1."""
        self.ready = False
        self._take = take
        self._hear = hear
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.taking = False
        """Whether its records are being taken: it may have to wait for that."""
        self.last_sign = anyio.current_time()
        """When something has come from it last, in the loop's seconds."""

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def __str__(self) -> str:
        return f"worker {self.number}" + (f" (pid {self._process.pid})" if self._process is not None else "")

    async def work(
        self, assignment: Callable[[], Assignment], sockets: Sequence[socket.socket], *, stdout: int | None
    ) -> str:
        """Run the process to its end; how it ended, in words, empty for a good end.

        What it is to serve is asked for when it can be told: rules may be read again while it starts.
        """
        control, its_control = socket.socketpair()
        link, its_link = socket.socketpair()
        given = [its_control, its_link, *sockets]
        with link:
            link.setblocking(False)
            try:
                # Of a session of its own: a terminal's Ctrl-C is for the parent, which says when to end.
                process = self._process = await anyio.open_process(
                    [
                        sys.executable,
                        "-P",
                        "-m",
                        "mockrec.engine.run.workers.worker",
                        *(str(one.fileno()) for one in given),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=None,
                    pass_fds=[one.fileno() for one in given],
                    start_new_session=True,
                )
            finally:
                its_control.close()
                its_link.close()
            ours = [link, control.dup()]
            reader, self._writer = await asyncio.open_connection(sock=control)
            self.tell(assignment())
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._read_lines, link)
                    group.start_soon(_end_with, process, ours)
                    while (message := await receive(reader)) is not None:
                        self.last_sign = anyio.current_time()
                        self._hear(message)
                return _words(await process.wait())
            finally:
                self._writer.close()
                ours[1].close()
                if process.returncode is None:
                    self.kill()
                    with anyio.CancelScope(shield=True):
                        await process.wait()

    async def _read_lines(self, link: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while data := await loop.sock_recv(link, _READ_BYTES):
                self.last_sign = anyio.current_time()
                self.taking = True
                await self._take(data)
                self.taking = False

    def tell(self, message: Message) -> None:
        """Send a message; without a word if it is too late."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(packed(message))

    def kill(self) -> None:
        """End it without asking."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


async def _end_with(process: Process, sockets: Sequence[socket.socket]) -> None:
    """Once the process has ended nothing more comes on its sockets, whoever else holds their other ends: a process that
    a handler has forked. What has come by then is still read."""
    await process.wait()
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RD)


def _words(code: int) -> str:
    if code == 0:
        return ""
    if code > 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
