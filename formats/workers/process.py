"""One worker process, called by one thread."""

from __future__ import annotations

import subprocess
import sys

from mockrec.formats.workers.program import READY, read_frame, write_frame

_PIPE_BYTES = 1024 * 1024
"""Of both pipes, where the system allows it: with the usual 64 KiB, a block takes dozens of turns of both processes."""


class WorkerProcess:
    """Calls a function in another process, which is started by the first call."""

    def __init__(self, function: str) -> None:
        """`function` is named as MODULE:FUNCTION; it takes and returns bytes."""
        self._function = function
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def call(self, block: bytes) -> bytes | None:
        """Return the function's result; None or empty if the caller has to do the work itself."""
        if self._closed:
            return None
        try:
            if self._process is None:
                self._process = _start(self._function)
                assert self._process.stdout is not None
                if self._process.stdout.read(len(READY)) != READY:
                    raise OSError("it writes something else")
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            write_frame(self._process.stdin, block)
            result = read_frame(self._process.stdout)
        except (OSError, ValueError):  # it was killed, or cannot be started; ValueError: `close` was called meanwhile
            result = None
        if result is None:
            self.close()
        return result

    def close(self) -> None:
        """End the process."""
        self._closed = True
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass  # a block that the process did not read


def can_start() -> bool:
    """Return whether this Python can be started again: not if it is part of a frozen or another program."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def _start(function: str) -> subprocess.Popen[bytes]:
    if sys.platform == "linux":
        try:
            return _open(function, _PIPE_BYTES)
        except PermissionError:
            pass  # the user has too many large pipes already
    return _open(function, -1)


def _open(function: str, pipe_bytes: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mockrec.formats.workers.program", function],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pipesize=pipe_bytes,
    )
