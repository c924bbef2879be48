"""SIGINT and SIGTERM outside a running event loop (`signals.py` handles them inside): they end the command in time.

While the program starts there is nothing to keep, so the process exits at once. Later the signal is raised as a
`KeyboardInterrupt`, so that temporary files are removed; a process that does not end within a moment is ended anyway.
This module imports almost nothing, because it is loaded before the rest of the program.

The interpreter runs a signal's handler between two instructions of the main thread. A signal that arrives after its
last look and before a blocking system call would wait for the end of that call, which may never come. So the
interpreter also writes the number of each signal to a pipe (`signal.set_wakeup_fd`), where a thread reads it: a signal
whose handler has not run soon is sent to the main thread again, which interrupts the call.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

NUMBERS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name))
_FORGOTTEN: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
TIDY_SECONDS: Final = 0.8
"""Seconds for a command to clean up after a signal."""
_EXIT_SECONDS: Final = 0.4
"""Seconds for the interpreter to end: it waits for threads and exit functions."""
_AGAIN_SECONDS: Final = 0.1
"""Seconds after which a signal whose handler has not run is sent again."""


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command."""


class _State:
    """The state of a process: signal handlers are per process."""

    received: int | None = None
    is_process = False
    is_ending = False
    handled = 0
    """Number of handler calls."""
    sent_again_at = float("-inf")


def received() -> int | None:
    """Return the signal that was received, or None."""
    return _State.received


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Context in which signal N ends the process at once and silently, with exit code 128+N."""
    with _sending_again(), _handling(_leave):
        yield


@contextmanager
def raising() -> Iterator[None]:
    """Context in which a signal raises `Interrupted`; a process that does not end in time is ended."""
    with _sending_again(), _handling(_raise):
        yield


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    _State.handled += 1
    again = _State.received is not None
    if again and time.monotonic() < _State.sent_again_at + _AGAIN_SECONDS:
        return  # it was handled just before the thread sent it again
    _State.received = number
    if again:
        os._exit(128 + number)
    exit_in(TIDY_SECONDS, 128 + number)
    raise Interrupted


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can handle signals
        return
    before: dict[int, Any] = {}
    for number in NUMBERS:
        found = signal.getsignal(number)
        if found is not signal.SIG_IGN:  # started in the background or with nohup: keep ignoring it
            before[number] = found
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, found in before.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, found)


@contextmanager
def _sending_again() -> Iterator[None]:
    """Context in which signals that the main thread has not handled are sent to it again."""
    if not _State.is_process or not hasattr(signal, "pthread_kill"):
        yield
        return
    pipe, end = os.pipe()
    os.set_blocking(end, False)
    before = signal.set_wakeup_fd(end, warn_on_full_buffer=False)
    thread = threading.Thread(target=_send_again, args=(pipe,), name="mockrec-interrupts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        os.close(end)  # which ends the thread


def _send_again(pipe: int) -> None:
    """In the thread: read the numbers of signals until the pipe ends."""
    handled = 0
    late = False
    while received := os.read(pipe, 64):
        time.sleep(_AGAIN_SECONDS)
        for number in NUMBERS:
            if number not in received or _State.handled != handled:
                continue
            handler = signal.getsignal(number)
            if handler is _leave:
                os._exit(128 + number)
            if handler is _raise:
                if not late:
                    late = True
                    exit_in(TIDY_SECONDS, 128 + number)  # the call may be one that nothing interrupts
                _State.sent_again_at = time.monotonic()
                signal.pthread_kill(threading.main_thread().ident or 0, number)
        handled = _State.handled
    os.close(pipe)


def exit_in(seconds: float, code: int) -> None:
    """End the process after some seconds, whatever still runs."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def ending_with(code: int) -> int:
    """Return `code`, with the time limited for the end of the event loop and the interpreter. The work is done, so
    signals have no effect any more."""
    if _State.is_process:
        _end_with(code)
    return code


def begin(*, is_process: bool) -> None:
    """Reset the state for a new command line; `is_process`: the process exits after it."""
    _State.received = None
    _State.is_process = is_process
    if is_process and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_forget)


def _block() -> None:
    """Before a fork: block signals until the child has removed the handlers."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORGOTTEN)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORGOTTEN)


def _forget() -> None:
    """After a fork, in the child of a user's function: restore the default handlers. The handlers here would keep it
    from ending, and its signals would be written to the parent's pipe."""
    signal.set_wakeup_fd(-1)
    for number in _FORGOTTEN:
        if getattr(signal.getsignal(number), "__module__", "").startswith("mockrec.cli."):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _unblock()


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
