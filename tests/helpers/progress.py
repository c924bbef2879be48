"""Measure the progress of a process in time and in processor time.

A promise such as "within a second" holds while the program gets to run; on a busy machine that is only a part of the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


def processor_seconds(pid: int) -> float:
    """Return the processor time of all threads of a process; infinite once it has ended.

    On Linux its clock (see clock_getcpuclockid(3)) is the complement of its pid, shifted by three bits, plus 2 for "all
    threads".
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return math.inf


@dataclass(frozen=True)
class Moment:
    """A moment in the life of a process, in seconds of both kinds."""

    wall: float
    processor: float

    @classmethod
    def of(cls, pid: int) -> Moment:
        """Return the present moment of a process."""
        return cls(time.monotonic(), processor_seconds(pid))

    def is_before(self, other: Moment, wall: float, processor: float) -> bool:
        """Return whether `other` is later by at least `wall` and `processor` seconds."""
        return self.wall < other.wall - wall and self.processor < other.processor - processor


def let_run(pid: int, wall: float, processor: float, ended: Callable[[], bool] = lambda: False) -> None:
    """Wait until a process has used both times from now on, or `ended()` is true."""
    began = Moment.of(pid)
    while not ended() and not began.is_before(Moment.of(pid), wall, processor):
        time.sleep(0.002)
