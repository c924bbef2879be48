"""How a serving process is set up: event loop, garbage collection, file descriptors."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from typing import Final

_OWN: Final = 64
"""Descriptors for everything else: logs, bodies on their way to disk, the event loop."""
_NO_LIMIT: Final = 1 << 30


def has_uvloop() -> bool:
    """uvloop where it exists; MOCKREC_LOOP=asyncio asks for the loop of the standard library."""
    if os.environ.get("MOCKREC_LOOP") == "asyncio":
        return False
    return importlib.util.find_spec("uvloop") is not None


def tune_garbage_collection() -> None:
    """What is there at the start stays; and exchanges free themselves, so that collections seldom find anything.

    Nothing is collected first: that takes 50 ms, in which the first client waits, and finds a hundred objects.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


_kept: Final[list[Callable[[], Iterable[int]]]] = []


def keep_from_forks(numbers: Callable[[], Iterable[int]]) -> None:
    """A process that a user's function forks must not hold these descriptors, which are asked for when it does: clients
    would wait for the end of a connection, and the port would stay taken."""
    if not _kept and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)
    _kept.append(numbers)


def _forget() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for numbers in _kept:
        try:
            for number in numbers():
                if number > 2:
                    os.dup2(null, number, inheritable=False)  # not closed: objects of the child still have the number
        except OSError:
            pass  # it is closed already
    os.close(null)


def allow(connections: int) -> None:
    """Raise the soft limit so far that so many connections fit, as far as the hard one lets us.

    Processes that are started inherit it, so this is for those who start none of somebody else's.
    """
    if sys.platform == "win32":
        return  # where there is no such limit
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + _OWN
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            pass  # macOS has another limit below the hard one; what fits is asked for anyway


def connections_that_fit() -> int:
    """How many clients can be served at a time, each with a connection to a server."""
    if sys.platform == "win32":
        return _NO_LIMIT
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _NO_LIMIT
    return max(1, (soft - min(_OWN, soft // 2)) // 2)
