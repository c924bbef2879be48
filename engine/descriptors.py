"""How many connections the file descriptors of this process allow."""

from __future__ import annotations

import sys
from typing import Final

_OWN: Final = 64
"""Descriptors for everything else: logs, bodies on their way to disk, the event loop."""
_NO_LIMIT: Final = 1 << 30


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
