"""SIGINT and SIGTERM outside of a running event loop (there, `signals.py` has them): they end the command in time.

While the program starts nothing is to be kept, so it leaves at once. Later the signal is raised as a
`KeyboardInterrupt`, so that temporary files are removed; and what does not heed that within a moment is ended all the
same. This module imports next to nothing: it is there before the rest of the program is.

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
"""What a command gets to tidy up after a signal."""
_EXIT_SECONDS: Final = 0.4
"""What the interpreter gets to end: it waits for threads and exit functions of whoever has some."""
_AGAIN_SECONDS: Final = 0.1
"""A signal whose handler has not run after this time is sent again."""


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command."""


class _State:
    """One a process, as signal handlers are."""

    received: int | None = None
    is_process = False
    is_ending = False
    handled = 0
    """How many times a handler has run."""
    sent_again_at = float("-inf")


def received() -> int | None:
    """The signal that has come, if one has."""
    return _State.received


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """A signal ends the process at once, with 128+N and without a word, as long as this lasts."""
    with _sending_again(), _handling(_leave):
        yield


@contextmanager
def raising() -> Iterator[None]:
    """A signal is raised as `Interrupted`; what does not end on it in time is ended."""
    with _sending_again(), _handling(_raise):
        yield


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    _State.handled += 1
    again = _State.received is not None
    if again and time.monotonic() < _State.sent_again_at + _AGAIN_SECONDS:
        return  # it has been handled just before the thread sent it again
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


@contextmanager
def _sending_again() -> Iterator[None]:
    """Signals that the main thread has not acted on are sent to it again, as long as this lasts."""
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
    if is_process and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_forget)


def _block() -> None:
    """A process is to be forked; until it has forgotten our handlers, its signals wait."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORGOTTEN)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORGOTTEN)


def _forget() -> None:
    """A process that a user's function forks acts on signals as any other: ours would keep it from ending, and the
    interpreter would tell our threads of its signals."""
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
