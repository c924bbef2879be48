"""Waits for what another process says or writes: there is no event outside of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECONDS = 60.0  # ends what hangs: on a busy machine things take their time


def until(holds: Callable[[], bool], what: str | Callable[[], str] = "it did not happen") -> None:
    """Wait until it holds; `what` has not happened if it never does."""
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.005)


def until_there(path: Path, process: Any = None, said: Callable[[], str] = str) -> None:
    """Wait for a file that another program makes; if that is a `process` of ours which ends instead, `said` tells why."""

    def there() -> bool:
        if path.exists():
            return True
        assert process is None or process.poll() is None, said()
        return False

    until(there, f"{path.name} is not there")


def until_said(run: Any, words: str) -> None:
    """Wait for words on stderr."""
    until(lambda: words in run.stderr, lambda: str(run.stderr))


def until_recorded(run: Any, kind: str, count: int = 1) -> None:
    """Wait for so many records of a type in the log, which they reach within 50 ms of their cause."""
    until_logged(run.log, f'"type":"{kind}"', count)


def until_logged(log: Path, words: str, count: int = 1) -> None:
    """Wait for words to reach the log, so many times."""
    until(lambda: log.read_bytes().count(words.encode()) >= count, f"{words} is not in the log")


def to_the_end(sock: socket.socket) -> bytes:
    """All that comes until the other side ends it, in whatever way."""
    said = b""
    try:
        while data := sock.recv(65536):
            said += data
    except ConnectionResetError:
        pass
    return said
