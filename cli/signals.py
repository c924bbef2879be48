"""Signals while an event loop runs, received by a thread, so that they have an effect even if the loop is blocked.

The interpreter writes each signal's number to a socket (`signal.set_wakeup_fd`); a thread reads it and passes it to the
loop. If the loop does not take it in time, the thread ends the run. asyncio's own signal handlers need a loop that is
not blocked.
"""

from __future__ import annotations

import asyncio
import select
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import anyio

_TICK_SECONDS: Final = 0.2
_TWICE_SECONDS: Final = 1.0
"""Seconds for the loop to take a signal after a second one was received."""
_CHECK_SECONDS: Final = 0.5
"""Seconds between two checks that the handlers are still installed: a library may have replaced them."""


class Signals:
    """The received signals: `async for number in signals`."""

    def __init__(self, patience: float, held_up: Callable[[int], None]) -> None:
        """`held_up` is called in the thread, once, if the loop has not taken a signal after `patience` seconds, or
        soon after a second one. Create it in the loop."""
        self._patience = patience
        self._held_up = held_up
        self._ours, self._theirs = socket.socketpair()
        for end in (self._ours, self._theirs):
            end.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._into, self._out = anyio.create_memory_object_stream[int](1000)
        self._unheard: tuple[float, int] | None = None
        """The first signal that the loop has not taken, and its time."""
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[int]:
        async for number in self._out:
            yield number

    @contextmanager
    def received(self, numbers: Sequence[int]) -> Iterator[None]:
        """Context that receives these signals; in the main thread only."""
        before = {number: signal.signal(number, self._handle) for number in numbers}
        fd = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        thread = threading.Thread(target=self._run, args=(frozenset(numbers),), name="mockrec-signals", daemon=True)
        thread.start()
        checking = self._loop.call_later(_CHECK_SECONDS, self._check, tuple(numbers))
        self._checking = checking
        try:
            yield
        finally:
            self._closed = True
            self._theirs.send(b"\0")
            self._checking.cancel()
            signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
            thread.join()
            self._ours.close()
            self._theirs.close()
            self._into.close()
            self._out.close()

    def _check(self, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            if signal.getsignal(number) != self._handle:
                signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        self._checking = self._loop.call_later(_CHECK_SECONDS, self._check, numbers)

    def _handle(self, number: int, frame: Any) -> None:
        """Python's own handler: the thread has the number, unless another library has replaced the descriptor."""
        fd = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        if fd != self._theirs.fileno():
            self._theirs.send(bytes([number]))

    # ── in the thread ──────────────────────────────────────────────────────────────────────────────

    def _run(self, numbers: frozenset[int]) -> None:
        while not self._closed:
            if select.select([self._ours], [], [], _TICK_SECONDS)[0]:
                for number in self._ours.recv(64):
                    if number in numbers:
                        self._hear(number)
            unheard = self._unheard
            if unheard is not None and time.monotonic() > unheard[0] + self._patience:
                self._held_up(unheard[1])
                return

    def _hear(self, number: int) -> None:
        now = time.monotonic()
        if self._unheard is None:
            self._unheard = now, number
        else:  # the loop has not taken the first one yet
            self._unheard = min(self._unheard[0], now - self._patience + _TWICE_SECONDS), self._unheard[1]
        try:
            self._loop.call_soon_threadsafe(self._deliver, number)
        except RuntimeError:
            pass  # the loop has ended

    def _deliver(self, number: int) -> None:
        self._unheard = None
        try:
            self._into.send_nowait(number)
        except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # a thousand signals are waiting
