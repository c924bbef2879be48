"""Waits for what another process says or writes: there is no event outside of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECONDS = 20.0


def until(holds: Callable[[], bool], what: str | Callable[[], str] = "it did not happen") -> None:
    """Wait until it holds; `what` has not happened if it never does."""
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.005)


def until_there(path: Path) -> None:
    """Wait for a file that another program makes."""
    until(path.exists, f"{path.name} is not there")


def until_said(run: Any, words: str) -> None:
    """Wait for words on stderr."""
    until(lambda: words in run.stderr, lambda: str(run.stderr))


def until_logged(log: Path, words: str, count: int = 1) -> None:
    """Wait for words to reach the log, so many times."""
    until(lambda: log.read_bytes().count(words.encode()) >= count, f"{words} is not in the log")
