"""How many processes may work at a time."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_MOST = 4
"""Processes of one command: each needs about 100 MB of memory."""
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""The limit of a container: `max` or microseconds of CPU time, and the period that they are for (Linux, cgroup v2)."""


_alone = False


def stay_alone() -> None:
    """Start no further process from now on: a cluster has given this one its share of the machine."""
    global _alone
    _alone = True


def processes() -> int:
    """Return how many processes of this command can work at the same time, at most 4."""
    return 1 if _alone else _usable()


@cache
def _usable() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota = quota_of(_QUOTA.read_text())
    except OSError:
        quota = None
    return max(1, min(_MOST, usable if quota is None else min(usable, quota)))


def quota_of(text: str) -> int | None:
    """Return the whole cores that the text of `cpu.max` allows, at least 1; None if it sets no limit."""
    limit, _, period = text.partition(" ")
    if not limit.isdecimal() or not period.strip().isdecimal() or int(period) == 0:
        return None
    return max(1, int(limit) // int(period))
