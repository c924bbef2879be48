"""SIGINT and SIGTERM outside of a running event loop (there, `signals.py` has them): they end the command in time.

While the program starts nothing is to be kept, so it leaves at once. Later the signal is raised as a
`KeyboardInterrupt`, so that temporary files are removed; and what does not heed that within a moment is ended all the
same. This module imports next to nothing: it is there before the rest of the program is.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

NUMBERS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name))
TIDY_SECONDS: Final = 0.8
"""What a command gets to tidy up after a signal."""
_EXIT_SECONDS: Final = 0.4
"""What the interpreter gets to end: it waits for threads and exit functions of whoever has some."""


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command."""


class _State:
    """One a process, as signal handlers are."""

    received: int | None = None
    is_process = False
    is_ending = False


def received() -> int | None:
    """The signal that has come, if one has."""
    return _State.received


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """A signal ends the process at once, with 128+N and without a word, as long as this lasts."""
    with _handling(_leave):
        yield


@contextmanager
def raising() -> Iterator[None]:
    """A signal is raised as `Interrupted`; what does not end on it in time is ended."""
    with _handling(_raise):
        yield


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    again = _State.received is not None
    _State.received = number
    if again:
        os._exit(128 + number)
    exit_in(TIDY_SECONDS, 128 + number)
    raise Interrupted


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are not ours to handle there
        return
    before: dict[int, Any] = {}
    for number in NUMBERS:
        found = signal.getsignal(number)
        if found is not signal.SIG_IGN:  # started in the background, or with nohup: it shall go on
            before[number] = found
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, found in before.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, found)


def exit_in(seconds: float, code: int) -> None:
    """End the process after a while, whatever still runs."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def ending_with(code: int) -> int:
    """The same code. All is done and said but the end of the event loop and of the interpreter: a process of ours is
    given no long time for that, and no signal changes anything any more."""
    if _State.is_process:
        _end_with(code)
    return code


def begin(*, is_process: bool) -> None:
    """A command line begins; `is_process`: the process ends with it."""
    _State.received = None
    _State.is_process = is_process


def _end_with(code: int) -> None:
    if _State.is_ending:
        return
    _State.is_ending = True
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _quietly(code))
    exit_in(_EXIT_SECONDS, code)


def _quietly(code: int) -> Callable[[int, FrameType | None], None]:
    def leave(number: int, frame: FrameType | None) -> None:
        os._exit(code)

    return leave
