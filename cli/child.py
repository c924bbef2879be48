"""`run … -- COMMAND`: the process that is recorded, its environment, its signals, its exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Mapping, Sequence

import anyio
from anyio.abc import Process

from mockrec.cli import printing

NOT_EXECUTABLE = 126
NOT_FOUND = 127
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_KILL_SECONDS = 5.0


class Child:
    """COMMAND, once."""

    def __init__(self, command: Sequence[str], no_proxy: str | None, *, stdout_taken: bool) -> None:
        """`stdout_taken`: the log goes to stdout, so COMMAND's output goes to stderr."""
        self._command = list(command)
        self._no_proxy = no_proxy
        self._stdout_taken = stdout_taken
        self._process: Process | None = None
        self._done = anyio.Event()

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def run(self, url: str, port: int) -> int:
        """Start it and wait for its end; the exit code for mockrec (128+N for a signal)."""
        try:
            self._process = await anyio.open_process(
                self._command,
                stdin=None,
                stdout=sys.stderr.fileno() if self._stdout_taken else None,
                stderr=None,
                env=environment(os.environ, url, port, self._no_proxy),
            )
        except OSError as error:
            printing.fail(f"cannot run {printing.escape(self._command[0])}: {error.strerror or error}")
            return NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
        try:
            code = await self._process.wait()
        finally:
            self._done.set()
        return 128 - code if code < 0 else code

    def signal(self, number: int) -> None:
        """Pass a signal on."""
        if self._process is not None and self.running:
            self._process.send_signal(number)  # type: ignore[arg-type]

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self.running:
            self._process.kill()

    async def end(self) -> None:
        """SIGTERM, and after a while SIGKILL."""
        self.signal(signal.SIGTERM)
        with anyio.move_on_after(_KILL_SECONDS):
            await self._done.wait()
        self.kill()


def environment(outer: Mapping[str, str], url: str, port: int, no_proxy: str | None) -> dict[str, str]:
    """The environment of COMMAND: the recorder is its proxy, loopback included."""
    env = dict(outer)
    for name in _PROXY_VARIABLES:
        env[name] = env[name.lower()] = url
    # Loopback is where tests have their servers: exceptions for it would hide them from the recorder.
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = no_proxy or ""
    env["MOCKREC_URL"] = url
    env["MOCKREC_PORT"] = str(port)
    return env
