"""Signals while an event loop runs: heard by a thread, so that one is acted on even while the loop is held up.

The interpreter writes each signal's number to a socket (`signal.set_wakeup_fd`); a thread reads it and hands it to the
loop. Where the loop does not take it in time, the thread itself ends the run. asyncio's own
way to hear of signals needs the loop that may be what hangs.
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
"""What the loop gets to take a signal once a second one has come."""
_CHECK_SECONDS: Final = 0.5
"""How often the loop looks whether the handlers are still ours: a library may have put its own there."""


class Signals:
    """Signals as they come: `async for number in signals`."""

    def __init__(self, patience: float, held_up: Callable[[int], None]) -> None:
        """`held_up` is called in the thread, once, when the loop has not taken a signal after `patience` seconds, or
        soon after a second one. To be made in the loop."""
        self._patience = patience
        self._held_up = held_up
        self._ours, self._theirs = socket.socketpair()
        for end in (self._ours, self._theirs):
            end.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._into, self._out = anyio.create_memory_object_stream[int](1000)
        self._unheard: tuple[float, int] | None = None
        """The first signal that the loop has not taken yet, and when it came."""
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[int]:
        async for number in self._out:
            yield number

    @contextmanager
    def received(self, numbers: Sequence[int]) -> Iterator[None]:
        """Receive these signals as long as this lasts; in the main thread."""
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
        """Python's own handler: the number has gone to the thread, unless somebody has taken the way to it."""
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
        else:  # nobody has taken the first one yet: whoever presses twice means it
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
            pass  # a thousand signals that nobody has acted on
