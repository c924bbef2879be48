"""The set-up of a process that serves: event loop, garbage collection, file descriptors."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from typing import Final

_OTHER_DESCRIPTORS: Final = 64
"""Descriptors for everything but connections: logs, body files, the event loop."""
_NO_LIMIT: Final = 1 << 30


def has_uvloop() -> bool:
    """Whether to use uvloop: if it is installed, unless MOCKREC_LOOP=asyncio asks for the standard event loop."""
    if os.environ.get("MOCKREC_LOOP") == "asyncio":
        return False
    return importlib.util.find_spec("uvloop") is not None


def tune_garbage_collection() -> None:
    """Collect less often, and never the objects that exist now: exchanges are freed without the garbage collector.

    No collection comes first: it would take 50 ms, during which the first client waits, and find a hundred objects.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


_kept_from_forks: Final[list[Callable[[], Iterable[int]]]] = []


def keep_from_forks(numbers: Callable[[], Iterable[int]]) -> None:
    """Close the descriptors that `numbers` returns in every process that a user's function forks.

    A child that held them would keep the port taken, and connections open whose clients wait for their end.
    """
    if not _kept_from_forks and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_close_in_child)
    _kept_from_forks.append(numbers)


def _close_in_child() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for numbers in _kept_from_forks:
        try:
            for number in numbers():
                if number > 2:
                    # Replaced, not closed: objects of the child still refer to the number.
                    os.dup2(null, number, inheritable=False)
        except OSError:
            pass  # it is closed already
    os.close(null)


def allow(connections: int) -> None:
    """Raise the soft limit of descriptors for this number of connections, as far as the hard limit permits.

    Child processes inherit the limit, so this is not for runs that start a command.
    """
    if sys.platform == "win32":
        return  # Windows has no such limit
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + _OTHER_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            pass  # macOS has another limit below the hard one; `connections_that_fit` counts what we have


def connections_that_fit() -> int:
    """How many clients can be served at once, each with a connection to a server."""
    if sys.platform == "win32":
        return _NO_LIMIT
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _NO_LIMIT
    return max(1, (soft - min(_OTHER_DESCRIPTORS, soft // 2)) // 2)
