"""Warns of the user's functions that take long, block the other ones, or are left behind at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

import anyio

from mockrec.engine.usercode.calls import Running, running, user_loop
from mockrec.engine.usercode.failure import place_in

LONG_SECONDS: Final = 5.0
"""How long a plain function may run without a warning; there is one for each."""
HELD_UP_SECONDS: Final = 2.0
"""How long an `async` function may block the event loop without a warning."""
_POLL_SECONDS: Final = 0.5


async def watch_functions(warn: Callable[[str], None]) -> None:
    """Check the running functions until cancelled, and call `warn` with a sentence for each that takes too long."""
    warned: set[str] = set()
    pinged = ponged = time.monotonic()
    """When the event loop of `async` functions was asked for a sign of life, and when it gave one."""

    def pong() -> None:
        nonlocal ponged
        ponged = time.monotonic()

    while True:
        await anyio.sleep(_POLL_SECONDS)
        found, now = running(), time.monotonic()
        if any(one.is_async for one in found):
            if pinged <= ponged:
                pinged = now
                user_loop.loop.call_soon_threadsafe(pong)
            elif now - pinged > HELD_UP_SECONDS:
                place = place_in(sys._current_frames().get(user_loop.thread or 0))
                if place is not None and place not in warned:
                    warned.add(place)
                    warn(
                        f"{place} has blocked for {now - pinged:.0f} s: other `async` functions"
                        " wait for it; use `await`, or a plain `def`, which has a thread of its own"
                    )
        for one in found:
            if not one.is_async and now - one.began > LONG_SECONDS and one.name not in warned:
                warned.add(one.name)
                warn(f"{one.name} has been running for {now - one.began:.0f} s{_place(one.thread)}")


def left_behind() -> list[str]:
    """Return a sentence for each function that is still running at the end of the run."""
    return [_left(one) for one in running()]


def _left(one: Running) -> str:
    place = _place(one.thread)
    return f"{one.name} had not returned after {time.monotonic() - one.began:.1f} s, and is left behind{place}"


def _place(thread: int | None) -> str:
    """` (at handlers.py:14 in slow())`; empty if the thread is not executing the user's code."""
    if thread is None:
        return ""
    place = place_in(sys._current_frames().get(thread))
    return f" (at {place})" if place else ""
