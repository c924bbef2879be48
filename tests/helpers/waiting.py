"""Wait for output of another process, by polling: the process gives no event that a test could wait for."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECONDS = 60.0  # ends a test that hangs, also on a busy machine


def until(holds: Callable[[], bool], what: str | Callable[[], str] = "it did not happen") -> None:
    """Wait until `holds()` is true; `what` is the error message if it never is."""
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.005)


def until_there(path: Path, process: Any = None, said: Callable[[], str] = str) -> None:
    """Wait for a file that another program makes. If `process` ends first, fail with the text of `said`."""

    def there() -> bool:
        if path.exists():
            return True
        assert process is None or process.poll() is None, said()
        return False

    until(there, f"{path.name} does not exist")


def until_said(run: Any, words: str) -> None:
    """Wait for a text on stderr."""
    until(lambda: words in run.stderr, lambda: str(run.stderr))


def until_recorded(run: Any, kind: str, count: int = 1) -> None:
    """Wait for `count` records of a type in the log, which they reach within 50 ms of their cause."""
    until_logged(run.log, f'"type":"{kind}"', count)


def until_logged(log: Path, words: str, count: int = 1) -> None:
    """Wait until the log contains a text `count` times."""
    until(lambda: log.read_bytes().count(words.encode()) >= count, f"{words} is not in the log")


def to_the_end(sock: socket.socket) -> bytes:
    """Return all bytes until the peer closes or resets the connection."""
    said = b""
    try:
        while data := sock.recv(65536):
            said += data
    except ConnectionResetError:
        pass
    return said
